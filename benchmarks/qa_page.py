"""The review page: from a click or key to the next card in a real browser, and what drawing a card costs."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks._servers import ROOT
from hepatic.boxes import from_voxels
from hepatic.harvest.layout import lay_out
from hepatic.harvest.pictures import lay_out_stack
from hepatic.harvest.places import prepared_folder
from hepatic.harvest.prepared_cache import save_prepared
from hepatic.harvest.render import draw_card, draw_stack
from hepatic.harvest.study import Candidate, Phase, PhaseVolume, PreparedStudy, ProposedStudy
from hepatic.harvest.window import WINDOWS, liver_levels
from sample_data.ct.study import CTStudy, simulate
from server.app import create_app
from server.running import running

NEXT_CARD_MS, CARD_MS = 50.0, 100.0
"""Most that the next card may take to be on the screen (p95), and the drawing of one, in CPU time of one core (p95)."""
PACE_S = 1.0
"""A reader looks at each card for so long: quicker than readers are, and longer than keys are let go."""
_BUTTON = (
    "(b => [b.x + b.width / 2, b.y + b.height / 2])"
    "(document.querySelector('#bar [data-do={}]').getBoundingClientRect())"
)
_SHOWN = "document.querySelector('#stage').ariaBusy == 'false'"


@dataclass(frozen=True)
class Measured:
    """Milliseconds of one thing, many times."""

    p50: float
    p95: float
    longest: float
    count: int

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Measured:
        values = np.asarray(milliseconds)
        return cls(
            float(np.percentile(values, 50)), float(np.percentile(values, 95)), float(values.max()), len(milliseconds)
        )


def proposed_study(seed: int, size: Any, candidates: int) -> tuple[PreparedStudy, ProposedStudy]:
    """Simulate a study of four phases, and propose boxes in its liver; no detector is needed for that."""
    made = simulate(seed, size=size)
    uid = f"1.2.826.0.1.{seed}"
    phases = {
        Phase(one.phase): PhaseVolume(Phase(one.phase), f"{uid}.{n}", one.hu, "tags", "none")
        for n, one in enumerate(made.phases)
    }
    prepared = PreparedStudy(
        uid, f"P-{seed}", Phase.VENOUS, made.grid, phases, made["venous"].liver, content=f"{seed:064}"
    )
    rows = tuple(tuple(float(value) for value in row) for row in made.grid.affine)
    ids = {phase: volume.image_id for phase, volume in phases.items()}
    found = tuple(_candidates(made, seed, candidates))
    return prepared, ProposedStudy(
        uid, f"P-{seed}", Phase.VENOUS, ids, found, made.grid.size, rows, content=prepared.content
    )


def _candidates(made: CTStudy, seed: int, count: int) -> list[Candidate]:
    places = np.argwhere(made["venous"].liver)
    step_k, step_j, step_i = made.grid.spacing[::-1]
    rng = np.random.default_rng(seed)
    found = []
    for number, (k, j, i) in enumerate(rng.choice(places, count)):
        half = rng.uniform(6, 25) / np.array([step_k, step_j, step_i])
        middle = np.array([k, j, i])
        box = from_voxels([[*(middle - half), *(middle + half)]], made.grid)[0]
        corners = tuple(float(edge) for edge in box)
        found.append(
            Candidate(f"2.25.{seed}{number:03}", corners, 0.5, (), "ct_centernet3d", "f" * 64, int(k))  # type: ignore[arg-type]
        )
    return found


def rendering(prepared: PreparedStudy, proposed: ProposedStudy) -> dict[str, Any]:
    """Time the drawing of each candidate in each window, and of whole slices: CPU time, all on one core."""
    levels = liver_levels(prepared)
    cards, sizes, stacks = [], [], []
    for candidate in proposed.candidates:
        for window in WINDOWS.values():
            began = time.thread_time()
            picture = draw_card(prepared, lay_out(prepared, candidate), window, levels)
            cards.append(1000 * (time.thread_time() - began))
            sizes.append(len(picture))
    stack = lay_out_stack(prepared)
    for phase in prepared.phases:
        began = time.thread_time()
        draw_stack(
            prepared, phase, slices=range(stack.per_picture), size_px=stack.size_px, level_hu=60.0, width_hu=160.0
        )
        stacks.append(1000 * (time.thread_time() - began))
    return {
        "grid": list(prepared.grid.size),
        "card_ms": vars(Measured.of(cards)),
        "card_kib": float(np.median(sizes)) / 1024,
        "stack_ms": vars(Measured.of(stacks)),
    }


def reading(studies: Sequence[tuple[PreparedStudy, ProposedStudy]], folder: Path) -> dict[str, Any]:
    """Let a reader judge every candidate, half with keys and half with clicks; ask the browser how long it took."""
    drive = importlib.import_module("tests.viewers.browser")
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("chromium is missing. Install it: apt-get install chromium")
    (folder / "studies").mkdir()
    app = create_app(ROOT / "tests" / "tiny_app", folder / "studies", score_in_background=False)
    with running(app) as address, drive.browsing(program, folder, size="1500,950") as browser:
        services = app.state.services
        for prepared, proposed in studies:
            save_prepared(prepared_folder(services.spec.data_dir), prepared)
            services.harvest.store.proposals.add(proposed)
        browser.open(f"{address}/qa")
        browser.until(f"document.querySelector('#study').textContent && {_SHOWN}")
        buttons = [browser.run(_BUTTON.format(verdict)) for verdict in ("true", "false")]
        for number, (_, proposed) in enumerate(studies):
            for place in range(len(proposed.candidates)):
                _wait(browser, f"candidate {place + 1} of")
                if place % 2:
                    browser.press(str(1 + place // 2 % 2))
                else:
                    browser.click(*buttons[place // 2 % 2])
            _wait(browser, "decided")
            if number + 1 < len(studies):
                browser.press(" ")
        browser.until("document.querySelector('#badge').innerText == 'Saved'")
        found: dict[str, Any] = browser.run(
            "Object.fromEntries(['hepatic:next-card', 'hepatic:next-study'].map("
            "name => [name, performance.getEntriesByName(name).map(one => one.duration)]))"
        )
        stored = sum(
            len(services.harvest.store.reviews.reading(proposed.study_uid, "reader").verdicts)
            for _, proposed in studies
        )
    judged = sum(len(proposed.candidates) for _, proposed in studies)
    if stored != judged or len(found["hepatic:next-card"]) != judged:
        raise RuntimeError(f"{judged} candidates were judged, {stored} verdicts are stored: {found}")
    return {
        "next_card_ms": vars(Measured.of(found["hepatic:next-card"])),
        "each_ms": found["hepatic:next-card"],
        "next_study_ms": vars(Measured.of(found["hepatic:next-study"])),
        "verdicts_stored": stored,
    }


def _wait(browser: Any, place: str) -> None:
    browser.until(f"document.querySelector('#place').innerText.includes({place!r}) && {_SHOWN}")
    time.sleep(PACE_S)


def main(arguments: Sequence[str]) -> None:
    """Measure, print a table, and write it down if asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks qa_page", description=__doc__)
    parser.add_argument("--studies", type=int, default=5, help="how many are read")
    parser.add_argument("--candidates", type=int, default=8, help="per study")
    parser.add_argument("--quick", action="store_true", help="small phantoms instead of 512 x 512 x 40 voxels")
    parser.add_argument("--out", type=Path, help="file for the results, JSON")
    asked = parser.parse_args(arguments)
    size = "small" if asked.quick else "full"
    load = os.getloadavg()[0]
    studies = [proposed_study(seed, size, asked.candidates) for seed in range(1, asked.studies + 1)]
    results: dict[str, Any] = {"load_before": load, "rendering": rendering(*studies[0])}
    with tempfile.TemporaryDirectory() as folder:
        results["page"] = reading(studies, Path(folder))
    show(results)
    if asked.out:
        asked.out.write_text(json.dumps(results, indent=1))


def show(results: dict[str, Any]) -> None:
    """Print what was measured against what was expected."""
    drawn, page = results["rendering"], results["page"]
    table = Table(title=f"Review page, milliseconds; load {results['load_before']:.1f} at the start")
    for column in ("", "p50", "p95", "longest", "times", "expected"):
        table.add_column(column, justify="right" if column else "left")
    grid = " x ".join(str(count) for count in drawn["grid"])
    for name, row, limit in (
        ("click or key to the next card on the screen", page["next_card_ms"], NEXT_CARD_MS),
        ("space bar to the next study on the screen", page["next_study_ms"], None),
        (f"draw a card, CPU time, 4 phases of {grid} ({drawn['card_kib']:.0f} KiB)", drawn["card_ms"], CARD_MS),
        ("draw 8 whole slices, CPU time", drawn["stack_ms"], None),
    ):
        met = "" if limit is None else f"p95 <= {limit:.0f}: {'met' if row['p95'] <= limit else 'not met'}"
        table.add_row(name, *(f"{row[part]:.1f}" for part in ("p50", "p95", "longest")), str(row["count"]), met)
    Console(width=132).print(table)
