"""Which part of a PACS is listed, as its user says it."""

from __future__ import annotations

from urllib.parse import parse_qsl

from pydicom.datadict import tag_for_keyword

from hepatic.errors import BadInputError


def read_filter(words: str) -> dict[str, str]:
    """Return the search filters of a setting such as ``StudyDate=20260101-&PatientID=HCC*``.

    Raises:
        BadInputError: it is something else, or names an attribute that DICOM does not have.
    """
    pairs = parse_qsl(words, keep_blank_values=True)
    if words and (not pairs or any(tag_for_keyword(keyword) is None or not value for keyword, value in pairs)):
        raise BadInputError(
            "HEPATIC_DICOMWEB_FILTER",
            expected="DICOM keywords with values, KEYWORD=VALUE&KEYWORD=VALUE",
            came="something else",
            fix="Set it for example to StudyDate=20260101-",
        )
    return dict(pairs)
