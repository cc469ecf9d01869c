"""A new name outlives a power cut only if the folder it is in was synced; kill -9 cannot show that."""

import os
from types import SimpleNamespace

import pytest
import torch

from hepatic.engine.card import ModelCard
from hepatic.engine.weights import Registry
from server.routes.model import remove
from server.sessions import Sessions


def publish(folder):
    state = {"weight": torch.zeros(2)}
    Registry(folder / "new" / "models").publish(state, ModelCard(task="net", preset="small", seed=0, key_metric="dice"))
    return [folder, folder / "new", folder / "new" / "models", folder / "new" / "models" / "net"]


def open_session(folder):
    (folder / "x.dcm").write_bytes(b"x")
    Sessions(folder / "new" / "sessions").add([folder / "x.dcm"], ".dcm")
    return [folder, folder / "new", folder / "new" / "sessions"]


def take_a_model_away(folder):
    (folder / "net.pt").write_bytes(b"x")
    app = SimpleNamespace(model_file=lambda *_, **__: str(folder / "net.pt"))
    remove(SimpleNamespace(host=SimpleNamespace(app=app, models={"net": None})), "net")
    [left] = folder.iterdir()
    assert left.name.endswith(".deleted")
    return [folder]


@pytest.mark.skipif(os.name != "posix", reason="folders are synced on POSIX only")
@pytest.mark.parametrize("act", [publish, open_session, take_a_model_away])
def test_each_folder_with_a_new_name_is_synced(act, tmp_path, monkeypatch):
    fsync, synced = os.fsync, set()

    def note(handle):
        synced.add(os.fstat(handle).st_ino)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    assert [folder for folder in act(tmp_path) if folder.stat().st_ino not in synced] == []
