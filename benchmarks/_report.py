"""The tables of the side-by-side measurement, and what was expected of it."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

FASTER = {"dsa_unet": 5.0, "dsa_ltdnet": 3.0, "ct_unet": 1.5}
"""Times as fast as the stock server with the stock-style app, warm."""
OVERHEAD_MS, OVERHEAD_SHARE = 30.0, 0.1
"""Most a warm request may take beyond the bare forward pass: this, and this share of it."""
INFO_P99_MS = 50.0
GROWTH = 1.05
"""Memory after the last request may be this much of that after the first ones."""
AGREE = 0.99

_TITLES = {"ours": "our server, our app", "stock": "stock, stock-style app", "hosted": "stock, our app"}


def show(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Print everything; return what was expected, what was found, and whether it was met."""
    console = Console(width=132)
    tasks = {name: row for part in ("dsa", "ct") for name, row in results.get(part, {}).get("tasks", {}).items()}
    console.print(_latency(tasks, results["machine"]))
    if "dsa" in results:
        console.print(_crowds(results["dsa"]))
    checks = expectations(results, tasks)
    table = Table(title="Expected")
    for column in ("", "limit", "found", ""):
        table.add_column(column)
    for check in checks:
        met = "[green]met[/]" if check["met"] else "[bold red]not met[/]"
        table.add_row(check["what"], check["limit"], check["found"], met)
    console.print(table)
    return checks


def _latency(tasks: dict[str, Any], machine: dict[str, Any]) -> Table:
    table = Table(
        title=f"/infer through 3D Slicer's client, milliseconds; {machine['cpus']} cores, {machine['threads']} threads"
        f", load {machine['load_before']} at the start"
    )
    columns = ("", "", "cold", "new image", "warm p50", "warm p95", "bare forward", "/info/ p99", "/info/ longest")
    for column in columns:
        table.add_column(column, justify="left" if not column else "right")
    for name, task in tasks.items():
        for server, row in task["servers"].items():
            table.add_row(
                name, _TITLES[server], f"{row['cold']:.0f}",
                f"{row['new_image']['p50']:.0f}" if "new_image" in row else "",
                f"{row['warm']['p50']:.1f}", f"{row['warm']['p95']:.1f}", f"{task['forward']['p50']:.1f}",
                f"{row['info']['p99']:.0f}", f"{row['info']['longest']:.0f}",
                end_section=server == "hosted",
            )  # fmt: skip
    return table


def _crowds(dsa: dict[str, Any]) -> Table:
    table = Table(title="Many clients at once (both models, all images), and memory of all processes")
    sizes = list(dsa["crowds"])
    for column in ("", *(f"{size} clients: {what}" for size in sizes for what in ("per s", "p95 ms", "failed")), "MiB"):
        table.add_column(column, justify="right" if column else "left")
    for server, memory in dsa["memory"].items():
        cells = []
        for size in sizes:
            row = dsa["crowds"][size][server]
            cells += [f"{row['per_s']:.1f}", f"{row['p95']:.0f}", str(row["failed"])]
        after = f"{memory['early_mib']:.0f} -> {memory['late_mib']:.0f}"
        requests = f" ({memory['early_requests']} -> {memory['late_requests']} requests)"
        table.add_row(_TITLES[server], *cells, after + requests)
    return table


def expectations(results: dict[str, Any], tasks: dict[str, Any]) -> list[dict[str, Any]]:
    """Compare with what issue and users expect."""
    checks: list[dict[str, Any]] = []

    def check(what: str, limit: str, found: str, met: bool) -> None:
        checks.append({"what": what, "limit": limit, "found": found, "met": met})

    for name, task in tasks.items():
        our, stock = task["servers"]["ours"], task["servers"]["stock"]
        times = stock["warm"]["p50"] / our["warm"]["p50"]
        check(f"{name}: times as fast as stock", f">= {FASTER[name]:g} x", f"{times:.1f} x", times >= FASTER[name])
        forward = task["forward"]["p50"]
        over, most = our["warm"]["p50"] - forward, OVERHEAD_MS + OVERHEAD_SHARE * forward
        check(f"{name}: beyond the bare forward pass", f"<= {most:.0f} ms", f"{over:.1f} ms", over <= most)
        p99 = our["info"]["p99"]
        check(f"{name}: /info/ p99 while inferring", f"<= {INFO_P99_MS:.0f} ms", f"{p99:.0f} ms", p99 <= INFO_P99_MS)
        agreed = task["agreement"]["dice"]
        check(f"{name}: results agree, Dice", f">= {AGREE}", f"{agreed:.4f}", agreed >= AGREE)
    failed = [failure for part in ("dsa", "ct") if part in results for failure in results[part]["failures"]["ours"]]
    check("failed requests", "0", str(len(failed)), not failed)
    if "dsa" in results:
        memory = results["dsa"]["memory"]["ours"]
        grown = memory["late_mib"] / memory["early_mib"]
        check(
            f"memory after {memory['late_requests']} requests against {memory['early_requests']}",
            f"<= {GROWTH:g} x", f"{grown:.2f} x", grown <= GROWTH,
        )  # fmt: skip
    return checks
