"""From the series of a CT study to phases on one grid: choose, register, find the liver, say what was given up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepatic.errors import BadInputError, NotFoundError
from hepatic.geometry import Grid
from hepatic.harvest.phases import PhaseFinding, decide, order_warnings, phases_by_tags
from hepatic.harvest.prepared_cache import content_of, load_prepared, save_prepared
from hepatic.harvest.series import Series, SeriesTags, read_tags
from hepatic.harvest.study import Phase, PhaseVolume, PreparedStudy
from hepatic.io.image import Volume
from hepatic.io.orient import upright
from hepatic.io.read import read
from hepatic.registration.register import AIR_HU, Method, Registration, register

logger = logging.getLogger(__name__)

FindPhase = Callable[[Volume], Mapping[Phase, float]]
"""Probability of each phase, from the picture alone."""
FindLiver = Callable[[Volume], NDArray[np.bool_]]
"""(K, J, I) bool on the volume's grid, lesions not cut out of it."""
OnStage = Callable[[str, float], None]
"""Told the name of a stage (read, phase, liver, register, write) and the seconds it took."""

_REFERENCES = (Phase.VENOUS, Phase.DELAYED, Phase.ARTERIAL, Phase.NC)
FEWEST_SLICES = 8
LEAST_LIVER_ML = 100.0
LEAST_SHOWN, MOST_SHOWN = 0.5, 0.95
"""Share of the reference's liver that a phase must show to be used, and below which a warning says so."""
THICKER = 1.5
BODY_HU = -200
"""Brighter than this is body, not air; it stands in for a liver that was not found."""
_AXIAL = 0.9  # cosine between the slices' normal and the patient's axis
_LEAST_RANGE_HU = 50.0


@dataclass(frozen=True, eq=False)
class _Scan:
    """A series that can be used, without its picture: a study may have many."""

    series: Series
    tags: SeriesTags
    grid: Grid
    finding: PhaseFinding

    @property
    def rank(self) -> tuple[int, float]:
        """More slices come first, then thinner ones."""
        return -self.grid.size[2], self.grid.spacing[2]


def prepare_study(
    series: Sequence[Series],
    *,
    find_phase: FindPhase | None,
    find_liver: FindLiver | None,
    cache: Path,
    made_by: str = "",
    methods: tuple[Method, ...] = ("convexadam", "bspline"),
    on_stage: OnStage | None = None,
) -> PreparedStudy:
    """Prepare a study, or take it from the cache.

    One series is chosen per phase, and every other phase is carried onto the grid of the reference, the venous one
    where there is one (paper 001, section II-A: later stages see each phase on its own, all in one frame). Series that
    cannot be used are left out, and everything that was left out, guessed or given up stands in ``warnings``. The
    grid stands upright (columns to the left, rows to the back, slices to the head), however the files lie.

    Args:
        series: of one study.
        find_phase: looks at a picture; None believes the tags alone.
        find_liver: draws the liver; None takes the whole body.
        cache: folder of prepared studies.
        made_by: names the models behind both finders; another name prepares again.
        methods: of registration, tried in this order.
        on_stage: told how long each stage took.

    Raises:
        BadInputError: no series can be used (every reason is told), or they are of several studies.
        StorageError: the result cannot be written.
    """
    if len({one.study_uid for one in series}) != 1:
        raise BadInputError(
            "study",
            expected="series of one study",
            came=f"series of {len({one.study_uid for one in series})} studies",
            fix="Prepare one study at a time.",
        )
    content = content_of(series, f"{made_by} {' '.join(methods)}")
    try:
        return load_prepared(cache, content)
    except NotFoundError:
        pass
    clock = _Clock(on_stage)
    warnings: list[str] = []
    read_once = lru_cache(maxsize=len(Phase))(_ct_volume)
    scans = _usable(series, read_once, find_phase, warnings, clock)
    chosen = _one_per_phase(scans, warnings)
    with clock("read"):
        volumes = {phase: read_once(scan.series, scan.tags) for phase, scan in chosen.items()}
        read_once.cache_clear()
    study = _on_one_grid(chosen, volumes, find_liver, methods, warnings, clock)
    study = replace(study, warnings=tuple(warnings), content=content)
    with clock("write"):
        save_prepared(cache, study)
    return study


def _usable(
    series: Sequence[Series],
    read_volume: Callable[[Series, SeriesTags], Volume],
    find_phase: FindPhase | None,
    warnings: list[str],
    clock: _Clock,
) -> list[_Scan]:
    """Look at every series and keep what is told of those that can be used; say why the rest cannot."""
    readable: list[tuple[Series, SeriesTags, Grid, Mapping[Phase, float] | None]] = []
    for one in sorted(series, key=lambda one: one.image_id):
        try:
            with clock("read"):
                tags = read_tags(one)
                volume = read_volume(one, tags)
        except BadInputError as error:
            warnings.append(f"{one.called} is left out: expected {error.expected}, but found {error.came}.")
            continue
        with clock("phase"):
            seen = None if find_phase is None else find_phase(volume)
        readable.append((one, tags, volume.grid, seen))
    if not readable:
        raise BadInputError(
            "study",
            expected="at least one CT series with a regular stack of axial slices",
            came="none. " + " ".join(warnings),
            fix="Export the study again, or choose another one.",
        )
    by_tags = phases_by_tags([tags for _, tags, _, _ in readable])
    scans = []
    for (one, tags, grid, seen), told in zip(readable, by_tags, strict=True):
        finding = decide(one.called, seen, told)
        if finding.warning:
            warnings.append(finding.warning)
        scans.append(_Scan(one, tags, grid, finding))
    return scans


def _ct_volume(one: Series, tags: SeriesTags) -> Volume:
    """Read a series as int16 HU; BadInputError where it is no axial stack of CT slices."""

    def refuse(expected: str, came: str) -> BadInputError:
        return BadInputError(one.called, expected=expected, came=came, fix="The other series are used without it.")

    if tags.modality not in ("CT", "OT"):
        raise refuse("a CT series", f"modality {tags.modality}")
    if tags.localiser:
        raise refuse("a stack of slices", "a localiser")
    image = read(one.source)
    if not isinstance(image, Volume) or image.modality not in ("CT", "OT"):
        raise refuse("a CT volume", f"modality {image.modality}")
    if image.grid.size[2] < FEWEST_SLICES:
        raise refuse(f"{FEWEST_SLICES} slices or more", f"{image.grid.size[2]}")
    if abs(image.grid.direction[2, 2]) < _AXIAL:
        raise refuse("axial slices", "slices that stand across the patient's axis")
    hu = np.clip(np.rint(image.array), AIR_HU, 3071).astype(np.int16)
    if int(hu.max()) - int(hu.min()) < _LEAST_RANGE_HU:
        raise refuse("a picture in HU", f"values from {hu.min()} to {hu.max()} only")
    return upright(Volume(hu, image.grid, "CT"))


def _one_per_phase(scans: Sequence[_Scan], warnings: list[str]) -> dict[Phase, _Scan]:
    known: dict[Phase, list[_Scan]] = {}
    for scan in scans:
        if scan.finding.phase is not None:
            known.setdefault(scan.finding.phase, []).append(scan)
    unknown = sorted((scan for scan in scans if scan.finding.phase is None), key=lambda scan: scan.rank)
    if unknown and Phase.VENOUS not in known:
        guessed = unknown.pop(0)
        known[Phase.VENOUS] = [guessed]
        warnings.append(f"{guessed.series.called}: nothing tells its phase; it is taken as the venous one.")
    warnings.extend(f"{scan.series.called} is left out: nothing tells its phase." for scan in unknown)
    chosen = {}
    for phase in Phase:
        candidates = sorted(known.get(phase, ()), key=lambda scan: (*scan.rank, scan.series.image_id))
        if not candidates:
            continue
        chosen[phase] = best = candidates[0]
        for other in candidates[1:]:
            warnings.append(
                f"{other.series.called} ({_stack(other)}) is left out: {best.series.called} ({_stack(best)}) is "
                f"{_article(phase)} phase, too, and was taken."
            )
    if len(chosen) == 1:
        warnings.append(f"Only one phase can be used, {_article(next(iter(chosen)))} one: nothing to compare it with.")
    warnings.extend(order_warnings({phase: scan.tags.acquired_s for phase, scan in chosen.items()}))
    return chosen


def _on_one_grid(
    chosen: Mapping[Phase, _Scan],
    volumes: dict[Phase, Volume],
    find_liver: FindLiver | None,
    methods: tuple[Method, ...],
    warnings: list[str],
    clock: _Clock,
) -> PreparedStudy:
    reference = next(phase for phase in _REFERENCES if phase in chosen)
    if reference is not Phase.VENOUS:
        warnings.append(f"There is no venous phase: {_article(reference)} one is the reference.")
    fixed = volumes[reference]
    with clock("liver"):
        found_liver = _liver(fixed, find_liver, warnings)
        liver = _body(fixed) if found_liver is None else found_liver
    phases = {}
    for phase, scan in chosen.items():
        moving = volumes.pop(phase)
        if phase is reference:
            phases[phase] = _carried(phase, scan, fixed.array, "reference")
            continue
        with clock("register"):
            shown = 1.0 if found_liver is None else _shown(liver, fixed, moving)
            found = _placed(phase, (chosen[reference], fixed), (scan, moving), liver, shown, methods, warnings)
            if found is not None:
                hu = found.carry(moving, fixed.grid)
                phases[phase] = _carried(phase, scan, hu, found.method)
    return PreparedStudy(
        study_uid=chosen[reference].series.study_uid,
        patient_id=chosen[reference].series.patient_id,
        reference=reference,
        grid=fixed.grid,
        phases=phases,
        liver=liver,
    )


def _liver(volume: Volume, find_liver: FindLiver | None, warnings: list[str]) -> NDArray[np.bool_] | None:
    """Find the liver; None where there is no model of it or it finds none."""
    if find_liver is None:
        return None
    liver = np.asarray(find_liver(volume), bool)
    found_ml = float(liver.sum()) * float(np.prod(volume.grid.spacing)) / 1000
    if found_ml >= LEAST_LIVER_ML:
        return liver
    warnings.append(f"No liver was found ({found_ml:.0f} ml): candidates are looked for in the whole picture.")
    return None


def _body(volume: Volume) -> NDArray[np.bool_]:
    """The patient without the air around: detectors measure brightness by the median of where they look."""
    parts, count = ndimage.label(volume.array.astype(np.int16) > BODY_HU)
    if not count:
        return np.ones(volume.grid.shape, bool)
    largest = parts == 1 + int(np.bincount(parts.ravel())[1:].argmax())
    return np.stack([ndimage.binary_fill_holes(picture) for picture in largest])


def _placed(
    phase: Phase,
    fixed: tuple[_Scan, Volume],
    moving: tuple[_Scan, Volume],
    liver: NDArray[np.bool_],
    shown: float,
    methods: tuple[Method, ...],
    warnings: list[str],
) -> Registration | None:
    """Register a phase; None where it does not show the liver or nobody knows where it lies."""
    called = f"{_article(phase).capitalize()} phase"
    if shown < LEAST_SHOWN:
        warnings.append(f"{called} is left out: it shows {shown:.0%} of the liver.")
        return None
    if shown < MOST_SHOWN:
        warnings.append(f"{called} shows only {shown:.0%} of the liver.")
    ours, theirs = (scan.grid.spacing[2] for scan, _ in (fixed, moving))
    if theirs > THICKER * ours:
        warnings.append(
            f"{called} has a slice every {theirs:.1f} mm, the reference every {ours:.1f} mm: between them it is "
            "interpolated."
        )
    frames = {scan.tags.frame_of_reference for scan, _ in (fixed, moving)}
    elsewhere = None not in frames and len(frames) > 1
    found = register(fixed[1], moving[1], liver, methods=methods)
    for method, why in found.given_up.items():
        warnings.append(f"{called}: registration by {method} was given up, {why}.")
    if found.method == "none" and elsewhere:
        warnings.append(f"{called} is left out: it has another frame of reference and could not be registered.")
        return None
    if found.method == "none" and methods:
        warnings.append(f"{called} stays where it was scanned: lesions may lie elsewhere in it.")
    if elsewhere:
        warnings.append(f"{called} has another frame of reference: its place rests on the registration alone.")
    return found


def _shown(liver: NDArray[np.bool_], fixed: Volume, moving: Volume) -> float:
    """Share of the liver's voxels that lie within another volume, by their tags."""
    within = np.flatnonzero(liver)
    within = within[:: max(1, len(within) // 4096)]
    voxels = np.stack(np.unravel_index(within, liver.shape)[::-1], axis=1)
    to_moving = np.linalg.inv(moving.grid.affine) @ fixed.grid.affine
    places = voxels @ to_moving[:3, :3].T + to_moving[:3, 3]
    return float(((places >= -0.5) & (places <= np.array(moving.grid.size) - 0.5)).all(axis=1).mean())


def _carried(phase: Phase, scan: _Scan, hu: NDArray[np.generic], registered: str) -> PhaseVolume:
    told = scan.finding.told_by
    return PhaseVolume(phase, scan.series.image_id, np.asarray(hu, np.int16), told, registered)


def _article(phase: Phase) -> str:
    return {Phase.NC: "the non-contrast", Phase.ARTERIAL: "the arterial"}.get(phase, f"the {phase.value}")


def _stack(scan: _Scan) -> str:
    return f"{scan.grid.size[2]} slices, one every {scan.grid.spacing[2]:.1f} mm"


class _Clock:
    """Adds up how long each stage takes."""

    def __init__(self, on_stage: OnStage | None) -> None:
        self._on_stage = on_stage

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self._on_stage is not None:
            self._on_stage(stage, time.perf_counter() - start)
