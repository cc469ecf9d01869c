"""Proposed studies as JSON: what the worker hands to the server and what is kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from hepatic.errors import BadInputError
from hepatic.harvest.study import ProposedStudy

_STUDY = TypeAdapter(ProposedStudy)


def to_json(study: ProposedStudy) -> dict[str, Any]:
    """Return a study as JSON-able data with the names of its fields; boxes and affines as lists."""
    return cast(dict[str, Any], _STUDY.dump_python(study, mode="json"))


def from_json(data: Mapping[str, object]) -> ProposedStudy:
    """Read what ``to_json`` wrote.

    Raises:
        BadInputError: fields are missing or of another kind.
    """
    try:
        return _STUDY.validate_python(dict(data))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise BadInputError(
            "proposed study",
            expected="the fields of a ProposedStudy",
            came=f"{first['msg']} at {'.'.join(str(part) for part in first['loc'])}",
            fix="Propose the study again.",
        ) from None
