"""What differs between the kinds of tasks in training: what a sample keeps, and how an epoch is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import torch

from hepatic.boxes import hits, kept_by_nms, to_voxels
from hepatic.tasks.spec import ClassificationTask, DetectionTask, Sample, SegmentationTask, Task

MEASURES = {"segmentation": "dice", "detection": "average_precision", "classification": "true_class_probability"}
"""By kind of task, the measure on the network's grid by which the best epoch of a run is found."""


@singledispatch
def training_sample(task: Task, prepared: Sample) -> Sample:
    """Keep of a prepared sample what training needs of it: tensors; of a detector also grid and what is known."""
    raise TypeError(type(task))


@training_sample.register
def _(task: SegmentationTask, prepared: Sample) -> Sample:
    return {name: prepared[name] for name in ("image", "target", "known")}


@training_sample.register
def _(task: DetectionTask, prepared: Sample) -> Sample:
    image = prepared["image"]
    sizes = np.asarray(image.shape[-3:])

    def voxels(name: str) -> torch.Tensor:
        boxes = to_voxels(prepared.get(name, ()), prepared["grid"])
        middle = (boxes[:, :3] + boxes[:, 3:]) / 2
        inside = ((middle >= 0) & (middle < sizes)).all(axis=1)
        return torch.from_numpy(boxes[inside].astype(np.float32))

    return {
        "image": image.contiguous(),
        "grid": prepared["grid"],
        "boxes": voxels("boxes"),
        "negatives": voxels("negatives"),
        "ignored": voxels("ignored"),
        "complete": bool(prepared.get("complete", True)),
        "all_known": all_known(prepared),
    }


@training_sample.register
def _(task: ClassificationTask, prepared: Sample) -> Sample:
    kept = {"image": prepared["image"], "target": task.target(prepared["truth"])}
    if "mask" not in prepared:
        return kept
    is_known = len(prepared["boxes"]) > 0 or prepared["truth"] == task.absent
    return {**kept, "mask": prepared["mask"], "mask_known": torch.tensor(float(is_known))}


def all_known(sample: Sample) -> bool:
    """Whether all lesions of a detector's sample are known: as it says itself (``all_known``).

    Where it does not say: nothing unmarked may be a lesion, and no box is ignored.
    """
    if "all_known" in sample:
        return bool(sample["all_known"])
    return bool(sample.get("complete", True)) and not len(sample.get("ignored", ()))


@singledispatch
def judged_samples(task: Task, samples: Sequence[Sample]) -> list[Sample]:
    """Turn kept samples into ones that can be batched as they are."""
    return list(samples)


@judged_samples.register
def _(task: DetectionTask, samples: Sequence[Sample]) -> list[Sample]:
    samples = [sample for sample in samples if all_known(sample)] or samples  # else what is found may be right
    longest = max((len(sample["boxes"]) for sample in samples), default=0)
    rows = torch.full((max(longest, 1), 6), torch.nan)
    padded = []
    for sample in samples:
        boxes = rows.clone()
        boxes[: len(sample["boxes"])] = sample["boxes"]
        padded.append({"image": sample["image"], "boxes": boxes})
    return padded


@singledispatch
def can_tune(task: Task, samples: Sequence[Sample]) -> bool:
    """Whether epochs can be compared on kept samples: something that is looked for must be in one of them."""
    return bool(samples)


@can_tune.register
def _(task: SegmentationTask, samples: Sequence[Sample]) -> bool:
    return any(bool((sample["target"][0] > 0.5).any()) for sample in samples)


@can_tune.register
def _(task: DetectionTask, samples: Sequence[Sample]) -> bool:
    return any(all_known(sample) and len(sample["boxes"]) for sample in samples)


@singledispatch
def judge(task: Task, output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Judge a network's output for a batch, by the kind's measure (``MEASURES``).

    Returns:
        (B, 1), larger is better: one row per sample, so that a short last batch does not weigh more.
    """
    raise TypeError(type(task))


@judge.register
def _(task: SegmentationTask, output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    reference = batch["target"][:, 0] > 0.5
    predicted = task.probabilities(output)[:, 0] >= 0.5
    both = (predicted & reference).flatten(1).sum(1)
    total = predicted.flatten(1).sum(1) + reference.flatten(1).sum(1)
    return torch.where(total > 0, 2 * both / total.clamp(min=1), 1.0)[:, None]


@judge.register
def _(task: DetectionTask, output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    boxes, scores = (part.detach().double().cpu().numpy() for part in task.decode(output))
    options = task.parse_options({})
    rows = []
    for found, sure, padded in zip(boxes, scores, batch["boxes"].double().cpu().numpy(), strict=True):
        sound = (found[:, 3:] > found[:, :3]).all(axis=1) & np.isfinite(sure)
        found, sure = found[sound], sure[sound]
        kept = kept_by_nms(found, sure, max_iou=float(options["max_iou"]), most=int(options["most"]))
        lesions = padded[np.isfinite(padded).all(axis=1)]
        if len(lesions):
            rows.append(average_precision(hits(found[kept], lesions)))
        else:
            rows.append(1 / (1 + int((sure[kept] >= float(options["min_score"])).sum())))
    return torch.tensor(rows, dtype=torch.float32)[:, None]


@judge.register
def _(task: ClassificationTask, output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    probabilities, target = task.probabilities(output), batch["target"]
    if not task.findings:
        return probabilities.gather(1, target[:, None])
    p = probabilities.float().clamp(1e-6, 1 - 1e-6)
    logs = target[:, 0] * p.log() + target[:, 1] * (1 - p).log()
    return (logs.sum(dim=1) / target.sum(dim=(1, 2))).exp()[:, None]  # geometric mean over what applies


def average_precision(hit: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """Mean, over the lesions of an image, of the precision at the candidate that found each; 0 for one not found.

    Args:
        hit: (N, M), which candidate, the surest first, hits which lesion. A candidate takes one lesion that is not
            taken yet; a further one on lesions that are all taken counts neither for nor against.
    """
    free, right, wrong, total = np.ones(hit.shape[1], bool), 0, 0, 0.0
    for row in hit:
        if not row.any():
            wrong += 1
        elif (row & free).any():
            free[np.flatnonzero(row & free)[0]] = False
            right += 1
            total += right / (right + wrong)
    return float(total / max(1, hit.shape[1]))
