"""Options that several commands share."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from hepatic.errors import BadInputError
from hepatic.release.option import Option

_FILE_WIDTH = 180
OUR_APP = Path(__file__).resolve().parents[2] / "apps" / "hepatic"
TERMINAL = "terminal"
"""Name of the logging handler that shows on the terminal what is logged."""

App = Annotated[
    Path, typer.Option("--app", "-a", envvar="MONAI_LABEL_APP_DIR", help="Folder with the MONAI Label app's main.py.")
]
Studies = Annotated[
    str,
    typer.Option(
        "--studies", "-s", envvar="MONAI_LABEL_STUDIES", help="Folder of the studies, or a DICOMweb server's URL."
    ),
]
Conf = Annotated[list[str] | None, typer.Option("--conf", "-c", metavar="KEY=VALUE", help="Option for the app.")]
Params = Annotated[
    list[str] | None, typer.Option("--param", "-p", metavar="KEY=VALUE", help="Option for the model; may be repeated.")
]

Keep = Annotated[
    list[Option] | None,
    typer.Option(
        "--keep",
        help="What stays in part: [bold]modified-dates[/] (moved by days, together for each patient), "
        "[bold]patient-characteristics[/] (age, sex, size, weight), [bold]descriptors[/] (known words of them); "
        "may be repeated.",
    ),
]


def app_dir(chosen: Path) -> Path:
    """Return the app's folder; ours wherever the command is called from."""
    return OUR_APP if chosen == Path("apps/hepatic") and not chosen.exists() else chosen


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """Read ``KEY=VALUE`` options.

    Raises:
        BadInputError: one has no ``=``.
    """
    found = {}
    for text in given or []:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BadInputError(option, expected="KEY=VALUE", came=text, fix=f"Write for example {option} threads=2.")
        found[key.strip()] = value
    return found


def values(given: list[str] | None) -> dict[str, Any]:
    """Read ``KEY=VALUE`` options whose values may be numbers, lists and so on, written as JSON."""
    found: dict[str, Any] = {}
    for key, text in pairs(given, "--param").items():
        try:
            found[key] = json.loads(text)
        except ValueError:
            found[key] = text
    return found


def values_for(model: Any, given: list[str] | None) -> dict[str, Any]:
    """Read the options for a model or a trainer.

    Raises:
        BadInputError: one is none of those that it says it ``takes``; those of other apps do not say it.
    """
    found = values(given)
    takes = getattr(model, "takes", tuple(found))
    strange = [name for name in found if name not in takes]
    if strange:
        raise BadInputError(
            "--param", expected=" or ".join(takes), came=", ".join(strange), fix="Choose one of these, or leave it out."
        )
    return found


def console_for_tables() -> Console:
    """Return a console as wide as the terminal; for a pipe or a file wide enough that tables are not cut."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


def log_to_terminal(level: int = logging.INFO) -> None:
    """Show what is logged from a level on, with times; the logs of servers in this process take what they took."""
    from rich.logging import RichHandler

    from server.observe.log import Clean

    shown = RichHandler(console=Console(stderr=True), show_path=False, log_time_format="%H:%M:%S")
    shown.setFormatter(logging.Formatter("%(message)s"))
    terminal = Clean(shown)
    terminal.set_name(TERMINAL)
    terminal.setLevel(level)
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler.name == TERMINAL]:
        root.removeHandler(handler)
    root.addHandler(terminal)
    root.setLevel(min(level, logging.INFO))
    for noisy in ("monailabel", "timeloop", "numexpr", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
