"""What is done with each element: PS3.15, annex E, Basic Application Level Confidentiality Profile, and its options."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum

from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as table
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import BaseTag

from hepatic.release.option import Option

EDITION = "2026c"


class Action(StrEnum):
    """What becomes of an element."""

    KEEP = "kept"
    REMOVE = "removed"
    EMPTY = "emptied"
    REPLACE = "replaced"
    UID = "new UID"
    SHIFT = "shifted"
    CLEAN = "cleaned"


PROFILE: Code = codes.cid7050.BasicApplicationConfidentialityProfile
PIXELS: Code = codes.cid7050.CleanPixelDataOption
CONTENT: Code = codes.cid7050.CleanStructuredContentOption
CODES: dict[Option, Code] = {
    Option.DATES: codes.cid7050.RetainLongitudinalTemporalInformationModifiedDatesOption,
    Option.PATIENT: codes.cid7050.RetainPatientCharacteristicsOption,
    Option.DESCRIPTORS: codes.cid7050.CleanDescriptorsOption,
}

_COLUMNS = {
    "X_TAGS": Action.REMOVE,
    "Z_TAGS": Action.EMPTY,
    "D_TAGS": Action.REPLACE,
    "U_TAGS": Action.UID,
    "X_Z_TAGS": Action.EMPTY,
    "X_D_TAGS": Action.REPLACE,
    "Z_D_TAGS": Action.REPLACE,
    "X_Z_D_TAGS": Action.REPLACE,
    "X_Z_U_STAR_TAGS": Action.UID,
}
_BASIC = {
    BaseTag(tag[0] << 16 | tag[1]): action
    for column, action in _COLUMNS.items()
    for tag in getattr(table, column)
    if len(tag) == 2
}
"""Where the table leaves a choice, the one that every IOD allows: a value where one may be required."""
_EMPTY_SEQUENCES = {BaseTag(tag[0] << 16 | tag[1]) for tag in table.X_Z_D_TAGS}
_GRAPHICS = (0x5000, 0x6000)  # curves and overlays, repeating groups
_BIRTH = ("PatientBirthDate", "PatientBirthTime", "GPSTimeStamp")
_CHARACTERISTICS = (
    "EthnicGroup", "PatientAge", "PatientSex", "PatientSexNeutered", "PatientSize", "PatientWeight", "PregnancyStatus",
    "SmokingStatus",
)  # fmt: skip
"""Those with K in the column of the option; what it has to be cleaned (allergies, ...) is removed."""
TERMS = {
    "PatientSex": ("M", "F", "O"),
    "PatientSexNeutered": ("ALTERED", "UNALTERED"),
    "SmokingStatus": ("YES", "NO", "UNKNOWN"),
}
"""What may be said there, and nothing else (PS3.3, C.7.1.1 and C.7.2.2)."""
WRITTEN = {"BodyPartExamined": "", "ContentLabel": "ANONYMIZED"}
"""Coded strings that somebody chooses, and what becomes of one with an unknown word: the latter must have a value."""
BODY_PARTS = (
    "abdomenpelvis", "abdopelvis", "chestabdomen", "chestabdpelvis", "neckchest", "neckchestabdomen",
    "neckchestabdpelv", "headneck", "cspine", "tspine", "lspine", "ctspine", "tlspine", "lsspine",
    "wholebody", "extremity",
)  # fmt: skip
"""Words of BodyPartExamined (PS3.16, annex L) that are none in a text."""
_DESCRIPTORS = (
    "AcquisitionDeviceProcessingDescription", "AcquisitionProtocolDescription", "ContrastBolusAgent",
    "DerivationDescription", "PerformedProcedureStepDescription", "ProtocolName", "RequestedProcedureDescription",
    "ScheduledProcedureStepDescription", "SeriesDescription", "StudyDescription", "TreatmentSite",
)  # fmt: skip
"""Those with C in the column of the option that say what was imaged; comments and histories are removed."""
_ASKED_FOR = (
    "SegmentLabel", "SegmentDescription", "TrackingID", "ContentDescription", "TextValue",
    "PixelSpacingCalibrationDescription",
)  # fmt: skip
"""Not in the table, and IODs ask for them: whoever makes a segmentation or report may write anything there."""
MODELS = ("AlgorithmName", "AlgorithmVersion", "SegmentAlgorithmName")
"""Likewise; names of models."""
CODED = ("CodeValue", "CodeMeaning", "CodingSchemeDesignator", "CodingSchemeVersion")
"""Looked at together, as what codes they are (``hepatic.release.codes``)."""
_TECHNICAL = (
    "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "SecondaryCaptureDeviceManufacturer",
    "SecondaryCaptureDeviceManufacturerModelName", "SecondaryCaptureDeviceSoftwareVersions", "DetectorManufacturerName",
    "DetectorManufacturerModelName", "ConvolutionKernel", "FilterType", "SequenceName", "PulseSequenceName",
    "ImagedNucleus", "ReceiveCoilName", "TransmitCoilName", "StackID", "RescaleType", "ModalityLUTType",
    "TransducerData", "ProcessingFunction", "OutputPower", "ContrastBolusRoute", "PositionReferenceIndicator",
)  # fmt: skip
"""Texts that the table lacks and that a device or a protocol writes, not somebody about a patient; all others go."""
_TEXTS = ("AE", "LO", "LT", "SH", "ST", "UC", "UT")
_BULK = ("OB", "OW", "OF", "OD", "OL", "OV")
_PIXELS = ("PixelData", "LUTData", "ColorLookupTableData")
"""Parts of keywords of the bytes without which no picture can be shown."""
_STANDARD = re.compile(r"1\.2\.840\.10008(?:\.\d{1,5}){2,9}|2\.16\.840\.1\.113883\.6\.\d{1,3}")
"""UIDs of DICOM (PS3.6), and of the coding systems that HL7 lists."""
_OF_CLASSES = ("SOPClass", "TransferSyntax")
_OF_STANDARDS = (
    "CodingSchemeUID", "ContextUID", "MappingResourceUID", "ContextGroupExtensionCreatorUID", "ImplementationClassUID",
)  # fmt: skip


def action_for(element: DataElement, options: Collection[Option]) -> Action:
    """Return what the profile asks for an element, or what is asked beyond it where the table is silent.

    Beyond the table: unknown elements, those of another VR than the dictionary's, addresses (UR), numbers of orders,
    bytes that are no picture, and all texts go but a few that devices write or IODs ask for; all dates, names of
    persons and UIDs that name no standard are treated as those of the table.
    """
    tag, vr, keyword = element.tag, element.VR, element.keyword
    if tag.is_private or (tag.group & 0xFF00) in _GRAPHICS or tag.element == 0 or not dictionary_has_tag(tag):
        return Action.REMOVE
    if vr in ("UN", "UR"):
        return Action.REMOVE
    if vr in dictionary_VR(tag).split(" or "):
        if Option.PATIENT in options and keyword in _CHARACTERISTICS:
            return Action.CLEAN if vr in _TEXTS else Action.KEEP
        if Option.DESCRIPTORS in options and keyword in _DESCRIPTORS:
            return Action.CLEAN
        if Option.DATES in options and vr in ("DA", "DT", "TM") and keyword not in _BIRTH:
            return Action.SHIFT
    elif tag not in _BASIC:
        return Action.REMOVE
    if tag in _BASIC:
        may_be_empty = vr == "SQ" and tag in _EMPTY_SEQUENCES
        return Action.EMPTY if may_be_empty else _BASIC[tag]
    if keyword in ("OtherStudyNumbers", "SpecificCharacterSet"):  # what is left is written as UTF-8
        return Action.REMOVE
    if vr in ("DA", "DT", "TM", "PN"):
        return Action.EMPTY
    if vr == "UI":
        names_class = keyword in _OF_STANDARDS or any(part in keyword for part in _OF_CLASSES)
        return Action.KEEP if names_class else Action.UID
    if keyword in _ASKED_FOR or keyword in MODELS:
        return Action.CLEAN
    if vr in _TEXTS:
        return Action.KEEP if keyword in _TECHNICAL or keyword in CODED else Action.REMOVE
    if vr in _BULK:
        return Action.KEEP if any(part in keyword for part in _PIXELS) else Action.REMOVE
    return Action.KEEP


def names_standard(uid: str) -> bool:
    """Whether a UID is DICOM's or HL7's own, and not one that anybody may make."""
    return _STANDARD.fullmatch(uid) is not None


def name_of(tag: BaseTag) -> str:
    """Return an element's keyword; of private and unknown ones the group only, as a creator may call it anything."""
    if tag.is_private:
        return "private"
    return keyword_for_tag(tag) or "unknown"
