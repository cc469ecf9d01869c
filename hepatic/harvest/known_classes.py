"""Which class the images of a study truly show, as somebody says it: of the whole study, or image by image."""

from __future__ import annotations

from collections.abc import Mapping

from hepatic.errors import BadInputError
from hepatic.harvest.book import Review
from hepatic.harvest.proposals import unknown_study


def known_classes(
    reviews: Mapping[str, Review], study: str, said: str | Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """Return the study under review that is meant, and the class by candidate.

    Args:
        reviews: of studies whose images are classified.
        study: name of one of them, or its StudyInstanceUID where the classes tell which is meant.
        said: the class of all its images; or by image or candidate.

    Raises:
        NotFoundError: there is no such study.
        BadInputError: the study has no such image or class, or several are meant.
    """
    own = [one for uid, one in reviews.items() if uid == study or uid.rpartition(":")[0] == study]
    if not own:
        raise unknown_study(study)
    names = {said} if isinstance(said, str) else set(said.values())
    meant = [one for one in own if one.uid == study or names <= set(one.study.classes)]
    if len(meant) != 1:
        raise BadInputError(
            "the classes",
            expected="those of one question: " + "; ".join(f"{one.uid}: {', '.join(one.study.classes)}" for one in own),
            came=ascii(", ".join(sorted(names)))[:80] or "none",
            fix="Correct them, or name the study with its question.",
        )
    candidates = meant[0].study.candidates
    if isinstance(said, str):
        return meant[0].uid, {one.uid: said for one in candidates}
    by_image = {one.image_id: one.uid for one in candidates}
    return meant[0].uid, {by_image.get(key, key): name for key, name in said.items()}
