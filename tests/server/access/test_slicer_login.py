"""3D Slicer's extension against a server that asks for a login: its own client, and what its module does around it."""

import re
import sys
import sysconfig
from pathlib import Path
from urllib.parse import quote_plus
from urllib.request import urlretrieve

import pytest
import requests

from server.access.roles import Role
from server.access.session import Passes
from server.access.user import User
from tests.slicer import slicer_client_class

from .conftest import asked, bearer

pytestmark = pytest.mark.viewer


@pytest.fixture
def logic(locked, tmp_path):
    """What ``MONAILabelLogic._client`` does before every call, with what was typed into its dialog."""

    def connect(username, password):
        client = slicer_client_class()(locked, str(tmp_path), "reader-1")
        assert client.auth_enabled() is True
        assert client.auth_valid_token() is False
        client.update_auth(client.auth_token(username, password))
        assert client.auth_valid_token() is True
        return client

    return connect


def test_the_flow_here_is_that_of_the_installed_module():
    module = Path(sysconfig.get_path("data")) / "monailabel/plugins/slicer/MONAILabel/MONAILabel.py"
    text = module.read_text()
    asked = (
        r"if mc\.auth_enabled\(\):",
        "LoginDialog",
        r"mc\.auth_valid_token\(\)",
        r"mc\.auth_token\(self\.username,",
    )
    assert re.search(".*".join(asked), text, re.DOTALL)
    assert 'f"{self.serverUrl()}/datastore/image?image={quote_plus(image_id)}"' in text


@pytest.mark.parametrize("username", ["Anna", "anybody", ""])
def test_an_api_token_is_the_password_whatever_the_name(logic, secrets_of, username):
    client = logic(username, secrets_of["annotator"])
    assert client.info()["models"]
    file, _ = client.infer("threshold", "case0", {"result_extension": ".nrrd"})
    saved = client.save_label("case0", file)
    assert saved["label"]
    assert client.datastore()["objects"]["case0"]["labels"]["final"]["info"]["user"] == "Anna"
    assert client.train_status(check_if_running=True) is False


@pytest.mark.parametrize("password", ["", "wrong", "hep_wrong"])
def test_a_wrong_password_is_refused(locked, tmp_path, password):
    client = slicer_client_class()(locked, str(tmp_path), "reader-1")
    with pytest.raises(sys.modules["slicer_client"].MONAILabelClientException) as failed:
        client.auth_token("Anna", password)
    assert failed.value.status_code == 401


def test_the_next_sample_can_be_downloaded_as_slicer_does_it(
    logic, locked, secrets_of, locked_studies, tmp_path, trail
):
    sample = logic("Anna", secrets_of["annotator"]).next_sample("random", {})
    url = f"{locked}/datastore/image?image={quote_plus(sample['id'])}"
    file, _ = urlretrieve(url, tmp_path / "x.nrrd")  # noqa: S310
    assert Path(file).read_bytes() == (locked_studies / sample["name"]).read_bytes()
    entry = trail()[-1]
    assert (entry["event"], entry["who"], entry["by"], entry["ids"]) == (
        "request", "Anna", "pass", {"image": sample["id"]}
    )  # fmt: skip


def test_the_pass_is_for_that_image_that_host_and_getting_it_only(logic, locked, secrets_of):
    image = logic("Anna", secrets_of["annotator"]).next_sample("random", {})["id"]
    other = next(name for name in ("case10", "case11") if name != image)
    path = f"/datastore/image?image={image}"
    for _ in range(4):  # an earlier test may have been given that one: a pass is used up by three
        asked("GET", locked, f"/datastore/image?image={other}")
    assert asked("GET", locked, f"/datastore/image?image={other}").status_code == 401
    assert asked("HEAD", locked, path).status_code == 401
    assert asked("DELETE", locked, f"/datastore/image?id={image}").status_code == 401
    assert asked("GET", locked, f"/datastore/image/info?image={image}").status_code == 401
    assert asked("GET", locked, f"{path}&image={other}").status_code in (200, 401)
    elsewhere = {"Host": locked.removeprefix("http://").replace("127.0.0.1", "localhost")}
    assert asked("GET", locked, path, headers=elsewhere).status_code == 401
    assert asked("GET", locked, path).status_code == 200


def test_the_pass_gets_no_other_image_by_naming_two(locked, secrets_of, locked_studies):
    image = asked("POST", locked, "/activelearning/random", secret=secrets_of["annotator"]).json()["id"]
    other = next(name for name in ("case10", "case11") if name != image)
    for query in (f"image={image}&image={other}", f"image={other}&image={image}"):
        answer = asked("GET", locked, f"/datastore/image?{query}")
        assert answer.content != (locked_studies / f"{other}.nrrd").read_bytes()


def test_who_was_not_given_an_image_has_no_pass(locked, secrets_of, locked_studies):
    for secret in (secrets_of["reader"], ""):
        refused = asked("POST", locked, "/activelearning/random", secret=secret)
        assert refused.status_code in (401, 403)
    assert asked("GET", locked, "/datastore/image?image=never-given").status_code == 401


def test_a_pass_ends_by_time_and_by_use():
    now = [0.0]
    passes, user = Passes(lasts_s=60, clock=lambda: now[0]), User("Anna", Role.ANNOTATOR, "token x")
    passes.give(user, "10.0.0.1", "h", "i")
    assert passes.use("10.0.0.2", "h", "i") is None
    assert [passes.use("10.0.0.1", "h", "i") is not None for _ in range(4)] == [True, True, True, False]
    passes.give(user, "10.0.0.1", "h", "i")
    now[0] = 60.0
    assert passes.use("10.0.0.1", "h", "i") is None


def test_passes_can_be_turned_off(set_up, served):
    set_up(slicer_downloads=False)
    address, app = served()
    secret = app.state.access.tokens.create("Anna", Role.ANNOTATOR, expires=None)[1]
    image = asked("POST", address, "/activelearning/random", secret=secret).json()["id"]
    assert asked("GET", address, f"/datastore/image?image={image}").status_code == 401


@pytest.mark.parametrize("trusted", [False, True])
def test_behind_a_proxy_a_pass_is_for_the_client_that_a_trusted_one_names(served, trusted):
    address, app = served(behind_proxy=trusted, trusted_proxies=["127.0.0.1"] if trusted else [])
    secret = app.state.access.tokens.create("Anna", Role.ANNOTATOR, expires=None)[1]
    mine, other = {"X-Forwarded-For": "10.0.0.1"}, {"X-Forwarded-For": "10.0.0.2"}
    sample = requests.post(f"{address}/activelearning/random", headers={**bearer(secret), **mine}, timeout=30).json()
    path = f"/datastore/image?image={sample['id']}"
    assert asked("GET", address, path, headers=other).status_code == 401
    assert asked("GET", address, path, headers=mine).status_code == (200 if trusted else 401)
