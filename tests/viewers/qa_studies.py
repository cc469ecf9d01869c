"""Proposed studies to be looked at: small phantoms, candidates round their lesions and beside them, no detector."""

from functools import cache

import numpy as np

from hepatic.boxes import from_voxels
from hepatic.harvest.places import prepared_folder
from hepatic.harvest.prepared_cache import save_prepared
from hepatic.harvest.study import Candidate, Phase, PhaseVolume, PreparedStudy, Proposal, ProposedStudy
from sample_data.ct.study import simulate


@cache
def study(seed, *, without=(), candidates=4):
    """Return a prepared study and what was proposed of it: its lesions first, then boxes in plain liver."""
    made = simulate(seed)
    uid = f"1.2.826.0.1.{seed}"
    reference = made["venous"]
    phases = {
        Phase(one.phase): PhaseVolume(
            Phase(one.phase), f"{uid}.{n}", one.hu, "picture+tags", "reference" if one is reference else "convexadam"
        )
        for n, one in enumerate(made.phases)
        if one.phase not in without
    }
    warnings = tuple(f"There is no {phase} phase." for phase in without)
    prepared = PreparedStudy(
        uid, f"P-{seed:03}", Phase.VENOUS, made.grid, phases, reference.liver, warnings, content=f"{seed:064}"
    )
    boxes = [box.lps_mm for box, lesion in zip(reference.boxes, made.lesions, strict=True) if lesion.solid]
    boxes += _in_plain_liver(made, np.random.default_rng(seed), candidates)
    scored = [_candidate(seed, n, box, made.grid) for n, box in enumerate(boxes[:candidates])]
    rows = tuple(tuple(row) for row in made.grid.affine.tolist())
    ids = {phase: volume.image_id for phase, volume in phases.items()}
    return prepared, ProposedStudy(
        uid, f"P-{seed:03}", Phase.VENOUS, ids, tuple(scored), made.grid.size, rows, warnings, prepared.content
    )


def _candidate(seed, number, box, grid):
    box = tuple(float(edge) for edge in box)
    middle = np.linalg.inv(grid.affine) @ [*(np.array(box[:3]) + np.array(box[3:])) / 2, 1]
    score = 0.9 - 0.1 * number
    lineage = (Proposal(Phase.VENOUS, box, score),)
    uid = f"2.25.{seed}{number:03}"
    return Candidate(uid, box, score, lineage, "ct_centernet3d", "f" * 64, round(float(middle[2])))


def _in_plain_liver(made, rng, count):
    plain = np.argwhere(made["venous"].liver & (made["venous"].labels == 0))
    for k, j, i in rng.choice(plain, count):
        yield from_voxels([[k - 2, j - 6, i - 6, k + 2, j + 6, i + 6]], made.grid)[0]


def put(app, *studies):
    """Put studies where a running server has its own."""
    services = app.state.services
    for prepared, proposed in studies:
        save_prepared(prepared_folder(services.spec.data_dir), prepared)
        services.harvest.store.proposals.add(proposed)
