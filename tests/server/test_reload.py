"""An app that is changed while it is served."""

import json
import os
import threading
import time
from pathlib import Path

import pytest
import requests
import SimpleITK

from server.app import create_app
from server.observe.names import NAMES
from server.running import running
from tests.server.conftest import write_image

APPS = Path(__file__).parents[2] / "apps"

MAIN = """
import os
import time

from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from lib.answer import ANSWER


class Answer(InferTask):
    def __init__(self):
        super().__init__(InferType.CLASSIFICATION, None, 3, ANSWER)

    def is_valid(self):
        return True

    def __call__(self, request):
        while "until" in request and not os.path.exists(request["until"]):
            time.sleep(0.02)
        return None, {"answer": ANSWER, "pid": os.getpid()}


class App(MONAILabelApp):
    def __init__(self, app_dir, studies, conf):
        super().__init__(app_dir, studies, conf, name="changing")

    def init_infers(self):
        return {"answer": Answer()}
"""


def change(folder, *, main=MAIN, answer):
    (folder / "lib").mkdir(parents=True, exist_ok=True)
    (folder / "lib" / "__init__.py").touch()
    for file, text in ((folder / "main.py", main), (folder / "lib" / "answer.py", f"ANSWER = {answer!r}\n")):
        file.write_text(text)
        future = time.time() + change.times  # Python looks at whole seconds to see that a file has changed
        os.utime(file, (future, future))
    change.times += 2


change.times = 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("changing") / "app"
    change(folder, answer="one")
    return folder


@pytest.fixture(scope="module")
def app(folder):
    studies = folder.parent / "studies"
    studies.mkdir()
    write_image(studies / "case.nrrd")
    return create_app(folder, studies, score_in_background=False)


@pytest.fixture(scope="module")
def server(app):
    with running(app) as address:
        yield address


def ask(server, **params):
    query, form = {"image": "case", "output": "json"}, {"params": json.dumps(params)}
    answer = requests.post(f"{server}/infer/answer", params=query, data=form, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def described(server):
    return requests.get(f"{server}/info/", timeout=30).json()["models"]["answer"]["description"]


def test_what_was_changed_is_served_and_what_runs_is_finished(server, folder, tmp_path):
    change(folder, answer="one")
    assert (ask(server)["answer"], described(server)) == ("one", "one")
    answers = []
    slow = threading.Thread(target=lambda: answers.append(ask(server, until=str(tmp_path / "enough"))))
    slow.start()
    time.sleep(0.3)
    change(folder, answer="two")
    reloaded = requests.post(f"{server}/reload", timeout=60)
    assert reloaded.status_code == 200, reloaded.text
    assert reloaded.json()["models"] == ["answer"]
    assert described(server) == "two"
    assert slow.is_alive()
    (tmp_path / "enough").touch()
    after = ask(server)
    slow.join()
    assert [one["answer"] for one in answers] == ["one"]
    assert after["answer"] == "two"
    assert after["pid"] != answers[0]["pid"]
    assert ask(server)["pid"] == after["pid"]


def test_an_app_that_cannot_be_loaded_is_told_and_the_one_before_serves_on(server, folder):
    before, name = ask(server), described(server)
    for main, said in (
        ("import os\nos._exit(3)\n", "WorkerLostError"),
        ("raise RuntimeError('no weights in /srv/secret/weights.pt')\n", "no weights in weights.pt"),
    ):
        change(folder, main=main, answer="broken")
        answer = requests.post(f"{server}/reload", timeout=60)
        assert answer.status_code == 422
        assert said in answer.json()["detail"]
        assert "goes on serving" in answer.json()["detail"]
        assert "/srv" not in answer.text
        assert str(folder) not in answer.text
        assert ask(server) == before
        assert described(server) == name


def test_one_reload_at_a_time(server, app):
    services = app.state.services
    with services._reloading:
        assert requests.post(f"{server}/reload", timeout=60).status_code == 409


class Idle:
    """A slot whose work nobody asks for."""

    alive = True

    def open(self):
        pass

    def kill(self):
        pass


def test_labels_are_read_apart_and_ids_kept_out_of_the_log_after_a_reload(tmp_path, monkeypatch):
    image = write_image(tmp_path / "case0.nrrd")
    label = tmp_path.parent / "label.nrrd"
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(image)) > 50, str(label))
    app = create_app(APPS / "hepatic", tmp_path, score_in_background=False, make_slot=Idle)
    with running(app) as server:
        services = app.state.services
        asked, before = len(NAMES._asked), services.host.datastore
        assert requests.post(f"{server}/reload", timeout=60).status_code == 200
        assert services.host.datastore is not before
        assert len(NAMES._asked) == asked
        assert services.host.datastore.store.images.known in NAMES._asked

        monkeypatch.setattr("hepatic.adapters.datastore.read_labelmap", None)  # in the server's own process, that is
        with label.open("rb") as file:
            query, form = {"image": "case0"}, {"label": ("label.nrrd", file)}
            saved = requests.put(f"{server}/datastore/label", params=query, files=form, timeout=60)
        assert saved.status_code == 200, saved.text
