"""Classes of ultrasound images as DICOM structured reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from hepatic.errors import BadInputError
from hepatic.harvest.export.classified import ClassifiedImage
from hepatic.io.dicom_image_report import Statement, image_reports
from hepatic.io.dicom_instance import Instance
from hepatic.io.dicom_source import DicomSource


def class_reports(
    image: ClassifiedImage, note: str, files: Sequence[Path], *, instance: Callable[[str], Instance] | None = None
) -> Iterator[tuple[str, Dataset]]:
    """Yield the reports of an image: the class that holds, and where several have read it, what each said.

    Who said it is the observer: the reviewer who settled it, or else the last reader who named the class. What the
    model said is not in them: readers name classes without knowing it.

    Args:
        image: with a class.
        note: the question.
        files: of the image.
        instance: which one of which series the report of a name is; new ones by default.

    Yields:
        What tells a report from the others of the image (empty for the class that holds, ``reader-1`` and so on), and
        the report.

    Raises:
        BadInputError: no class holds, or the image is no DICOM.
    """
    if image.name is None:
        raise BadInputError("structured report", expected="an image with a class", came=image.state, fix="Settle it.")
    source = DicomSource.read(files[0] if len(files) == 1 else list(files))
    said = {one.reader: one.verdict for one in image.decisions}
    agreed = [reader for reader, name in said.items() if name == image.name]
    yield "", _report(source, note, image.name, image.adjudicated_by or agreed[-1], instance and instance(""))
    named = [(reader, name) for reader, name in said.items() if len(said) > 1 and name != "unsure"]
    for number, (reader, name) in enumerate(named, 1):
        told = f"reader-{number}"
        yield told, _report(source, note, name, reader, instance and instance(told))


def _report(source: DicomSource, note: str, name: str, reader: str, instance: Instance | None) -> Dataset:
    said = Statement(classes={note: name}, by=reader)
    return image_reports(said, source, instance=None if instance is None else lambda _: instance)[""]
