"""Train a detector of ``ct_harvest``, run it, and let a simulated reader judge what it proposes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks._harvest_models import Model
from benchmarks._harvest_studies import Study
from hepatic import boxes
from hepatic.engine.device import place
from hepatic.harvest.propose import MAX_IOU, merge
from hepatic.harvest.study import Phase, Proposal
from hepatic.metrics import Found
from train_tasks.ct_centernet3d import RECIPE, one_cycle

BATCH = RECIPE.batch_size
MOST = 10
"""Candidates per study."""
QA_MINUTES, BOXING_MINUTES = 1.0, 15.0
"""Per study: clicking, and boxing by hand (paper 001, section II-B)."""

Lineage = tuple[Proposal, ...]


def train(model: Model, studies: Sequence[Study], *, seed: int, steps: int, tell: Callable[[str], None]) -> nn.Module:
    """Train a new network for some steps of single-phase samples."""
    torch.manual_seed(seed)
    network = place(model.build(), torch.device("cpu")).train()
    samples = [(study, phase) for study in studies for phase in range(len(study.images))]
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=model.rate, weight_decay=1e-4)
    schedule = one_cycle(optimiser, steps)
    waiting: list[int] = []
    losses: list[float] = []
    started = time.monotonic()
    for step in range(1, steps + 1):
        chosen: list[dict[str, Any]] = []
        while len(chosen) < BATCH:
            waiting = waiting or torch.randperm(len(samples), generator=generator).tolist()
            chosen.append(_augmented(*samples[waiting.pop()], generator))
        loss = model.loss(network, chosen)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step % 150 == 0:
            tell(f"step {step}: loss {np.mean(losses[-150:]):.3f}, {(time.monotonic() - started) / step:.2f} s a step")
    return network.eval()


def _augmented(study: Study, phase: int, generator: torch.Generator) -> dict[str, Any]:
    sample: dict[str, Any] = {
        "image": study.images[phase][None].float(),
        "grid": study.grid,
        "boxes": boxes.to_voxels(study.known, study.grid).astype(np.float32),
        "negatives": boxes.to_voxels(study.negatives, study.grid).astype(np.float32),
        "complete": study.complete,
    }
    for transform in RECIPE.augment:
        sample = transform(sample, generator)
    return sample


@torch.inference_mode()
def propose(network: nn.Module, model: Model, studies: Sequence[Study]) -> list[list[Lineage]]:
    """Detect in every phase of every study and merge: up to ``MOST`` candidates per study, the best first."""
    merged = []
    for study in studies:
        proposals = []
        for phase, (found, scores) in zip(Phase, model.decode(network, study.images[:, None].float()), strict=False):
            length = np.array(study.grid.shape, float)
            voxels = np.clip(found.double().numpy().reshape(-1, 6), 0, np.tile(length, 2))
            solid = (voxels[:, 3:] - voxels[:, :3] > 0.5).all(axis=1)
            patient = boxes.from_voxels(voxels[solid], study.grid)
            for box, score in zip(patient.tolist(), scores.double().numpy()[solid].tolist(), strict=True):
                proposals.append(Proposal(phase, tuple(box), score))
        merged.append(merge(proposals, most=MOST, max_iou=MAX_IOU))
    return merged


def box_of(lineage: Lineage) -> NDArray[np.float64]:
    """The candidate's box: that of its best proposal."""
    return np.array(lineage[0].box)


def mean_box(lineage: Lineage) -> NDArray[np.float64]:
    """Mean of a candidate's proposals over the phases, weighted by score: the best proposal of each phase."""
    by_phase: dict[Phase, Proposal] = {}
    for proposal in lineage:
        if boxes.iou(np.array([lineage[0].box]), np.array([proposal.box]))[0, 0] >= 0.3:
            by_phase.setdefault(proposal.phase, proposal)
    chosen = list(by_phase.values())
    return np.average([p.box for p in chosen], axis=0, weights=[p.score for p in chosen])


def agreed_score(lineage: Lineage, *, phases: int = 4) -> float:
    """Mean over the phases of the best score each gave to the candidate."""
    best: dict[Phase, float] = {}
    for proposal in lineage:
        best[proposal.phase] = max(best.get(proposal.phase, 0.0), proposal.score)
    return sum(best.values()) / phases


def found(
    studies: Sequence[Study],
    merged: Sequence[list[Lineage]],
    *,
    score: Callable[[Lineage], float] = lambda a: a[0].score,
) -> list[Found]:
    """Candidates of every study beside what is there."""
    out = []
    for study, candidates in zip(studies, merged, strict=True):
        places = np.array([box_of(one) for one in candidates]).reshape(-1, 6)
        out.append(Found(places, np.array([score(one) for one in candidates]), study.lesions, 0, study.patient))
    return out


@dataclass(frozen=True)
class Reading:
    """What a simulated reader did.

    Attributes:
        studies: for training: accepted boxes are lesions, rejected ones hard negatives.
        cards: judged per study.
        m: share of studies boxed by hand.
        minutes: per study, 1 + 15 m.
        wrong: accepted candidates per study that are no lesion.
        left: lesions per study that were not boxed.
        iou: median of accepted boxes with the lesion.
    """

    studies: list[Study]
    cards: float
    m: float
    minutes: float
    wrong: float
    left: float
    iou: float


def read(
    studies: Sequence[Study],
    merged: Sequence[list[Lineage]],
    *,
    shown_from: float,
    slips: float,
    seed: int,
    box: Callable[[Lineage], NDArray[np.float64]] = mean_box,
) -> Reading:
    """Let a reader who knows the true boxes judge candidates, and say the opposite now and then.

    Where no accepted candidate is the primary tumour, the study is boxed by hand: all its lesions, nothing else.

    Args:
        studies: unread.
        merged: their candidates.
        shown_from: score from which a candidate is shown.
        slips: share of verdicts that are the opposite of the truth.
        seed: of the slips.
        box: what an accepted candidate's box becomes.
    """
    draw = np.random.default_rng(seed)
    out, cards, by_hand, wrong, left, shared = [], 0, 0, 0, 0, []
    for study, candidates in zip(studies, merged, strict=True):
        shown = [one for one in candidates if one[0].score >= shown_from]
        cards += len(shown)
        places = np.array([box_of(one) for one in shown]).reshape(-1, 6)
        hit = boxes.hits(places, study.lesions)
        says = hit.any(axis=1) ^ (draw.random(len(shown)) < slips)
        if not hit[says, 0].any():
            by_hand += 1
            out.append(replace(study, known=study.lesions))
            continue
        better = np.array([box(one) for one in shown]).reshape(-1, 6)
        accepted = better[says]
        keep = boxes.kept_by_nms(accepted, np.linspace(1, 0.5, len(accepted)), max_iou=0.1, most=MOST)
        wrong += int((says & ~hit.any(axis=1)).sum())
        left += int((~hit[says].any(axis=0)).sum())
        overlap = boxes.iou(accepted[keep], study.lesions).max(axis=1)
        shared += overlap[overlap >= boxes.HIT_IOU].tolist()
        out.append(replace(study, known=accepted[keep], negatives=places[~says]))
    count = len(studies)
    m = by_hand / count
    return Reading(
        out, cards / count, m, QA_MINUTES + BOXING_MINUTES * m, wrong / count, left / count, float(np.median(shared))
    )
