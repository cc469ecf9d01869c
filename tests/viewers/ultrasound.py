"""Our own app over simulated ultrasound, served."""

import time
from contextlib import contextmanager

import requests

from sample_data.ceus import write_ceus
from sample_data.truth import read_truth
from sample_data.us import write_us
from server.app import create_app
from server.running import running

from .conftest import ROOT


@contextmanager
def served_ultrasound(out):
    """Yield the app, its address, and the ids of a ``still`` and of a ``cine``."""
    write_us(out, 2, seed=3, size="tiny", kind="hcc")
    write_ceus(out, 1, seed=1, size="tiny")
    truth = read_truth(out)["images"]
    ids = {
        "still": next(image for image, about in truth.items() if about["patient"].startswith("US")),
        "cine": next(image for image, about in truth.items() if "echo_onset_s" in about),
    }
    app = create_app(ROOT / "apps" / "hepatic", out / "studies", score_in_background=False, auth=False)
    with running(app) as address:
        while requests.get(f"{address}/ready", timeout=10).status_code != 200:
            time.sleep(0.1)
        yield app, address, ids
