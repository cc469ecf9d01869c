"""Where harvesting keeps things below the data folder."""

from __future__ import annotations

from pathlib import Path

from hepatic.harvest.store import FOLDER


def prepared_folder(data_dir: Path) -> Path:
    """Return the cache of prepared studies, for ``prepare_study`` and ``load_prepared``."""
    return data_dir / "cache" / "prepared"


def snapshots_folder(data_dir: Path) -> Path:
    """Return where the review store writes its snapshots, one file ``<sha256>.json`` each."""
    return data_dir / FOLDER / "snapshots"
