"""Where harvesting keeps things below the data folder."""

from __future__ import annotations

from pathlib import Path


def prepared_folder(data_dir: Path) -> Path:
    """Return the cache of prepared studies, for ``prepare_study`` and ``load_prepared``."""
    return data_dir / "cache" / "prepared"
