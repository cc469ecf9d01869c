"""How many frames on which a lesion has left the plane ``us_ceus`` replaces, and how many others.

    python -m benchmarks ceus_plane

Simulated contrast cines of patients whose lesion leaves the plane (every fourth), and of patients whose lesion is
small and stays; colour and grey, with even and uneven times in turn; contrast and B-mode side by side, and contrast
alone. Of the frames that are taken, counted once, ``found`` are those without the lesion that were replaced, ``wrong``
those with it. Thresholds were chosen on patients with seeds from 910000 to 930000; these are others.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hepatic.geometry import Grid
from hepatic.io.image import Cine
from hepatic.io.us_region import Region
from hepatic.transforms.contrast_clip import SAMPLED_S, ContrastClip, nearest
from sample_data import ceus
from sample_data.ceus.motion import draw_motion
from sample_data.ceus.show import Style, screen_of
from sample_data.us.probe import Size

FIRST_SEED: Final = 930_000
SMALL_MM: Final = 14.0
SHOWN: Final = {"side by side": True, "contrast alone": False}


def patients(count: int, first_seed: int) -> list[int]:
    """Seeds of patients whose lesion leaves the plane on a frame that is taken."""
    return list(itertools.islice((seed for seed in itertools.count(first_seed) if leaves(seed)), count))


def small(count: int, first_seed: int) -> list[int]:
    """Seeds of patients whose lesion is at most ``SMALL_MM`` long and never leaves the plane."""
    seeds = (
        seed
        for seed in itertools.count(first_seed)
        if ceus.draw_patient(seed).examined.lesions[0].size_mm <= SMALL_MM and not leaves(seed)
    )
    return list(itertools.islice(seeds, count))


def leaves(seed: int) -> bool:
    """Whether a patient's lesion leaves the plane on a frame that is taken."""
    return not draw_motion(seed, ceus.draw_patient(seed).arrival_s + np.array(SAMPLED_S)).in_plane.all()


def source_of(simulated: ceus.Cine, style: Style) -> tuple[Cine, NDArray[np.float64]]:
    """Return the screen as it is read from a file, and the lesion's boxes on it, (F, 4) top, left, bottom, right."""
    screen = screen_of(simulated, style, patient_id="PLANE")
    regions = []
    for shown in screen.regions:
        left, top, right, bottom = shown.box
        regions.append(Region((top, left, bottom + 1, right + 1), (simulated.panel.pixel_mm,) * 2))
    frames = screen.pixels
    grid = Grid((frames.shape[2], frames.shape[1], len(frames)), np.eye(4))
    boxes = np.array(simulated.boxes, np.float64)[:, [1, 0, 3, 2]] + (0, 0, 1, 1)
    read = Cine(frames, simulated.times_s * 1000, None, grid, modality="US", regions=tuple(regions))
    return read, boxes + regions[0].box[:2] * 2


def measure(simulated: ceus.Cine, style: Style) -> dict[str, int]:
    """Count frames of one patient."""
    clip = ContrastClip()
    source, boxes = source_of(simulated, style)
    begins = int(np.abs(simulated.times_s - simulated.patient.arrival_s).argmin())
    facts = clip({"source": source, "boxes": boxes[begins : begins + 1]})["facts"]
    times_s = simulated.times_s
    chosen = np.unique(nearest(times_s, times_s[facts["frame"]] + np.array(clip.sampled_s)))
    seconds = (times_s[chosen] - times_s[facts["frame"]]).round(2)
    replaced = np.isin(seconds, facts["time_intensity"]["replaced"])
    away = ~simulated.motion.in_plane[chosen]
    return {
        "away": int(away.sum()),
        "found": int((replaced & away).sum()),
        "there": int((~away).sum()),
        "wrong": int((replaced & ~away).sum()),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", type=int, default=40, help="patients of each kind with a fan 104 pixels high")
    parser.add_argument("--small", type=int, default=30, help="patients of each kind with a fan 208 pixels high")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="from which on patients are looked for")
    parser.add_argument("--out", type=Path, help="JSON with every figure")
    options = parser.parse_args(arguments)
    table = Table(title="Frames that us_ceus replaces (phantoms)")
    for name in ("fan", "lesion", "image", "patients", "out of the plane", "found", "in the plane", "wrong"):
        table.add_column(name, justify="right")
    counts: dict[Size, int] = {"tiny": options.tiny, "small": options.small}
    results: dict[str, dict[str, dict[str, int]]] = {}
    for size, count in counts.items():
        for lesion, seeds in (("leaves", patients(count, options.seed)), ("small, stays", small(count, options.seed))):
            for number, seed in enumerate(seeds):
                colour, even = bool(number % 2), bool(number // 2 % 2)
                simulated = ceus.simulate(seed, Style(colour, True, even).times_s, size=size)
                for image, side_by_side in SHOWN.items():
                    told = measure(simulated, Style(colour, side_by_side, even))
                    results.setdefault(f"{size}; {lesion}; {image}", {})[str(seed)] = told
    for name, rows in results.items():
        total = {key: sum(row[key] for row in rows.values()) for key in ("away", "found", "there", "wrong")}
        table.add_row(*name.split("; "), str(len(rows)), *map(str, total.values()))
    Console(width=120).print(table)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
