"""The headers of images in the PACS as files, for what needs to know where an image lies and none of its pixels."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from hepatic.pacs.client import PacsClient


def write_headers(client: PacsClient, study_uid: str, series_uid: str, sop_uid: str, folder: Path) -> None:
    """Write the headers of a series, or of one of its instances where it is named, into a folder that is made.

    Raises:
        PacsError: the PACS does not give them.
        NotFoundError: it has no such images.
    """
    folder.mkdir()
    for number, dataset in enumerate(client.metadata(study_uid, series_uid, sop_uid or None)):
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        if "PixelData" in dataset:
            del dataset.PixelData
        dataset.save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)
