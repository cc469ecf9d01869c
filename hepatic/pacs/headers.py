"""The headers of images in the PACS as files, for what needs to know where an image lies and none of its pixels."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from hepatic.pacs.client import PacsClient
from hepatic.pacs.error import nonsense

_WHAT = ("SOPClassUID", "SOPInstanceUID", "Modality", "ImageType")
_GROUPS = (0x0018, 0x0020, 0x0028, 0x5200)
"""How images were acquired, how they belong together, their pixels' form, and the same of single frames."""


def write_headers(client: PacsClient, study_uid: str, series_uid: str, sop_uid: str, folder: Path) -> None:
    """Write the headers of a series, or of one of its instances where it is named, into a folder that is made.

    What they say of the patient is left out.

    Raises:
        PacsError: the PACS does not give them, or gives values that DICOM does not allow.
        NotFoundError: it has no such images.
    """
    folder.mkdir()
    for number, dataset in enumerate(client.metadata(study_uid, series_uid, sop_uid or None)):
        kept = _kept(dataset)
        kept.file_meta = FileMetaDataset()
        kept.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        try:
            kept.save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)
        except Exception:  # of many kinds, and their words quote the values: not even chained
            raise nonsense("its headers hold what DICOM does not allow") from None


def _kept(dataset: Dataset) -> Dataset:
    kept = Dataset()
    for element in dataset:
        if element.tag.group in _GROUPS:
            kept.add(element)
    for keyword in _WHAT:
        if keyword in dataset:
            kept[keyword] = dataset[keyword]
    return kept
