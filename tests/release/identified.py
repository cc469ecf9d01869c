"""DICOM objects that name their patient wherever a header can, and a search for what is left of it."""

import re
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.tag import Tag

PATIENT_ID, ACCESSION, STUDY_DATE, BIRTH_DATE = "MRN-4711-0815", "ACC889912", "20240229", "19520607"
SECRETS = (
    "Aloisia", "Grünwald", "Kratochvil", "Hanselmayer", "St. Elsewhere", "Nervengasse", PATIENT_ID, ACCESSION,
    STUDY_DATE, BIRTH_DATE, "2024-02-29", "4711", "SCANNERROOM3", "ORDER5531",
)  # fmt: skip
"""Names, ids and dates; none of them may be anywhere in what leaves."""


def name(dataset: Dataset, *, patient_id=PATIENT_ID) -> Dataset:
    """Put a patient into an object: names, ids, dates, at every depth, in private elements, in comments."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID = "Grünwald^Aloisia", patient_id
    dataset.PatientBirthDate, dataset.PatientAge, dataset.PatientSex = BIRTH_DATE, "093Y", "F"
    dataset.OtherPatientIDs = ["X4711", PATIENT_ID]
    dataset.PatientAddress = "Nervengasse 7"
    dataset.AccessionNumber = ACCESSION
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = STUDY_DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = "101500"
    dataset.InstitutionName, dataset.StationName = "St. Elsewhere", "SCANNERROOM3"
    dataset.ReferringPhysicianName = dataset.OperatorsName = "Hanselmayer^Rosa"
    dataset.StudyDescription = "CT liver arterial Grünwald 4711"
    dataset.SeriesDescription = "venous 5.0 Kratochvil"
    dataset.ImageComments = "Aloisia moved; seen by Kratochvil on 2024-02-29"
    dataset.add_new("ScanOptions", "CS", ["HELIX", "ALOISIA"])
    dataset.SoftwareVersions = "reconstructed for Aloisia"  # the profile leaves it
    request = Dataset()
    request.RequestedProcedureID, request.ReasonForTheRequestedProcedure = "ORDER5531", "ask Kratochvil"
    dataset.RequestAttributesSequence = [request]
    private = dataset.private_block(0x0009, "GRÜNWALD SCANNER", create=True)
    private.add_new(1, "LO", "Aloisia")
    deep = Dataset()
    deep.PatientName = "Grünwald^Aloisia"
    private.add_new(2, "SQ", [deep])
    reference = Dataset()
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    reference.ReferencedSOPInstanceUID = "1.3.6.1.4.1.5962.99.1.77"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "K1", "99CLINIC", "as Kratochvil likes it"
    inner = Dataset()
    inner.PatientID, inner.StudyDate = PATIENT_ID, STUDY_DATE
    inner.add_new(Tag(0x0011, 0x0010), "LO", "KRATOCHVIL")
    inner.add_new(Tag(0x0011, 0x1001), "UN", b"Aloisia")
    code.ModifiedAttributesSequence = [inner]
    reference.PurposeOfReferenceCodeSequence = [code]
    dataset.ReferencedImageSequence = [reference]
    dataset.add_new(Tag(0x6000, 0x3000), "OW", b"Aloisia\0")
    dataset.add_new(Tag(0x6000, 0x4000), "LT", "overlay of Aloisia")
    dataset.file_meta.SourceApplicationEntityTitle = "SCANNERROOM3"
    dataset.preamble = b"Aloisia".ljust(128, b"\0")
    return dataset


def uids(dataset: Dataset) -> set[str]:
    """Return all UIDs in an object that are none of the standard's, nor of a coding scheme or SOP class."""
    found: set[str] = set()
    for element in dataset.iterall():
        names_standard = element.keyword == "CodingSchemeUID" or "SOPClass" in element.keyword
        if element.VR == "UI" and not element.is_empty and not names_standard:
            values = element.value if element.VM > 1 else [element.value]
            found |= {str(value) for value in values if not str(value).startswith("1.2.840.10008.")}
    return found


def left_in(data: bytes, secrets=SECRETS) -> list[str]:
    """Return the secrets that are in these bytes, in any of the usual encodings, in any case."""
    low = re.sub(rb"2\.25\.\d+", b"", data.lower())  # new UIDs, whose digits are by chance
    return [
        one for one in secrets for code in ("utf-8", "latin-1", "utf-16-le") if _is_in(one.lower().encode(code), low)
    ]


def _is_in(secret: bytes, low: bytes) -> bool:
    """Whether a secret is there; of a few digits, as a number by itself: UIDs and clock times have any by chance."""
    if len(secret) > 5 or not secret.isdigit():
        return secret in low
    return re.search(rb"(?<!\d)" + secret + rb"(?!\d)", low) is not None


def without_pixels(path: Path) -> bytes:
    """Return a file's bytes without its pixels, which may hold anything by chance."""
    data, dataset = path.read_bytes(), pydicom.dcmread(path)
    for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
        if keyword in dataset:
            data = data.replace(dataset[keyword].value, b"")
    return data
