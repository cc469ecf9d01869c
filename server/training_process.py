"""The process a training runs in: ``python -m server.training_process FOLDER``; see ``server/training.py``."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from hepatic.errors import HepaticError
from server.monai_app import AppSpec, load_app
from server.plain import plain
from server.worker import asking

REFUSED = 2
"""Exit code where a person can put right what is wrong; one line of output says what it is."""


def main(folder: Path) -> int:
    """Train as ``job.json`` in the folder says, and write ``result.json`` beside it; return the exit code."""
    _end_with_server()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    job = json.loads((folder / "job.json").read_text("utf-8"))
    try:
        app = load_app(AppSpec(job["app_dir"], job["studies"], job["conf"]), "training")
        result = asking(app.train, job["request"])
    except HepaticError as refused:
        print(" ".join(str(refused).split()), flush=True)
        return REFUSED
    fresh = folder / "result.json.new"
    fresh.write_text(json.dumps(plain(result)), "utf-8")
    fresh.replace(folder / "result.json")
    return 0


def _end_with_server() -> None:
    """End this process and its children when the server is gone: it holds the other end of standard input."""
    standard_input = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def watch() -> None:
        while os.read(standard_input, 1024):
            continue
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-server", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
