"""What ``hepatic qa status`` shows of the progress that a server tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def tables(told: dict[str, Any]) -> list[Table]:
    """Return what is to be printed of ``GET /qa/api/v1/progress``: lesions and their detector, then each note."""
    found = []
    if told["studies"]["total"] or not told["classification"]:
        found.append(_listed("Lesions", _facts(told)))
    if told["versions"]:
        versions = Table("version", "minutes reviewed", "P1TD-1", "P1TD-10", "FROC", "")
        for one in told["versions"]:
            measures = [_measure(one[name]) for name in ("p1td_1", "p1td_10", "froc")]
            versions.add_row(one["version"], f"{one['minutes']:.1f}", *measures, one["state"])
        found.append(versions)
    for note in told["classification"]:
        found.append(_listed(f"Classes: {note['note']}", _class_facts(note)))
        if note["versions"]:
            versions = Table("version", "minutes reviewed", "images", "accuracy", "AUC", "")
            for one in note["versions"]:
                measures = ["" if one[name] is None else f"{one[name]:.3f}" for name in ("accuracy", "auc")]
                versions.add_row(one["version"], f"{one['minutes']:.1f}", str(one["images"]), *measures, one["state"])
            found.append(versions)
    return found


def _listed(title: str, facts: Mapping[str, str]) -> Table:
    table = Table("", "", title=f"[bold]{title}[/]", title_justify="left", show_header=False, box=None)
    for name, value in facts.items():
        if value:
            table.add_row(f"[dim]{name}[/]", value)
    return table


def _class_facts(told: dict[str, Any]) -> dict[str, str]:
    images, clicks = told["images"], told["clicks"]
    settled = images["classified"] + images["adjudicated"]
    facts = {
        "studies": _counted(told["studies"]),
        "images": f"{settled} of {images['total']} settled; {images['unreviewed']} waiting, "
        f"{images['unsure']} unsure, {images['conflict']} in conflict",
        "minutes spent": _number(told["minutes"]),
        "seconds per decision": _number(clicks["median_s"]),
        "readers agree": _agreement(told["agreement"]),
    }
    for sha256, row in told["models"].items():
        if row["accuracy"] is not None:
            auc = "" if row["auc"] is None else f", AUC {row['auc']:.3f}"
            facts[f"{row['model']} {sha256[:8]}"] = f"right in {row['accuracy']:.0%} of {row['images']} images{auc}"
    return facts


def _facts(told: dict[str, Any]) -> dict[str, str]:
    studies, effort, clicks, agreement = told["studies"], told["effort"], told["clicks"], told["agreement"]
    m = effort["m"]["value"]
    return {
        "studies": _counted(studies),
        "sent to boxing": "" if m is None else f"{m:.0%} of {effort['studies_read']}",
        "minutes per study": _number(effort["minutes_per_study"]),
        "minutes spent": ", ".join(f"{_number(value)} {what}" for what, value in effort["spent"].items()),
        "minutes saved": _number(effort["minutes_saved"]),
        "seconds per click": _number(clicks["median_s"]),
        "readers agree": _agreement(agreement),
        "hard negatives": "{mined} mined, {used} used, {still_fires} still fire".format(**told["negatives"]),
        "left to do": f"{told['outlook']['minutes']:.0f} minutes, {told['outlook']['studies']} studies",
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _measure(value: dict[str, float | None]) -> str:
    if value["value"] is None:
        return ""
    if value["low"] is None or value["high"] is None:
        return f"{value['value']:.3f}"
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"


def _counted(studies: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in studies.items() if count)


def _agreement(told: Mapping[str, Any]) -> str:
    if told["raw"] is None:
        return ""
    gwet = "" if told["gwet"] is None else f", Gwet's AC1 {told['gwet']:.2f}"
    return f"{told['raw']:.0%} of {told['candidates']}{gwet}"
