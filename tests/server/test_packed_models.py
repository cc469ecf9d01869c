"""A model of several networks, downloaded from one server and given to another: it says the same there."""

import hashlib
import io
import pickle
import shutil
import time
import zipfile
from pathlib import Path

import pytest
import requests
import torch
from safetensors.torch import save

import infer_tasks
from hepatic.engine.card import CardMember, ModelCard
from hepatic.tasks.discover import discover_tasks
from sample_data.us import write_us
from server.app import create_app
from server.running import running

ROOT = Path(__file__).parents[2]
TASK = discover_tasks(infer_tasks)["us_fll"]


@pytest.fixture
def served(tmp_path):
    """The app, its address, and an image; ``us_fll`` are two networks that nobody has trained."""
    write_us(tmp_path, 1, seed=3, size="tiny", kind="hcc")
    app = create_app(ROOT / "apps" / "hepatic", tmp_path / "studies", score_in_background=False, auth=False)
    with running(app) as address:
        while requests.get(f"{address}/ready", timeout=10).status_code != 200:
            time.sleep(0.1)
        registry = app.state.services.host.app.registry
        torch.manual_seed(0)
        networks = [TASK.preset(preset).network().state_dict() for preset in ("small", "small_scales")]
        members = tuple(CardMember(preset=preset, answers=TASK.labels) for preset in ("small", "small_scales"))
        card = ModelCard(
            task="us_fll", preset="small_ensemble", members=members, seed=0, key_metric="auc", notes="Untrained."
        )
        registry.promote("us_fll", registry.publish(networks, card).version)
        yield app, address, app.state.services.cases.images()[0].id


def test_all_networks_and_the_card_go_there_and_back(served):
    app, address, image = served
    registry = app.state.services.host.app.registry

    def asked():
        query = {"image": image, "output": "json"}
        told = requests.post(f"{address}/infer/us_fll", params=query, timeout=60).json()
        return told["model_version"], told["probabilities"]

    def checksum():
        return requests.get(f"{address}/model/info/us_fll", timeout=60).json()["checksum"]

    def put(name, data, model="us_fll"):
        return requests.put(f"{address}/model/{model}", files={"file": (name, data)}, timeout=60)

    version, probabilities = asked()
    sent = requests.get(f"{address}/model/us_fll", timeout=60)
    assert (sent.status_code, sent.headers["content-type"]) == (200, "application/zip")
    assert "us_fll.zip" in sent.headers["content-disposition"]
    assert checksum() == f"SHA256:{hashlib.sha256(sent.content).hexdigest()}"
    with zipfile.ZipFile(io.BytesIO(sent.content)) as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    assert list(packed) == ["card.json", "model.safetensors", "model-2.safetensors"]

    shutil.rmtree(registry.models / "us_fll")  # as on a server that has only what it came with
    assert asked()[0] != version
    plain = requests.get(f"{address}/model/us_fll", timeout=60)
    assert plain.headers["content-type"] == "application/octet-stream"
    told = put("us_fll.zip", sent.content)
    assert (told.status_code, told.json()["version"]) == (200, "v0002-" + version[-8:])
    assert told.json()["checksum"] == checksum()
    assert asked() == (told.json()["version"], pytest.approx(probabilities))
    assert registry.served("us_fll").card.notes == "Untrained."
    assert put("us_fll.zip", sent.content).json()["version"] == told.json()["version"], "it is here already"
    assert len(registry.versions("us_fll")) == 2

    assert put("us_fll.zip", sent.content, model="us_bmode").status_code == 422
    for wrong in (plain.content, zipped(("data.pkl", pickle.dumps(print))), zipped(("../card.json", b"{}"))):
        assert put("us_fll.zip", wrong).status_code == 422
    pickled = zipped(("card.json", packed["card.json"]), ("model.safetensors", pickle.dumps(print)))
    assert put("us_fll.zip", pickled).status_code == 422
    assert put("us_fll.safetensors", save({"w": torch.zeros(2)})).status_code == 409, "one file is not a version"
    assert asked()[0] == told.json()["version"]
    assert [entry for entry in app.state.services.scratch.dir.iterdir() if entry.name != "results"] == []


def zipped(*members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()
