"""Key frame of a DSA run: the frame around which the picture changes least (paper 000, section 2.1)."""

import numpy as np
from numpy.typing import NDArray

LAST_FRAMES = 15


def select_key_frame(frames: NDArray[np.generic]) -> int:
    """Choose the key frame.

    Over the last 15 frames, ``d_t = sum |f_t - f_(t-1)|`` and ``score_t = (d_t + d_(t+1)) / 2``; the interior frame
    with the smallest score is the key frame (13 candidates in a run of 15 frames or more).

    Args:
        frames: shape (F, H, W), any real dtype; F >= 1.

    Returns:
        Index of the key frame in ``frames``. A run of fewer than three frames has no interior frame: its last one.
    """
    count = len(frames)
    if count < 3:
        return count - 1
    first = max(0, count - LAST_FRAMES)
    tail = np.asarray(frames[first:], dtype=np.float32)
    change = np.abs(np.diff(tail, axis=0)).sum(axis=(1, 2), dtype=np.float64)
    score = (change[:-1] + change[1:]) / 2
    return first + 1 + int(np.argmin(score))
