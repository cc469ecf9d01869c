"""What dciodvfy says of a DICOM file."""

import subprocess

_PASSED_OVER = (
    "needed to build DICOMDIR",  # it complains so of everything made from a study whose date, time or id is empty
    "Unrecognized defined term = <99HEPATIC>",  # codes of one's own begin with 99 (PS3.16, section 8)
)


def complaints(tool, file):
    """Errors and warnings about a file that are its own."""
    said = subprocess.run([tool("dciodvfy", "dicom3tools"), "-new", file], capture_output=True, text=True, check=False)
    lines = [line for line in said.stderr.splitlines() if line.startswith(("Error", "Warning"))]
    return [line for line in lines if not any(told in line for told in _PASSED_OVER)]
