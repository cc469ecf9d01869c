"""Whole files and folders without their patients, and a report of what was done."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import SimpleITK as sitk
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hepatic.errors import BadInputError
from hepatic.io.burnt_in import burnt_in
from hepatic.io.dicom import read_header, whole_dataset
from hepatic.io.labelmap import write_atomically
from hepatic.io.refusal import NotAnImageError, refusing
from hepatic.release.deidentify import Deidentifier, Done, Pixels

_WHAT = "a DICOM object that can be written again"


@dataclass(frozen=True)
class Report:
    """What was done to many objects.

    Attributes:
        done: elements by keyword and action.
        objects: how many objects were written.
        left_out: reasons by file or image.
    """

    done: Done = field(default_factory=Counter)
    objects: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, done: Done) -> None:
        """Count one more object."""
        self.done.update(done)
        self.objects["written"] += 1

    def rows(self) -> list[tuple[str, str, int]]:
        """Return keyword, action and number of elements, by keyword."""
        return sorted((keyword, action, count) for (keyword, action), count in self.done.items())

    def csv(self) -> bytes:
        """Return the rows as CSV (UTF-8)."""
        made = io.StringIO(newline="")
        writer = csv.writer(made)
        writer.writerow(("attribute", "action", "elements"))
        writer.writerows(self.rows())
        return made.getvalue().encode()


def deidentified(source: Path, by: Deidentifier, *, pixels: Pixels | None = None) -> tuple[FileDataset, Done]:
    """Return a DICOM file without its patient, and what was done.

    Args:
        source: the file.
        by: the rules.
        pixels: what is known of text in them; by default what the file says.

    Raises:
        BadInputError: it cannot be read, or is of a kind that does not leave (``Deidentifier.apply``).
    """
    known = pixels or pixels_of(source)
    dataset = whole_dataset(source)
    with refusing(source, expected=_WHAT):
        if "TransferSyntaxUID" not in dataset.file_meta:
            implicit, little = dataset.original_encoding
            dataset.file_meta.TransferSyntaxUID = (
                ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
            )
        return dataset, by.apply(dataset, pixels=known)


def deidentify_file(source: Path, target: Path, by: Deidentifier, *, pixels: Pixels | None = None) -> Done:
    """Write a DICOM file without its patient; the target appears as a whole or not at all.

    Raises:
        BadInputError: as ``deidentified``.
        StorageError: the disk is full or cannot be written.
    """
    dataset, done = deidentified(source, by, pixels=pixels)
    write_atomically(target, encoded(dataset, source))
    return done


def write_voxels(source: Path, target: Path) -> None:
    """Write a NIfTI or NRRD file again with nothing but its grid and voxels.

    Raises:
        BadInputError: it cannot be read.
    """
    with refusing(source, expected="an image that can be written again"):
        image = sitk.ReadImage(source)
        for key in image.GetMetaDataKeys():
            image.EraseMetaData(key)
        sitk.WriteImage(image, target, useCompression=True)


def encoded(dataset: FileDataset, source: Path) -> bytes:
    """Return an object as a file.

    Raises:
        BadInputError: something in it cannot be written.
    """
    made = io.BytesIO()
    with refusing(source, expected=_WHAT):
        dataset.save_as(made, enforce_file_format=True)
    return made.getvalue()


def pixels_of(source: Path) -> Pixels:
    """Return what a file says of text in its pixels; segmentations and reports have no text in theirs."""
    with suppress(NotAnImageError):
        return "free" if burnt_in(read_header(source)) == "no" else "unseen"
    return "free"


def deidentify_folder(files: Iterable[Path], target: Path, by: Deidentifier, *, header_only: bool = False) -> Report:
    """Write DICOM files without their patients, as ``patient/study/series/object.dcm`` with their new names.

    Args:
        files: DICOM and others; what is left out is in the report with its reason.
        target: a folder; made.
        by: the rules.
        header_only: take pictures with text in their pixels, too; they say PatientIdentityRemoved NO.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    report = Report()
    written: set[Path] = set()
    for file in files:
        try:
            pixels = pixels_of(file)
            if pixels == "unseen" and not header_only:
                raise BadInputError(
                    file.name,
                    expected="a picture without burnt-in text",
                    came="one that has some, or does not say",
                    fix="Import it, look at it and approve it (hepatic quarantine), and export it from there.",
                )
            dataset, done = deidentified(file, by, pixels=pixels)
            folders = [
                str(dataset.get(key) or "none") for key in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
            ]
            path = target.joinpath(*folders, f"{dataset.SOPInstanceUID}.dcm")
            if path in written:
                raise BadInputError(
                    file.name,
                    expected="an object of its own",
                    came="one with the UIDs of another file of the folder",
                    fix="Keep one of them.",
                )
            data = encoded(dataset, file)
        except BadInputError as reason:
            report.left_out[str(file)] = str(reason)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
        written.add(path)
        report.add(done)
    return report
