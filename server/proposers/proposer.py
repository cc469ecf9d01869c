"""What a model must be able to do so that readers are asked about what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from hepatic.errors import BadInputError
from hepatic.harvest.study import ProposedStudy
from hepatic.store.images import Image
from hepatic.store.store import Store
from server.host import Host, is_shared


class Proposer(Protocol):
    """A model whose answers about whole studies are put before readers.

    Attributes:
        model: its name.
        modality: of the images it looks at.
    """

    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def modality(self) -> str: ...  # noqa: D102

    def images(self) -> dict[str, list[Image]]:
        """Return the images it can look at, by StudyInstanceUID.

        Raises:
            BadInputError: the datastore is not ours.
        """
        ...

    def review_uid(self, study: str) -> str:
        """Return the name under which a study is reviewed for what this model is asked."""
        ...

    def work(self, study: str, images: Sequence[Image]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return what a worker does to look at a study: a top-level function and its arguments."""
        ...

    def proposed(self, result: Mapping[str, Any]) -> ProposedStudy:
        """Return the study to be reviewed, of what the worker answered.

        Raises:
            BadInputError: there is nothing in it to ask about.
        """
        ...

    def version(self) -> tuple[str | None, str]:
        """Return which version is served, None where there is none, and why studies that arrive are not for it."""
        ...


def store_of(host: Host) -> Store:
    """Return what keeps an app's images and labels.

    Raises:
        BadInputError: the datastore is not ours.
    """
    if not is_shared(host.datastore):
        raise BadInputError(
            "the datastore",
            expected="one of hepatic's, which knows studies",
            came="another",
            fix="Serve a studies folder with an app on hepatic's datastore.",
        )
    store: Store = host.datastore.store
    return store


def series(host: Host, modality: str) -> dict[str, list[Image]]:
    """Return the images of each study of the datastore, by StudyInstanceUID.

    Raises:
        BadInputError: the datastore is not ours.
    """
    found: dict[str, list[Image]] = {}
    for image in store_of(host).images.all(modality=modality):
        if image.study_uid:
            found.setdefault(image.study_uid, []).append(image)
    return found


def served_version(about: Mapping[str, Any], modality: str) -> tuple[str | None, str]:
    """Return ``Proposer.version`` of what a model tells of itself."""
    if "version" not in about:
        return None, "it is of another make and tells no version"
    if about.get("modality", modality) != modality:
        return None, f"it is for {about['modality']}"
    return about["version"], ""
