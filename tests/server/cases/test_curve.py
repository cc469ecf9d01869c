"""The time-intensity curve as a picture."""

import io

import numpy as np
from PIL import Image

from server.cases.pictures import CURVE_LEFT, CURVE_RIGHT, curve_png


def test_frames_that_were_replaced_are_crossed_out_on_the_curve():
    seconds = np.arange(-10.0, 91.0)
    curves = {"seconds": seconds.tolist(), "lesion": (40 + seconds / 10).tolist(), "replaced": [20.0, 70.0]}
    red = [
        (np.abs(picture - (0xFF, 0x6B, 0x5E)).sum(axis=-1) < 60)[60:]
        for picture in (drawn(curves), drawn({**curves, "replaced": []}))
    ]
    assert not red[1].any()
    columns = np.flatnonzero(red[0].any(axis=0))
    for at in (20, 70):
        column = red[0].shape[1] * (CURVE_LEFT + (CURVE_RIGHT - CURVE_LEFT) * (at + 10) / 100)
        assert np.abs(columns - column).min() <= 3
    assert len(np.flatnonzero(np.diff(columns) > 20)) == 1, "two crosses, and nothing else"


def drawn(curves):
    return np.asarray(Image.open(io.BytesIO(curve_png(curves, box_is_drawn=True))).convert("RGB")).astype(int)
