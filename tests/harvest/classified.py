"""Studies of images that are classified, proposed by hand and read."""

import numpy as np

from hepatic.geometry import Grid
from hepatic.harvest.propose_classes import Classified, propose_classes
from tests.harvest.proposed import decide, event

CLASSES = ("hcc", "cyst", "fnh")
GRID = Grid((40, 30, 1), np.eye(4))


def images(*names, study="1.2.9", model_hash="a" * 64, told=(0.7, 0.2, 0.1), classes=CLASSES):
    seen = [Classified(name, GRID, dict(zip(classes, told, strict=True))) for name in names]
    return propose_classes(
        study, f"P-{study}", seen, classes=classes, note="lesion_type", model="us_fll", model_hash=model_hash
    )


def name(store, reader, *classes, study="1.2.9"):
    """Read a study to its end: a class for each image, in the order of the proposal."""
    uid = f"{study}:lesion_type"
    assert store.lease(reader, uid) is not None
    candidates = [one.uid for one in store.review(uid).study.candidates]
    said = [decide(c, one, uid) for c, one in zip(candidates, classes, strict=True)]
    taken, _ = store.reviews.take([*said, event("finish", uid)], reader)
    assert [one.status for one in taken] == ["stored"] * len(taken), taken
    return uid
