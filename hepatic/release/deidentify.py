"""A DICOM object without its patient: PS3.15, annex E, applied to every element at every depth."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal

from dicomanonymizer.simpledicomanonymizer import replace_element
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.multival import MultiValue
from pydicom.sr.coding import Code

from hepatic import __version__
from hepatic.errors import BadInputError
from hepatic.io.dicom_element import text
from hepatic.release.codes import clean_code
from hepatic.release.dates import shifted
from hepatic.release.names import Names, words_of
from hepatic.release.option import Option
from hepatic.release.pixels import PIXEL_DATA, clean_pixels
from hepatic.release.profile import (
    BODY_PARTS,
    CODED,
    CODES,
    CONTENT,
    EDITION,
    MODELS,
    PIXELS,
    PROFILE,
    TERMS,
    WRITTEN,
    Action,
    action_for,
    name_of,
    names_standard,
)
from hepatic.release.pseudonyms import Pseudonyms
from hepatic.release.subject import capped, concept_of, stays
from hepatic.release.tables import cut_table, is_table
from hepatic.release.words import cleaned, cleaned_model, vocabulary

_CODED_STRING = re.compile(r"(?!(?:\D*\d){6})[A-Z0-9_ ]{0,16}|ISO_\d{5}_\d{1,2}")
"""At most five digits, but in LossyImageCompressionMethod (PS3.3, C.7.6.1.1.5.1)."""
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_TEXTS = ("LO", "LT", "SH", "ST", "UC", "UT", "AE", "UR")
_IDENTIFIERS = ("PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "AdmissionID", "PatientTelephoneNumbers")
_ALGORITHM = ("111001", "111003")  # name and version, which say what model it was
_DUMMIES = {"DA": "19000101", "DT": "19000101000000"}  # validators refuse the library's year 1
_FEWEST_DIGITS = 5
"""Shorter numbers are in images by chance."""
Pixels = Literal["free", "approved", "unseen"]
"""Nothing says that text is burnt in; a person saw that there is none, or none any more; there may be some."""
REMOVED = "ANONYMIZED"
"""What stands where a value must."""

Done = Counter[tuple[str, str]]
"""How many elements by keyword and by what was done."""


@dataclass(frozen=True)
class Deidentifier:
    """Takes the patient out of DICOM objects.

    Attributes:
        pseudonyms: of this site.
        options: of the profile.
    """

    pseudonyms: Pseudonyms
    options: frozenset[Option] = frozenset()

    def apply(self, dataset: FileDataset, *, pixels: Pixels = "free") -> Done:
        """Change an object in place, and return what was done.

        Images, segmentations and structured reports only: nobody can say of a document, a waveform or raw data that it
        names no one. Text in the pixels is not seen here (``hepatic.release.quarantine``).

        Args:
            dataset: a whole file.
            pixels: what is known of text in them.

        Raises:
            BadInputError: it is of another kind or of a class that is no standard's, has no SOPInstanceUID, or pixels
                that cannot be looked through.
        """
        sop_class = text(dataset, "SOPClassUID") or ""
        is_report = sop_class.startswith(_REPORTS)
        has_kind = names_standard(sop_class) and (is_report or any(keyword in dataset for keyword in PIXEL_DATA))
        if not text(dataset, "SOPInstanceUID") or not has_kind:
            raise BadInputError(
                "a DICOM object",
                expected="an image, a segmentation or a structured report of a standard SOP class",
                came="another kind of object, which may hold a patient's name anywhere"
                if sop_class
                else "a file that names no SOP class, or is no DICOM file",
                fix="Leave it out.",
            )
        study_uid = text(dataset, "StudyInstanceUID") or ""
        patient_id = text(dataset, "PatientID") or study_uid or str(dataset.SOPInstanceUID)
        one = _One(self, patient_id, Names.of(_named(dataset)), frozenset(_numbers(dataset)))
        clean_pixels(dataset)  # before overlays and their places go
        one.clean(dataset)
        pseudonym = self.pseudonyms.patient(patient_id)
        for keyword, vr, value in (("PatientID", "LO", pseudonym), ("PatientName", "PN", f"{pseudonym}^")):
            dataset.add_new(keyword, vr, value)
            one.done.pop((keyword, Action.EMPTY.value), None)
            one.done[keyword, Action.REPLACE.value] = 1
        if study_uid:
            self.pseudonyms.study(study_uid)
        self._say(dataset, pixels, is_report=is_report)
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.preamble = b"\0" * 128
        meta = dataset.file_meta
        for element in list(meta):
            if element.tag.element > 0x0010:  # what wrote and sent it, private information
                del meta[element.tag]
        meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        return one.done

    def _say(self, dataset: Dataset, pixels: Pixels, *, is_report: bool) -> None:
        applied = [PROFILE, *([PIXELS] if pixels == "approved" else []), *([CONTENT] if is_report else [])]
        applied += [CODES[option] for option in Option if option in self.options]
        dataset.PatientIdentityRemoved = "NO" if pixels == "unseen" else "YES"
        dataset.DeidentificationMethod = [f"PS3.15 {EDITION} Basic Profile", f"hepatic {__version__}"]
        dataset.DeidentificationMethodCodeSequence = [_coded(code) for code in applied]
        dataset.LongitudinalTemporalInformationModified = "MODIFIED" if Option.DATES in self.options else "REMOVED"
        if pixels == "approved":
            dataset.BurnedInAnnotation = "NO"


@dataclass(frozen=True)
class _One:
    """The work on one object.

    Attributes:
        by: the rules.
        patient_id: whose it is.
        names: those in it.
        numbers: digits of identifiers and birth dates in it, where there are five or more.
        done: what was done.
    """

    by: Deidentifier
    patient_id: str
    names: Names
    numbers: frozenset[str]
    done: Done = field(default_factory=Counter)

    @cached_property
    def shift(self) -> timedelta:
        return timedelta(days=self.by.pseudonyms.days(self.patient_id))

    def is_named(self, value: str) -> bool:
        """Whether a text holds a word of the names and identifiers."""
        return any(self.names.is_in(word, known=vocabulary()) for word in words_of(value))

    def _is_odd(self, coded: str) -> bool:
        """Whether a coded string, which mostly holds a term that somebody may be called like, holds a name or id."""
        unknown = [word for word in words_of(coded) if word not in vocabulary()]
        return any(map(self.names.is_in, unknown)) if _CODED_STRING.fullmatch(coded) else bool(unknown)

    def _is_worded(self, coded: str) -> bool:
        """Whether a coded string that somebody chose is made of known words, parts of the body and small numbers."""
        words = words_of(coded)
        known = all(word in vocabulary() or word in BODY_PARTS or re.fullmatch(r"\d{1,2}", word) for word in words)
        return known and not self._is_odd(coded)

    def clean(self, dataset: Dataset) -> None:
        clean_code(dataset, words=self._cleaned, other=self.by.pseudonyms.code, numbers=self.numbers)
        for tag in list(dataset.keys()):
            try:
                element = dataset[tag]
                done = self._treat(dataset, element)
            except Exception:  # whatever a value that cannot be read provokes: it does not leave
                dataset.pop(tag, None)
                done = Action.REMOVE
            if done is not Action.KEEP:
                self.done[name_of(tag), done.value] += 1

    def _treat(self, dataset: Dataset, element: DataElement) -> Action:
        action = action_for(element, self.by.options)
        if action is Action.REMOVE:
            del dataset[element.tag]
            return action
        if element.VR == "SQ":
            return self._treat_sequence(dataset, element, action)
        if element.is_empty or element.keyword in CODED:
            return Action.KEEP
        if element.keyword in ("ContextGroupVersion", "ContextGroupLocalVersion"):
            if self._names_edition(dataset, str(element.value)):
                return Action.KEEP
            del dataset[element.tag]
            return Action.REMOVE
        before = element.value
        match action:
            case Action.EMPTY:
                element.value = None
            case Action.REPLACE:
                self._replace(dataset, element)
            case Action.UID:
                element.value = _each(element.value, self.by.pseudonyms.uid)
            case Action.SHIFT:
                element.value = _each(element.value, lambda value: shifted(str(value), element.VR, self.shift))
            case Action.CLEAN:
                is_model = element.keyword in MODELS or concept_of(dataset) in _ALGORITHM
                element.value = _each(element.value, self._cleaned_model if is_model else self._cleaned)
            case _:
                self._without_names(dataset, element)
        return Action.KEEP if element.value == before else action if action is not Action.KEEP else Action.CLEAN

    def _names_edition(self, item: Dataset, version: str) -> bool:
        """Whether it is the version of a context group of DICOM's, and no date of the patient's."""
        is_listed = names_standard(text(item, "ContextUID") or "")
        return is_listed and re.fullmatch(r"\d{8}(\d{6})?", version) is not None and version[:8] not in self.numbers

    def _treat_sequence(self, dataset: Dataset, element: DataElement, action: Action) -> Action:
        if action is Action.EMPTY:
            element.value = []
            return action
        if action is Action.REPLACE and element.keyword not in ("ContentSequence", "VerifyingObserverSequence"):
            if element.keyword != "PersonIdentificationCodeSequence":
                del dataset[element.tag]
                return Action.REMOVE
            element.value = [_coded(Code("0", "99HEPATIC", REMOVED))]
            return action
        if element.keyword == "ContentSequence":
            retains = Option.PATIENT in self.by.options
            element.value = [item for item in element.value if stays(item, characteristics=retains)]
        for item in element.value:
            self.clean(item)
        return Action.KEEP

    def _replace(self, dataset: Dataset, element: DataElement) -> None:
        if element.VR == "PN":
            element.value = _each(element.value, lambda name: self.by.pseudonyms.person(str(name)))
        elif element.VR == "UI":
            element.value = _each(element.value, self.by.pseudonyms.uid)
        elif element.VR in _DUMMIES:
            element.value = _DUMMIES[element.VR]
        elif element.VR in ("OB", "OW", "OF", "OD", "OL", "OV", "UV", "SV", "AT"):
            del dataset[element.tag]
        else:
            replace_element(element)

    def _without_names(self, dataset: Dataset, element: DataElement) -> None:
        """Take words that are in the names and identifiers of this object out of a value the profile leaves."""
        if element.VR == "AS":
            element.value = capped(str(element.value))
        elif element.VR in _TEXTS and any(self.is_named(value) for value in _texts(element.value)):
            element.value = _each(element.value, self._cleaned)
        elif element.keyword in TERMS:
            element.value = element.value if element.value in TERMS[element.keyword] else ""
        elif element.keyword in WRITTEN:
            element.value = element.value if self._is_worded(str(element.value)) else WRITTEN[element.keyword]
        elif element.VR == "CS":
            element.value = _each(element.value, lambda value: REMOVED if self._is_odd(str(value)) else value)
        elif element.VR == "UI":
            element.value = _each(element.value, self._class_uid)
        elif element.VR in ("IS", "DS") and not self.numbers.isdisjoint(map(_digits, _texts(element.value))):
            element.value = None
        elif is_table(element.keyword):
            element.value = cut_table(dataset, element)

    def _class_uid(self, uid: str) -> str:
        return uid if names_standard(uid) else self.by.pseudonyms.uid(uid)

    def _cleaned(self, value: Any) -> str:
        return cleaned(str(value), without=self.names.words, uid=self.by.pseudonyms.uid) or REMOVED

    def _cleaned_model(self, value: Any) -> str:
        return cleaned_model(str(value), without=self.names.words) or REMOVED


def _named(dataset: Dataset) -> Iterator[str]:
    """Yield all names and identifiers in an object."""
    for element in _all_elements(dataset):
        if element.VR == "PN" or element.keyword in _IDENTIFIERS:
            for value in _texts(element.value):
                yield from value.split("=")


def _numbers(dataset: Dataset) -> Iterator[str]:
    """Yield the digits of all identifiers and birth dates in an object, as far as there are enough to name someone."""
    for element in _all_elements(dataset):
        if element.keyword in _IDENTIFIERS or element.keyword == "PatientBirthDate":
            yield from (digits for value in _texts(element.value) if len(digits := _digits(value)) >= _FEWEST_DIGITS)


def _digits(value: str) -> str:
    """Return the digits of a text or of a number, without a fraction that is zero."""
    return re.sub(r"\.0*$|\D", "", value.strip()).lstrip("0")


def _all_elements(dataset: Dataset) -> Iterator[DataElement]:
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except Exception:  # noqa: S112  # it is removed later
            continue
        yield element
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _all_elements(item)


def _texts(value: object) -> list[str]:
    if value is None:
        return []
    return [str(one) for one in value] if isinstance(value, MultiValue | list) else [str(value)]


def _each(value: Any, change: Any) -> Any:
    return [change(one) for one in value] if isinstance(value, MultiValue | list) else change(value)


def _coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
