"""Pictures of proposed studies, drawn when they are asked for; the last few studies are kept in memory for it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hepatic.errors import NotFoundError
from hepatic.harvest.layout import CardLayout, Edges, View, lay_out
from hepatic.harvest.propose import key_slice
from hepatic.harvest.render import draw_card, draw_stack
from hepatic.harvest.study import Candidate, Phase, PreparedStudy, ProposedStudy
from hepatic.harvest.window import WINDOWS, find_window, liver_levels

STACK_SLICES = 8
"""Slices on one picture of a stack."""
STACK_PX = 512
"""Longer side of a slice of a stack."""
_KEPT_BYTES = 1 << 30
_ROUND_LIVER_MM = 15.0


@dataclass(frozen=True)
class StackLayout:
    """How whole slices of a study are drawn, and where their pixels lie in the patient.

    Attributes:
        size_px: width and height of a slice.
        mm_per_px: in both directions.
        per_picture: slices on one picture, below each other.
        slices: how many there are; the first is index k = 0 of the grid.
        to_lps: 4 x 4, from (x, y, k, 1) to LPS millimetres: x and y in pixels from the left and upper edge of a slice,
            k in slices from the lower edge of the first.
        headwards: whether slices run towards the head.
        left, top: letters, see ``View``.
        focus: where the liver is, over all slices, with some space round it; in pixels of a slice.
    """

    size_px: tuple[int, int]
    mm_per_px: float
    per_picture: int
    slices: int
    to_lps: tuple[tuple[float, ...], ...]
    headwards: bool
    left: str
    top: str
    focus: Edges


@dataclass(frozen=True, eq=False)
class _Ready:
    prepared: PreparedStudy
    levels: dict[Phase, float]
    stack: StackLayout

    def placed(self, candidate: Candidate, proposed: ProposedStudy) -> Candidate:
        """Return a candidate with its key slice on this grid, which may not be the one it was proposed on."""
        if self.prepared.content == proposed.content:
            return candidate
        return replace(candidate, key_slice=key_slice(candidate.box, self.prepared.grid))

    @property
    def bytes(self) -> int:
        return sum(volume.hu.nbytes for volume in self.prepared.phases.values()) + self.prepared.liver.nbytes


class GoneError(NotFoundError):
    """A study is known, but what was prepared of it is not there any more."""


class Pictures:
    """Draws studies. Safe to use from several threads.

    Args:
        find: returns what was proposed of a StudyInstanceUID, the oldest first: a reader goes on with the candidates
            they began with while a newer model has proposed others. Raises NotFoundError where there is nothing.
        load: returns the prepared study that a proposed one was made from; raises NotFoundError where it is gone.
        kept_bytes: of prepared studies in memory; the last one is kept whatever its size.
    """

    def __init__(
        self,
        find: Callable[[str], Sequence[ProposedStudy]],
        load: Callable[[ProposedStudy], PreparedStudy],
        *,
        kept_bytes: int = _KEPT_BYTES,
    ) -> None:
        self._find, self._load, self._most = find, load, kept_bytes
        self._kept: OrderedDict[str, _Ready] = OrderedDict()
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}

    def layout(self, study: str, content: str = "") -> dict[str, Any]:
        """Return, as JSON, where everything is on every picture of a study; neither scores nor models are in it.

        Args:
            study: StudyInstanceUID.
            content: of the prepared study whose candidates are wanted (``ProposedStudy.content``); of the last one by
                default. Where it has gone and the study was prepared anew on the same reference series, the new one is
                drawn, and ``anew`` says so.

        Raises:
            NotFoundError: there is no such study.
            GoneError: it must be prepared again.
        """
        every = self._of(study, content)
        proposed = every[-1]
        ready = self._ready_now(proposed)
        return {
            "study": study,
            "content": proposed.content,
            "anew": ready.prepared.content != proposed.content,
            "phases": [
                {
                    "phase": phase.value,
                    "scanned": phase in ready.prepared.phases,
                    "told_by": ready.prepared.phases[phase].told_by if phase in ready.prepared.phases else "",
                    "registered": ready.prepared.phases[phase].registered if phase in ready.prepared.phases else "",
                }
                for phase in Phase
            ],
            "reference": proposed.reference.value,
            "windows": [
                {
                    "name": window.name,
                    "label": window.label,
                    "width": window.width_hu,
                    "levels": {phase.value: round(window.level(level)) for phase, level in ready.levels.items()},
                }
                for window in WINDOWS.values()
            ],
            "cards": {
                uid: _json(
                    lay_out(ready.prepared, ready.placed(candidate, proposed))
                )  # by UID: a proposal has them by their scores
                for uid, candidate in sorted({c.uid: c for one in every for c in one.candidates}.items())
            },
            "stack": asdict(ready.stack),
        }

    def card(self, study: str, candidate: str, window: str, content: str = "") -> bytes:
        """Return the picture of a candidate, a PNG; see ``CardLayout``, and ``layout`` for ``content``.

        Raises:
            NotFoundError: there is no such study, candidate or window.
        """
        every = self._of(study, content) if content else self._find(study)
        preset = find_window(window)
        for proposed, known in ((one, known) for one in reversed(every) for known in one.candidates):
            if known.uid == candidate:
                ready = self._ready_now(proposed)
                layout = lay_out(ready.prepared, ready.placed(known, proposed))
                return draw_card(ready.prepared, layout, preset, ready.levels)
        raise NotFoundError("the candidate", expected="one of the study", came="another", fix="Reload the page.")

    def stack(self, study: str, phase: str, window: str, first: int, content: str = "") -> bytes:
        """Return whole slices of a phase from an index k on, below each other, a PNG; see ``StackLayout``.

        ``layout`` says what ``content`` is.

        Raises:
            NotFoundError: there is no such study, phase, window or slice.
        """
        preset = find_window(window)
        ready = self._ready_now(self._of(study, content)[-1])
        wanted = next((known for known in ready.prepared.phases if known.value == phase), None)
        if wanted is None:
            there = " or ".join(ready.prepared.phases)
            raise NotFoundError("the phase", expected=there, came=phase[:40], fix="Choose one that was scanned.")
        layout = ready.stack
        if not 0 <= first < layout.slices:
            raise NotFoundError(
                "the slice", expected=f"0 to {layout.slices - 1}", came=str(first), fix="Choose one of them."
            )
        return draw_stack(
            ready.prepared,
            wanted,
            slices=range(first, min(first + STACK_SLICES, layout.slices)),
            size_px=layout.size_px,
            level_hu=preset.level(ready.levels[wanted]),
            width_hu=preset.width_hu,
        )

    def _of(self, study: str, content: str) -> Sequence[ProposedStudy]:
        """Return what was proposed on one and the same prepared study, the oldest first."""
        every = self._find(study)
        wanted = content or every[-1].content
        found = [one for one in every if one.content == wanted]
        if not found:
            raise NotFoundError(
                "the prepared study",
                expected="one on which something was proposed",
                came="another",
                fix="Reload the page.",
            )
        return found

    def _ready_now(self, proposed: ProposedStudy) -> _Ready:
        """Return what a study was proposed on, or what it was prepared as since, if the boxes lie in that, too."""
        try:
            return self._ready(proposed)
        except NotFoundError:
            latest = self._find(proposed.study_uid)[-1]
            if latest.content != proposed.content and _reference(latest) == _reference(proposed):
                with suppress(NotFoundError):
                    return self._ready(latest)
            raise GoneError(
                "the pictures of the study",
                expected="a prepared study",
                came="none: it made room for others",
                fix="Propose the study again.",
            ) from None

    def _ready(self, proposed: ProposedStudy) -> _Ready:
        """Return a study from memory or disk; loaded once, however many ask at the same time."""
        key = f"{proposed.study_uid} {proposed.content}"
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            loading = self._loading.setdefault(key, threading.Lock())
        with loading:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            try:
                prepared = self._load(proposed)
                ready = _Ready(prepared, liver_levels(prepared), lay_out_stack(prepared))
                with self._lock:
                    self._kept[key] = ready
                    while len(self._kept) > 1 and sum(kept.bytes for kept in self._kept.values()) > self._most:
                        self._kept.popitem(last=False)
            finally:
                with self._lock:
                    self._loading.pop(key, None)
            return ready


def _reference(study: ProposedStudy) -> str | None:
    """The series in whose frame its boxes lie."""
    return study.image_ids.get(study.reference)


def lay_out_stack(prepared: PreparedStudy) -> StackLayout:
    """Return how whole slices of a study are drawn."""
    grid = prepared.grid
    view = View.of(grid)
    columns, rows, depth = grid.size
    step_i, step_j, _ = grid.spacing
    mm_per_px = max(columns * step_i, rows * step_j) / STACK_PX
    size = max(1, round(columns * step_i / mm_per_px)), max(1, round(rows * step_j / mm_per_px))
    to_voxels = np.diag([columns / size[0], rows / size[1], 1.0, 1.0])
    if view.mirrored:
        to_voxels[0] = [-to_voxels[0, 0], 0, 0, columns]
    if view.flipped:
        to_voxels[1] = [0, -to_voxels[1, 1], 0, rows]
    to_voxels[:3, 3] -= 0.5  # edges of voxels to indices, whose whole numbers are middles
    to_lps = grid.affine @ to_voxels
    return StackLayout(
        size_px=size,
        mm_per_px=mm_per_px,
        per_picture=STACK_SLICES,
        slices=depth,
        to_lps=tuple(tuple(float(value) for value in row) for row in to_lps),
        headwards=view.headwards,
        left=view.left,
        top=view.top,
        focus=_focus(prepared, view, size),
    )


def _focus(prepared: PreparedStudy, view: View, size_px: tuple[int, int]) -> Edges:
    """Return where the liver is on drawn slices, and everything where none was found."""
    columns, rows, _ = prepared.grid.size
    seen = np.asarray(np.any(prepared.liver, axis=0))
    if not seen.any():
        return 0.0, 0.0, float(size_px[0]), float(size_px[1])
    step_i, step_j, _ = prepared.grid.spacing
    across, down = np.flatnonzero(np.any(seen, axis=0)), np.flatnonzero(np.any(seen, axis=1))
    more_i, more_j = _ROUND_LIVER_MM / step_i, _ROUND_LIVER_MM / step_j
    edges = view.on_screen(
        (
            max(0.0, float(across[0]) - more_i),
            max(0.0, float(down[0]) - more_j),
            min(float(columns), float(across[-1]) + 1 + more_i),
            min(float(rows), float(down[-1]) + 1 + more_j),
        ),
        (columns, rows),
    )
    x, y = size_px[0] / columns, size_px[1] / rows
    return edges[0] * x, edges[1] * y, edges[2] * x, edges[3] * y


def _json(layout: CardLayout) -> dict[str, Any]:
    told = asdict(layout)
    return {**told, "phases": list(layout.phases), "missing": list(layout.missing)}
