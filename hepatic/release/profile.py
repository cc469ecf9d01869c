"""What is done with each element: PS3.15, annex E, Basic Application Level Confidentiality Profile, and its options."""

from __future__ import annotations

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
_DESCRIPTORS = (
    "AcquisitionDeviceProcessingDescription", "AcquisitionProtocolDescription", "ContrastBolusAgent",
    "DerivationDescription", "PerformedProcedureStepDescription", "ProtocolName", "RequestedProcedureDescription",
    "ScheduledProcedureStepDescription", "SeriesDescription", "StudyDescription", "TreatmentSite",
)  # fmt: skip
"""Those with C in the column of the option that say what was imaged; comments and histories are removed."""
_NAMED_BY_PEOPLE = ("SegmentLabel", "SegmentDescription", "TrackingID", "ContentDescription", "AlgorithmParameters")
"""Not in the table, but whoever makes a segmentation or report may write anything there."""
_NOT_IN_THE_TABLE = (
    "AlternativeCalendar", "OrderNumber", "OtherStudyNumbers", "OwnerID", "ImageID", "FrameOfInterestDescription",
    "WindowCenterWidthExplanation", "SourceDescription",
)  # fmt: skip
"""Parts of keywords that the table lacks, of what names a patient or an order, or that anybody may have written."""
_FREE_TEXT = ("LT", "ST", "UT", "UC")
_OF_CLASSES = ("SOPClass", "TransferSyntax")
_OF_STANDARDS = (
    "CodingSchemeUID", "ContextUID", "MappingResourceUID", "ContextGroupExtensionCreatorUID", "ImplementationClassUID",
)  # fmt: skip


def action_for(element: DataElement, options: Collection[Option]) -> Action:
    """Return what the profile asks for an element, or what is asked beyond it where the table is silent.

    Beyond the table: unknown elements, those whose VR is unknown, and addresses (UR) go; all dates, names of persons
    and UIDs that name no standard are treated as those of the table, and free text keeps known words only.
    """
    tag, vr, keyword = element.tag, element.VR, element.keyword
    if tag.is_private or (tag.group & 0xFF00) in _GRAPHICS or tag.element == 0:
        return Action.REMOVE
    if vr in ("UN", "UR") or not dictionary_has_tag(tag):
        return Action.REMOVE
    if tag not in _BASIC and any(part in keyword for part in _NOT_IN_THE_TABLE):
        return Action.REMOVE
    if Option.PATIENT in options and keyword in _CHARACTERISTICS:
        return Action.KEEP
    if Option.DESCRIPTORS in options and keyword in _DESCRIPTORS:
        return Action.CLEAN
    if vr in ("DA", "DT", "TM") and vr == dictionary_VR(tag) and keyword not in _BIRTH and Option.DATES in options:
        return Action.SHIFT
    if tag in _BASIC:
        may_be_empty = vr == "SQ" and tag in _EMPTY_SEQUENCES
        return Action.EMPTY if may_be_empty else _BASIC[tag]
    if vr in ("DA", "DT", "TM", "PN"):
        return Action.EMPTY
    if vr == "UI":
        names_class = keyword in _OF_STANDARDS or any(part in keyword for part in _OF_CLASSES)
        return Action.KEEP if names_class else Action.UID
    if vr in _FREE_TEXT or keyword in _NAMED_BY_PEOPLE:
        return Action.CLEAN
    return Action.KEEP


def name_of(tag: BaseTag) -> str:
    """Return an element's keyword; of private and unknown ones the group only, as a creator may call it anything."""
    if tag.is_private:
        return "private"
    return keyword_for_tag(tag) or "unknown"
