"""Draw the README's picture from the committed weights on phantoms they have not seen.

python -m benchmarks._pictures
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.io.image import Cine, Labelmap
from hepatic.io.labelmap import read_labelmap
from hepatic.io.read import read
from hepatic.labels import STRUCTURES
from hepatic.metrics import dice
from infer_tasks.dsa_ltdnet import TASK
from sample_data.write import write_dsa

FIRST_SEED, RUNS = 0, 3


def main() -> None:
    figure = Figure(figsize=(12, 3.2 * RUNS), layout="constrained")
    rows = figure.subplots(RUNS, 3)
    with tempfile.TemporaryDirectory() as folder:
        predictor = Predictor(Registry(Path(folder) / "models", shipped=Path("apps/hepatic/models")), device="cpu")
        for axes, run in zip(rows, write_dsa(Path(folder), RUNS, seed=FIRST_SEED), strict=True):
            found = predictor.predict(TASK, run.image)
            cine, truth = read(run.image), read_labelmap(run.segmentation)
            if not isinstance(cine, Cine):
                raise TypeError(f"{run.image.name} is no cine")
            row(axes, cine, truth, found.labelmap, found.facts["key_frame"])
    figure.savefig("docs/pictures/dsa_ltdnet.png", dpi=80)


def row(axes: np.ndarray, cine: Cine, truth: Labelmap, found: np.ndarray, key: int) -> None:
    """One run: arterial frame, key frame, key frame with result (filled) and truth (line)."""
    times = cine.frame_times_ms
    for axis, frame in zip(axes, (key - 6, key, key), strict=True):
        axis.imshow(cine.frames[frame], cmap="gray", vmin=0, vmax=255)
        axis.set_axis_off()
        axis.set_title("" if times is None else f"frame {frame}, {times[frame] / 1000:.1f} s", fontsize=10)
    tumour = dice(found[key] == 1, truth.array[key] == 1)
    axes[2].set_title(f"found (filled), truth (line), Dice {tumour:.2f}", fontsize=10)
    for value, name in ((2, "liver"), (1, "tumour")):
        overlay(axes[2], found[key] == value, truth.array[key] == value, STRUCTURES[name].rgb)


def overlay(axis: Axes, found: np.ndarray, truth: np.ndarray, rgb: tuple[int, int, int]) -> None:
    colour = np.array(rgb) / 255
    layer = np.zeros((*found.shape, 4))
    layer[found] = (*colour, 0.35)
    axis.imshow(layer)
    if truth.any():
        axis.contour(truth, [0.5], colors=[tuple(colour)], linewidths=1)


if __name__ == "__main__":
    main()
