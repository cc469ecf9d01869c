"""Judge a model by readers' labels, on the source grid and through the whole pipeline."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from hepatic.boxes import Boxes, hits, iou, kept_by_nms, sizes
from hepatic.engine.candidates import choose
from hepatic.engine.cases import TrainingCase
from hepatic.engine.kind import all_known
from hepatic.engine.model import LoadedModel, run_classifier, run_detector, run_network
from hepatic.engine.prepared_cases import Livers, whole_sample
from hepatic.errors import BadInputError
from hepatic.io.image import Labelmap
from hepatic.metrics import dice, hd95_px, lesion_recall
from hepatic.metrics import iou as mask_iou
from hepatic.metrics.classification import class_metrics, finding_metrics
from hepatic.metrics.detection import Found, bootstrap_interval, froc, froc_interval, p1td, primary_found
from hepatic.metrics.threshold import FEWEST_LESIONS, choose_threshold
from hepatic.tasks.recipe import Recipe
from hepatic.tasks.spec import ClassificationTask, DetectionTask, Sample, SegmentationTask, Task

logger = logging.getLogger(__name__)

Row = dict[str, float]


def evaluate(
    recipe: Recipe,
    model: LoadedModel[Task],
    cases: Iterable[TrainingCase],
    *,
    device: torch.device,
    livers: Livers | None = None,
) -> dict[str, float]:
    """Judge a model by cases it has not seen.

    Args:
        recipe: says how a case is expanded.
        model: in whichever preset; prepares by its own.
        cases: with their truth.
        device: where the network runs.
        livers: finds livers for a detector whose case brings none.

    Returns:
        ``cases``, the number of images (of a detector: studies) judged, and the measures of the task's kind:

        Segmentation, means over images: ``dice`` of the first label and ``dice_<name>`` of the others where they are
        labelled, ``iou``; of a run, whose first labelled frame is judged with that key frame given, also ``hd95_px``
        (of the frames where both sides found something) and ``lesion_recall`` (a lesion counts when half of it is
        found).

        Detection: ``p1td_1``, ``p1td_10`` and ``froc`` (``hepatic.metrics.detection``) of the candidates of all images
        of a study together. The primary tumour is the one the case names, else the largest box. ``p1td_1_low``,
        ``p1td_1_high`` and so on are 95 % intervals by the bootstrap over patients, where there are several.
        Where the model's card names the score from which readers are shown candidates (``shown_from``), it is repeated,
        and ``cards`` is how many a study then has.

        Classification: those of ``hepatic.metrics.classification``; each image counts once, however it is expanded.

    Raises:
        BadInputError: a detector is to be judged by studies none of which holds a lesion and is known as a whole.
    """
    match model.task:
        case SegmentationTask():
            return _means(_segmented(recipe, cast(LoadedModel[SegmentationTask], model), cases, device))
        case DetectionTask():
            studies = found_in(recipe, cast(LoadedModel[DetectionTask], model), cases, device=device, livers=livers)
            return detection_metrics(recipe.name, studies, shown_from=model.card.metrics.get("shown_from"))
        case ClassificationTask():
            return _classified(recipe, cast(LoadedModel[ClassificationTask], model), cases, device)
    raise TypeError(type(model.task))


def choose_shown_from(studies: list[Found]) -> float | None:
    """Return the score from which candidates are worth a reader's look (``hepatic.metrics.threshold``).

    None where candidates hit fewer than ``FEWEST_LESIONS`` lesions: too few to tell what a score loses.
    """
    gold = [(study.scores, hits(study.boxes, study.lesions)) for study in studies]
    if sum(int(hit.any(axis=0).sum()) for _, hit in gold) < FEWEST_LESIONS:
        return None
    return math.floor(choose_threshold(gold).score * 1e4) / 1e4


def detection_metrics(name: str, studies: list[Found], *, shown_from: float | None = None) -> dict[str, float]:
    """Return P1TD-1, P1TD-10 and the mean sensitivity of the FROC curve over the studies that hold a lesion.

    With the two ends of their 95 % intervals where the studies are of several patients.
    """
    with_lesions = [study for study in studies if len(study.lesions)]
    if not with_lesions:
        raise nothing_to_judge(name, len(studies))
    return {
        "p1td_1": round(p1td(with_lesions, k=1), 4),
        "p1td_10": round(p1td(with_lesions, k=10), 4),
        "froc": round(froc(with_lesions)[2], 4),
        "cases": float(len(with_lesions)),
        **_intervals(with_lesions),
        **({} if shown_from is None else {"shown_from": shown_from, "cards": _cards(studies, shown_from)}),
    }


def nothing_to_judge(name: str, studies: int) -> BadInputError:
    """Return the error of a detector none of whose studies holds a lesion and is known as a whole."""
    return BadInputError(
        f"judging of '{name}'",
        expected="a lesion in at least one study of the validation patients all of whose lesions are known",
        came=f"{studies} studies without any",
        fix="Submit boxes of more patients, then train again.",
    )


def _cards(studies: list[Found], shown_from: float) -> float:
    return round(float(np.mean([(study.scores >= shown_from).sum() for study in studies])), 2)


def _intervals(studies: list[Found]) -> dict[str, float]:
    patients = [study.patient_id for study in studies]
    if len(set(patients)) < 2:
        return {}
    found = {
        f"p1td_{k}": bootstrap_interval([primary_found(study, k=k) for study in studies], patients) for k in (1, 10)
    }
    found["froc"] = froc_interval(studies)
    return {
        f"{name}_{end}": round(value, 4)
        for name, interval in found.items()
        for end, value in zip(("low", "high"), interval, strict=True)
    }


def found_in(
    recipe: Recipe,
    model: LoadedModel[DetectionTask],
    cases: Iterable[TrainingCase],
    *,
    device: torch.device,
    livers: Livers | None = None,
) -> list[Found]:
    """Run a detector on cases and merge what it finds in the images of each study; one entry per study.

    Cases not all of whose lesions are known are left out: what is found in them beside the boxes may be right.
    """
    options = model.task.parse_options({})
    studies: dict[str, _Study] = {}
    for case in cases:
        whole = whole_sample(case, model.task, livers)
        if not all_known(whole):
            logger.info("Image %s does not judge: not all of its lesions are known", case.image_id)
            continue
        for sample in recipe.expand(whole):
            prepared = model.task.prepare(sample)
            peaks = run_detector(model, prepared["image"], device)
            study = studies.setdefault(case.study, _Study(case.patient_id))
            study.found.append(choose(*peaks, prepared["grid"], options))
            study.know(np.asarray(sample["boxes"], np.float64).reshape(-1, 6), sample.get("primary"))
    return [study.merged(max_iou=float(options["max_iou"]), most=int(options["most"])) for study in studies.values()]


@dataclass
class _Study:
    """What was found in the images of a study, and the lesions they are known to show."""

    patient_id: str
    found: list[tuple[Boxes, NDArray[np.float64]]] = field(default_factory=list)
    lesions: Boxes = field(default_factory=lambda: np.zeros((0, 6)))
    primary: Boxes | None = None

    def know(self, lesions: Boxes, primary: int | None) -> None:
        """Add the lesions of a further image; one that was boxed in an earlier image, too, counts once."""
        again = hits(lesions, self.lesions) & hits(self.lesions, lesions).T
        self.lesions = np.concatenate([self.lesions, lesions[~again.any(axis=1)]])
        if self.primary is None and primary is not None:
            self.primary = lesions[primary : primary + 1]

    def merged(self, *, max_iou: float, most: int) -> Found:
        """Merge the candidates as a reader is shown them; the primary tumour is the one named, else the largest box."""
        boxes, scores = (np.concatenate(parts) for parts in zip(*self.found, strict=True))
        kept = kept_by_nms(boxes, scores, max_iou=max_iou, most=most)
        primary = 0
        if len(self.lesions):
            likeness = sizes(self.lesions).prod(axis=1) if self.primary is None else iou(self.primary, self.lesions)[0]
            primary = int(likeness.argmax())
        return Found(boxes[kept], scores[kept], self.lesions, primary=primary, patient_id=self.patient_id)


def _segmented(
    recipe: Recipe, model: LoadedModel[SegmentationTask], cases: Iterable[TrainingCase], device: torch.device
) -> list[Row]:
    rows = []
    for case in cases:
        sample = next(iter(recipe.expand(case.sample(model.task))))
        prepared = model.task.prepare(sample)
        finished = model.task.finish({**prepared, "probabilities": run_network(model, prepared["image"], device)})
        if "key_frame" in sample:
            rows.append(_of_frame(finished["labelmap"][finished["facts"]["key_frame"]], sample, model.task.labels))
        else:
            rows.append(_of_volume(finished["labelmap"], sample["label"], model.task.labels))
    return rows


def _classified(
    recipe: Recipe, model: LoadedModel[ClassificationTask], cases: Iterable[TrainingCase], device: torch.device
) -> Row:
    truth, probabilities = [], []
    for case in cases:
        sample = next(iter(recipe.expand(case.sample(model.task))))
        told, _ = run_classifier(model, model.task.prepare(sample)["image"], device)
        probabilities.append(told.double().numpy())
        truth.append(sample["truth"])
    if not truth:
        return {}
    task = model.task
    if task.findings:
        known = np.array([task.known[name] for name in truth])
        found = finding_metrics(known, np.stack(probabilities), task.labels)
    else:
        found = class_metrics([task.labels.index(name) for name in truth], np.stack(probabilities), task.labels)
    return {**{name: round(value, 4) for name, value in found.items()}, "cases": float(len(truth))}


def _means(rows: list[Row]) -> dict[str, float]:
    if not rows:
        return {}
    means = {
        name: _mean([row[name] for row in rows if name in row]) for name in sorted({n for row in rows for n in row})
    }
    return {**{name: mean for name, mean in means.items() if not math.isnan(mean)}, "cases": float(len(rows))}


def _of_frame(predicted: NDArray[np.uint8], sample: Sample, labels: tuple[str, ...]) -> Row:
    labelmap: Labelmap = sample["label"]
    picture = labelmap.array[sample["key_frame"]]
    row = _overlaps(predicted, picture, labelmap, labels)
    ours, theirs = predicted == 1, picture == _value(labelmap, labels[0], 1)
    return {**row, "hd95_px": hd95_px(ours, theirs), "lesion_recall": lesion_recall(ours, theirs)}


def _of_volume(predicted: NDArray[np.uint8], labelmap: Labelmap, labels: tuple[str, ...]) -> Row:
    return _overlaps(predicted, labelmap.array, labelmap, labels)


def _overlaps(
    predicted: NDArray[np.uint8], drawn: NDArray[np.unsignedinteger], labelmap: Labelmap, labels: tuple[str, ...]
) -> Row:
    row: Row = {}
    for value, name in enumerate(labels, start=1):
        ours, theirs = predicted == value, drawn == _value(labelmap, name, value)
        if value == 1:
            row = {"dice": dice(ours, theirs), "iou": mask_iou(ours, theirs)}
        elif theirs.any():
            row[f"dice_{name}"] = dice(ours, theirs)
    return row


def _value(labelmap: Labelmap, name: str, place: int) -> int:
    return labelmap.names.get(name, place if not labelmap.names else -1)


def _mean(values: list[float]) -> float:
    finite = [value for value in values if not math.isnan(value)]
    return round(float(np.mean(finite)), 4) if finite else math.nan
