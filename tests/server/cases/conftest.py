"""Our own app over one simulated still and one contrast cine, locked, with a token of each role."""

import time
from pathlib import Path

import pytest
import requests

from hepatic.settings import settings
from sample_data.ceus import write_ceus
from sample_data.truth import read_truth
from sample_data.us import write_us
from server.access.access import tokens_dir
from server.access.roles import Role
from server.access.token import Tokens
from server.app import create_app
from server.running import running

ROOT = Path(__file__).parents[3]
API = "/cases/api/v1/images"
PEOPLE = {"Rita": Role.READER, "Anna": Role.ANNOTATOR, "Otto": Role.ANNOTATOR, "Viktor": Role.REVIEWER}


class Person:
    """Somebody with a token, at a server."""

    def __init__(self, address, secret):
        self._address, self._session = address, requests.Session()
        self._session.headers["Authorization"] = f"Bearer {secret}"

    def ask(self, method, path, **options):
        return self._session.request(method, self._address + path, timeout=60, **options)

    def get(self, path, **query):
        return self.ask("GET", API + path, params=query)

    def case(self, image):
        answer = self.get(f"/{image}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def say(self, image, seen, **reading):
        return self.ask("PUT", f"{API}/{image}/reading", json={"seen": seen, **reading})

    def take_back(self, image, seen, **query):
        return self.ask("DELETE", f"{API}/{image}/reading", params={"seen": seen, **query})


@pytest.fixture(scope="session")
def ultrasound(tmp_path_factory):
    """The folder of the studies, and the truth: ``still``, ``others`` and ``cine`` are ids of images."""
    out = tmp_path_factory.mktemp("us")
    write_us(out, 3, seed=3, size="tiny", kind="hcc")
    write_ceus(out, 1, seed=1, size="tiny")
    truth = read_truth(out)["images"]
    stills = [image for image, about in truth.items() if about["patient"].startswith("US")]
    cine = next(image for image, about in truth.items() if "echo_onset_s" in about)
    return {"out": out, "truth": truth, "still": stills[0], "others": stills[1:], "cine": cine}


@pytest.fixture(scope="session")
def cases_app(ultrasound):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEPATIC_REQUEST_LIMIT", "")
        settings.cache_clear()
        app = create_app(ROOT / "apps" / "hepatic", ultrasound["out"] / "studies", auth=True, score_in_background=False)
    settings.cache_clear()
    tokens = Tokens(tokens_dir(settings().data_dir(ultrasound["out"] / "studies")))
    app.state.secrets = {name: tokens.create(name, role, expires=None)[1] for name, role in PEOPLE.items()}
    return app


@pytest.fixture(scope="session")
def address(cases_app):
    with running(cases_app) as where:
        while requests.get(f"{where}/ready", timeout=10).status_code != 200:
            time.sleep(0.1)
        yield where


@pytest.fixture(scope="session")
def people(cases_app, address):
    return {name: Person(address, secret) for name, secret in cases_app.state.secrets.items()}


@pytest.fixture
def anna(people):
    return people["Anna"]
