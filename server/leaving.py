"""What requests and settings say of de-identification."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query

from hepatic.errors import BadInputError, ConflictError
from hepatic.release.option import Option
from hepatic.settings import settings
from server.host import is_shared

Deidentify = Annotated[bool, Query(description="without patients: PS3.15's basic profile, new UIDs, new names")]
Keep = Annotated[
    list[Option] | None, Query(description="options of the profile: what stays in part; only with deidentify")
]


def options_of_uploads() -> frozenset[Option] | None:
    """Return the options with which uploads are de-identified; None where they are taken as they are.

    Raises:
        BadInputError: the settings name another one.
    """
    chosen = settings()
    try:
        options = frozenset(map(Option, chosen.deidentify_keep.split()))
    except ValueError as error:
        raise BadInputError(
            "HEPATIC_DEIDENTIFY_KEEP",
            expected=", ".join(Option),
            came=ascii(chosen.deidentify_keep[:80]),
            fix="Separate them by spaces.",
        ) from error
    return options if chosen.deidentify_uploads else None


def asked_options(datastore: Any, *, deidentify: bool, keep: list[Option] | None) -> frozenset[Option] | None:
    """Return the options of the profile, None where nothing is de-identified.

    Raises:
        BadInputError: options without de-identification: nobody may think that something was removed.
        ConflictError: the datastore is another app's.
    """
    if not deidentify:
        if keep:
            raise BadInputError(
                "keep",
                expected="deidentify=true with it",
                came="keep alone",
                fix="Add deidentify=true, or leave it out.",
            )
        return None
    if not is_shared(datastore):
        raise ConflictError(
            "de-identification", expected="hepatic's own datastore", came="another app's", fix="Serve apps/hepatic."
        )
    return frozenset(keep or ())
