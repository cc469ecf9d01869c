"""``python -m sample_data.pacs STUDIES COMMAND ...``: run a command beside an Orthanc that has a folder's DICOM files.

The word ``DICOMWEB`` in the command becomes the URL it is at. Orthanc and its copies of the files are gone when the
command ends.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from hepatic.errors import HepaticError
from sample_data.pacs.orthanc import Orthanc

_CLICKS = """
{count} simulated images are in Orthanc ({url}/app/explorer.html).
When the server says that it serves, open the address of OHIF that it prints:
  1. Confirm and hide, choose a CT study, and press MONAI Label.
  2. Press the blue button beside Server; unfold Auto-Segmentation, choose ct_liver, press Run.
  3. Correct it with the brush of the second tab on the right, and save it with the arrow in the middle at the top.
  4. Angiographies and ultrasound open with Basic Viewer.
The CT and ultrasound studies wait for a reader's clicks in /qa within minutes.
"""


def main(studies: Path, command: list[str]) -> int:
    """Return the command's exit status."""
    files = sorted(studies.rglob("*.dcm"))
    with Orthanc() as orthanc:
        orthanc.store(files)
        print(_CLICKS.format(count=len(files), url=orthanc.url), flush=True)
        url = orthanc.dicomweb_url
        with subprocess.Popen([url if word == "DICOMWEB" else word for word in command]) as running:
            signal.signal(signal.SIGTERM, lambda *_: running.terminate())  # and Orthanc when the command has ended
            while True:
                try:
                    return running.wait()
                except KeyboardInterrupt:  # the command got it, too, and ends in its own time
                    continue


if __name__ == "__main__":
    if len(sys.argv) < 3 or not Path(sys.argv[1]).is_dir():
        sys.exit(f"A folder of studies and a command are needed.\n\n{__doc__}")
    try:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
    except HepaticError as error:
        sys.exit(f"Error: {error}")
