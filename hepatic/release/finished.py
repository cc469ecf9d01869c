"""The finished images of a store: those with a final label."""

from __future__ import annotations

from dataclasses import dataclass

from hepatic.errors import HepaticError, NotFoundError
from hepatic.pacs.error import PacsDownError, PacsError
from hepatic.store.case import LabelledCase
from hepatic.store.label import FINAL
from hepatic.store.store import Store


@dataclass(frozen=True)
class Finished:
    """Finished images, and those that are not to be had.

    Attributes:
        cases: the images with their final labels.
        missing: why others are not to be had, by image.
    """

    cases: list[LabelledCase]
    missing: dict[str, HepaticError]

    @classmethod
    def of(cls, store: Store, limit_cases: int | None = None) -> Finished:
        """Return those of a store, so many at most; None or 0 for all.

        Raises:
            NotFoundError: nothing is labelled yet.
            PacsError: the PACS is down, or gives none of them.
        """
        cases: list[LabelledCase] = []
        missing: dict[str, HepaticError] = {}
        for image_id in store.labels.labelled(FINAL):
            try:
                found = store.labelled_cases(FINAL, only=[image_id])
            except PacsError as reason:
                if isinstance(reason, PacsDownError):
                    store.check_reachable(image_id)
                missing[image_id] = reason
                continue
            if not found:
                missing[image_id] = NotFoundError(
                    f"image {image_id!a}", expected="its files", came="some that have gone", fix="Put them back."
                )
            cases += found
            if limit_cases and len(cases) == limit_cases:
                break
        if not cases:
            raise next(
                iter(missing.values()),
                NotFoundError("dataset", expected="labelled images", came="none", fix="Label an image first."),
            )
        return cls(cases, missing)
