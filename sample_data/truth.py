"""What is known of generated studies, kept apart from them in OUT/truth/truth.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hepatic.errors import BadInputError
from sample_data.atomic import replacing

FORMAT_VERSION = 1
NOTICE = (
    "Simulated phantoms. They test mechanisms, not clinical performance: "
    "no number measured on them says anything about patients."
)

Truth = dict[str, Any]


def truth_path(out: Path) -> Path:
    """Where the truth of everything below ``out`` is kept."""
    return Path(out) / "truth" / "truth.json"


def read_truth(out: Path) -> Truth:
    """Read ``format_version``, ``notice`` and ``images`` (SeriesInstanceUID to what is known of it).

    Raises:
        BadInputError: there is no readable truth of this version below ``out``.
    """
    path = truth_path(out)
    fix = "Generate the studies again into an empty folder."
    try:
        truth = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInputError(path.name, expected="a file in OUT/truth", came="none", fix=fix) from error
    except ValueError as error:
        raise BadInputError(path.name, expected="JSON", came="something else", fix=fix) from error
    if not isinstance(truth, dict) or truth.get("format_version") != FORMAT_VERSION:
        came = repr(truth.get("format_version")) if isinstance(truth, dict) else type(truth).__name__
        raise BadInputError(path.name, expected=f"format_version {FORMAT_VERSION}", came=came, fix=fix)
    return truth


def merge_truth(out: Path, images: Mapping[str, Truth]) -> None:
    """Add images, by SeriesInstanceUID, to the truth below ``out``; entries of other images stay as they are."""
    known = read_truth(out)["images"] if truth_path(out).exists() else {}
    truth = {"format_version": FORMAT_VERSION, "notice": NOTICE, "images": {**known, **images}}
    with replacing(truth_path(out)) as path:
        path.write_text(json.dumps(truth, indent=1, sort_keys=True) + "\n", encoding="utf-8")
