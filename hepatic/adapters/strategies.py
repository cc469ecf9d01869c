"""MONAI Label's strategies: which image a viewer is given next."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from hepatic.active.candidate import Candidates, Listed, candidate, taken
from hepatic.active.choose import Choice, choose_first, choose_random, choose_uncertain
from hepatic.adapters import compat
from hepatic.errors import BadInputError
from hepatic.store.score import Version

compat.install()

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag  # noqa: E402
from monailabel.interfaces.tasks.strategy import Strategy  # noqa: E402

Request = Mapping[str, Any]

#: Whichever model is served and has scored anything.
ANY = "any"

#: How long an image is kept for the client it was handed to.
KEEP_MINUTES = 30.0


class _Chooser(Strategy):  # type: ignore[misc]
    """Looks where the unlabelled images are, lets a subclass choose one, and words the answer."""

    def __init__(self, description: str, *, keep_minutes: float = KEEP_MINUTES) -> None:
        super().__init__(description)
        self._keep_seconds = 60 * keep_minutes

    def __call__(self, request: Request, datastore: Datastore) -> dict[str, Any] | None:
        """Return ``id``, ``reason`` and, where there is one, ``score``; None when everything is labelled.

        Args:
            request: may name ``label_tag``, ``labels`` and ``client_id``.
            datastore: ours, or any other.
        """
        choice = self.choose(self._free(request, datastore), request)
        if choice is None:
            return None
        answer: dict[str, Any] = {"id": choice.id, "reason": choice.reason}
        return answer if choice.score is None else {**answer, "score": choice.score}

    @abstractmethod
    def choose(self, candidates: Candidates, request: Request) -> Choice | None:
        """Choose one of the candidates, None if there are none."""

    def _free(self, request: Request, datastore: Datastore) -> Candidates:
        """Leave out what another client was handed a short while ago, unless nothing else is left."""
        client, now = str(request.get("client_id") or request.get("user") or ""), time.time()
        tag, labels = request.get("label_tag"), request.get("labels")
        waiting = getattr(datastore, "waiting", None)
        if waiting is not None and tag in (None, "", DefaultLabelTag.FINAL) and not labels:
            handed = [candidate(id, info) for id, info in waiting().handed_since(now - self._keep_seconds)]
            kept = taken(handed, client=client, now=now, within_seconds=self._keep_seconds)
            free: Candidates = waiting(passed_over=kept)
            everything: Candidates = waiting()
            return free if len(free) > 0 else everything
        ids = sorted(datastore.get_unlabeled_images(tag, labels))
        listed = [candidate(image_id, datastore.get_image_info(image_id)) for image_id in ids]
        kept = taken(listed, client=client, now=now, within_seconds=self._keep_seconds)
        return Listed([one for one in listed if one.id not in kept] or listed)


class First(_Chooser):
    """The first image in the order of the folder."""

    def __init__(self, *, keep_minutes: float = KEEP_MINUTES) -> None:
        super().__init__("First unlabelled image, in the order of the studies folder", keep_minutes=keep_minutes)

    def choose(self, candidates: Candidates, request: Request) -> Choice | None:
        """Choose the first."""
        return choose_first(candidates)


class RandomSample(_Chooser):
    """Any image; ``seed`` in the request repeats a draw."""

    def __init__(self, *, keep_minutes: float = KEEP_MINUTES) -> None:
        super().__init__("Any unlabelled image, drawn at random", keep_minutes=keep_minutes)

    def choose(self, candidates: Candidates, request: Request) -> Choice | None:
        """Draw one.

        Raises:
            BadInputError: the seed is not a whole number.
        """
        return choose_random(candidates, seed=_seed(request))


class Uncertainty(_Chooser):
    """The image the served model is least sure of; ``model`` in the request looks at that model's scores only.

    Args:
        served: returns the versions served now by task, the preferred task first.
    """

    def __init__(self, served: Callable[[], Mapping[str, Version]], *, keep_minutes: float = KEEP_MINUTES) -> None:
        super().__init__("The unlabelled image the current model is least sure of", keep_minutes=keep_minutes)
        self._served = served

    def info(self) -> dict[str, Any]:
        """Describe the strategy; viewers offer the models as a combo box, for folders of several modalities."""
        return {**super().info(), "config": {"model": [ANY, *self._served()]}}

    def choose(self, candidates: Candidates, request: Request) -> Choice | None:
        """Choose by score."""
        asked = request.get("model")
        model = asked[0] if isinstance(asked, list) and asked else asked  # a combo box that nobody touched
        chosen = None if model in (None, "", ANY) else str(model)
        return choose_uncertain(candidates, served=self._served(), model=chosen)


def _seed(request: Request) -> int | None:
    seed = request.get("seed")
    if seed is None or seed == "":
        return None
    try:
        return int(seed)
    except (TypeError, ValueError):
        raise BadInputError("seed", expected="a whole number", came=ascii(seed), fix="Leave it out to draw.") from None
