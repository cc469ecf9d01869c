"""What dciodvfy says of a DICOM file."""

import subprocess

OF_THE_STUDY = "needed to build DICOMDIR"
"""It complains so of everything made from a study whose date, time or id is empty."""


def complaints(tool, file):
    """Errors and warnings about a file that are its own."""
    said = subprocess.run([tool("dciodvfy", "dicom3tools"), "-new", file], capture_output=True, text=True, check=False)
    lines = [line for line in said.stderr.splitlines() if line.startswith(("Error", "Warning"))]
    return [line for line in lines if OF_THE_STUDY not in line]
