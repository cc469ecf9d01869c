"""Trainings over HTTP, as 3D Slicer and OHIF ask for them."""

import threading
import time
from types import SimpleNamespace

import psutil
import pytest
import requests

from hepatic.engine.device import training_devices
from hepatic.errors import BadInputError
from hepatic.store.disk import StorageError
from server.app import create_app
from server.hiding import HIDING
from server.host import Host
from server.jobs.held import JobFailedError
from server.jobs.runner import Jobs
from server.monai_app import AppSpec
from server.running import running
from server.services import Services
from server.training import Training, _environment
from server.training_told import Told
from tests.server.conftest import FOREIGN_APP

REFUSING_APP = """
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.train import TrainTask

from hepatic.errors import BadInputError


class Picky(TrainTask):
    def __init__(self):
        super().__init__("Picky")

    def __call__(self, request, datastore):
        came = f"1 in {datastore._datastore_path}/labels"
        raise BadInputError("labels", expected="2 patients or more", came=came, fix="Label another.")


class PickyApp(MONAILabelApp):
    def init_trainers(self):
        return {"picky": Picky()}
"""


def until(condition, limit_s=120.0):
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


@pytest.fixture(autouse=True)
def idle(slicer, services):
    yield
    services.training.stop()
    until(lambda: not slicer.train_status(check_if_running=True))


def training_processes():
    found = []
    for child in psutil.Process().children(recursive=True):
        if "server.training_process" in " ".join(child.cmdline()):
            found.append(child)
    return found


def test_slicer_starts_and_follows_a_training(slicer, services):
    assert not slicer.train_status(check_if_running=True)
    started = slicer.train_start("slow", {"max_epochs": 3})
    assert started["id"]
    assert started["start_ts"]
    assert started["request"] == {"max_epochs": 3, "client_id": "reader-1", "model": "slow"}
    until(lambda: slicer.train_status(check_if_running=True))
    assert slicer.train_status()["status"] == "RUNNING"
    until(lambda: not slicer.train_status(check_if_running=True))
    done = slicer.train_status()
    assert done["id"] == started["id"]
    assert done["status"] == "DONE"
    assert done["result"] == {"best_metric": 0.5, "images": len(services.host.datastore.list_images())}
    assert "epoch 3" in done["details"]
    assert len(done["details"]) <= 20
    log = services.spec.data_dir / "trainings" / started["id"] / "log.txt"
    assert "epoch 1\nepoch 2\nepoch 3\n" in log.read_text()


def test_one_runs_at_a_time_and_stopping_kills_it(slicer, server):
    slicer.train_start("slow", {"max_epochs": 100, "sleep_s": 1})
    process = until(training_processes)[0]
    busy = requests.post(f"{server}/train/other", json={}, timeout=10)
    assert busy.status_code == 429
    queued = requests.post(f"{server}/train/other", params={"enqueue": True}, json={}, timeout=10).json()
    assert queued["status"] == "SUBMITTED"
    until(lambda: "epoch 1" in slicer.train_status()["details"])
    stopped = slicer.train_stop()
    assert stopped["status"] == "STOPPED"
    assert stopped["end_ts"]
    assert stopped["details"][-1] == "Stopped on request."
    until(lambda: not process.is_running())
    records = requests.get(f"{server}/train/", params={"all": True}, timeout=10).json()
    assert [record["status"] for record in records[-2:]] == ["STOPPED", "STOPPED"]
    assert slicer.train_stop() is None


def test_a_failed_training_says_so(slicer, server):
    answer = requests.post(f"{server}/train/slow", params={"run_sync": True}, json={"fail": 1}, timeout=60)
    assert answer.status_code == 500
    record = slicer.train_status()
    assert record["status"] == "ERROR"
    assert record["details"][-1] == "RuntimeError: training broke"


def test_a_failed_training_shows_no_traceback_and_its_log_does(slicer, server, services):
    requests.post(f"{server}/train/slow", params={"run_sync": True}, json={"fail": 1}, timeout=60)
    record = slicer.train_status()
    assert not [line for line in record["details"] if "Traceback" in line or line.startswith("  ")]
    log = (services.spec.data_dir / "trainings" / record["id"] / "log.txt").read_text()
    assert "Traceback" in log
    assert "in __call__" in log


def test_what_a_person_can_put_right_is_one_line(tmp_path):
    (tmp_path / "main.py").write_text(REFUSING_APP)
    jobs = Jobs(tmp_path / "jobs.sqlite")
    host = Host(AppSpec(str(tmp_path), str(tmp_path / "My Studies")))
    training = Training(host, tmp_path / "trainings", jobs, lambda job: None)
    jobs.start()
    HIDING.add([tmp_path / "My Studies"])
    job = jobs.wait(training.submit({"model": "picky"}).id, 300)
    record = training.latest()
    jobs.close()
    assert "2 patients or more" in job.error
    assert record["status"] == "ERROR"
    told = "labels: expected 2 patients or more, but found 1 in labels. Label another."
    assert record["details"][-1] == told
    assert not [line for line in record["details"] if "Traceback" in line or "My Studies/labels" in line]
    log = (tmp_path / "trainings" / record["id"] / "log.txt").read_text()
    assert log.endswith(". Label another.\n")
    assert "My Studies" not in log
    assert "Traceback" not in log


def test_one_that_cannot_resume_says_so_after_its_server_was_stopped_in_order(tmp_path):
    def served():
        jobs = Jobs(tmp_path / "jobs.sqlite")
        host = Host(AppSpec(str(FOREIGN_APP), str(tmp_path / "studies")))
        training = Training(host, tmp_path / "trainings", jobs, lambda job: None)
        jobs.start()
        return jobs, training

    jobs, training = served()
    id = training.submit({"model": "slow", "max_epochs": 100, "sleep_s": 1}).id
    until(lambda: jobs.table.get(id).state == "running")
    jobs.close()
    jobs, training = served()
    told = until(lambda: "cannot resume" in str(training.latest()) and training.latest()["details"])
    jobs.close()
    assert "This trainer cannot resume: it begins anew." in told


def test_what_had_come_of_it_when_it_was_stopped_has_come_of_it(tmp_path, monkeypatch):
    jobs = Jobs(tmp_path / "jobs.sqlite")
    done = []
    training = Training(Host(AppSpec(str(FOREIGN_APP), str(tmp_path / "studies"))), tmp_path, jobs, done.append)

    def published_and_then_stopped(held, folder):
        (folder / "result.json").write_text('{"version": "v1"}')
        held.stop("cancelled")

    monkeypatch.setattr(training, "_train", published_and_then_stopped)
    jobs.start()
    job = jobs.wait(training.submit({"model": "slow"}).id, 300)
    jobs.close()
    assert (job.state, job.result) == ("succeeded", {"version": "v1"})
    assert [one.id for one in done] == [job.id]


def test_who_waits_for_several_trainings_is_told_what_came_of_each(server, services, monkeypatch):
    def train(held, folder):
        if held.job.subject == "slow":
            raise JobFailedError("It broke.")
        (folder / "result.json").write_text('{"best_metric": 0.5}')

    monkeypatch.setattr(services.training, "_train", train)
    answer = requests.post(f"{server}/train/", params={"run_sync": True}, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "slow": {"result": None, "detail": "The training failed; GET /train/ shows its last lines."},
        "other": {"result": {"best_metric": 0.5}, "detail": None},
    }


def test_who_waits_for_a_training_when_the_server_stops_is_told_that_it_goes_on(tmp_path, flags):
    app, answers = create_app(FOREIGN_APP, tmp_path, score_in_background=False), []
    body = {"max_epochs": 100, "sleep_s": 1}

    def wait_for_it():
        answers.append(requests.post(f"{address}/train/slow", params={"run_sync": True}, json=body, timeout=60))

    with running(app) as address:
        thread = threading.Thread(target=wait_for_it)
        thread.start()
        until(app.state.services.training.running)
    thread.join(20)
    assert answers[0].status_code == 503
    assert answers[0].json()["detail"] == "The server is stopping; the training goes on at its next start."


def test_the_folder_of_a_training_goes_with_its_row(tmp_path, monkeypatch):
    jobs = Jobs(tmp_path / "jobs.sqlite")
    host = Host(AppSpec(str(FOREIGN_APP), str(tmp_path / "studies")))
    training = Training(host, tmp_path / "trainings", jobs, lambda job: None)
    monkeypatch.setattr(training, "_train", lambda held, folder: (folder / "result.json").write_text("{}"))
    jobs.start()
    ids = [jobs.wait(training.submit({"model": "slow"}, enqueue=True).id, 300).id for _ in range(3)]
    jobs.prune(keep=1)
    jobs.close()
    assert [folder.name for folder in (tmp_path / "trainings").iterdir()] == ids[-1:]
    assert [job.id for job in jobs.table.jobs()] == ids[-1:]


def test_housekeeping_goes_on_after_whatever_failed():
    done, ended = [], threading.Event()
    ended.set()

    def broken():
        done.append("broken")
        raise StorageError("locked")

    house = SimpleNamespace(
        sessions=SimpleNamespace(expire=broken),
        scratch=SimpleNamespace(sweep=lambda: done.append("swept")),
        jobs=SimpleNamespace(prune=lambda: done.append("pruned")),
        spec=SimpleNamespace(is_remote=False),
        host=SimpleNamespace(datastore=None),
        _ended=ended,
    )
    Services._keep_house(house)
    assert done == ["broken", "swept", "pruned"]


def test_lines_of_tracebacks_are_not_told():
    lines = [
        "epoch 1",
        "Traceback (most recent call last):",
        '  File "x.py", line 1, in f',
        "    f()",
        "ValueError: a",
        "During handling of the above exception, another exception occurred:",
        "12:00:00 Traceback (most recent call last):",
        '  File "x.py", line 1, in f',
        "KeyError: b",
        "  indented",
    ]
    told = Told()
    assert [line for line in lines if told(line)] == ["epoch 1", "ValueError: a", "KeyError: b", "  indented"]


def test_ohif_starts_only_the_trainers_it_names(server):
    answer = requests.post(f"{server}/train/", json={"other": {"max_epochs": 1}}, timeout=10).json()
    assert list(answer) == ["other"]
    assert answer["other"]["result"]["request"] == {"max_epochs": 1, "model": "other"}
    assert requests.post(f"{server}/train/", json={"nobody": {}}, timeout=10).status_code == 404


def test_an_empty_body_starts_all_trainers(server):
    answer = requests.post(f"{server}/train/", timeout=10).json()
    assert list(answer) == ["slow", "other"]


def test_params_cannot_choose_paths(server):
    body = {"bundle_path": "/evil", "name": "../../x", "model": "other", "output_dir": "/x"}
    record = requests.post(f"{server}/train/slow", json=body, timeout=10).json()
    assert record["request"] == {"model": "slow"}


def test_a_training_sees_the_device_of_its_slot_only_and_another_choice_of_the_request_counts(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    seen = _environment({}, "cuda:1")
    assert (seen["CUDA_VISIBLE_DEVICES"], seen["HEPATIC_DEVICE"]) == ("7", "cuda")
    seen = _environment({}, "cpu")
    assert (seen["CUDA_VISIBLE_DEVICES"], seen["HEPATIC_DEVICE"]) == ("", "cpu")
    assert _environment({"gpus": "0"}, "cuda:1")["CUDA_VISIBLE_DEVICES"] == "0"
    assert _environment({"gpus": "all"}, "cuda:0")["CUDA_VISIBLE_DEVICES"] == "4"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert _environment({}, "cuda:1")["CUDA_VISIBLE_DEVICES"] == "1"


def test_there_is_a_slot_for_every_gpu_or_one_for_the_cpu(monkeypatch):
    for gpus, expected in ((0, ["cpu"]), (2, ["cuda:0", "cuda:1"])):
        monkeypatch.setattr("torch.cuda.device_count", lambda gpus=gpus: gpus)
        assert training_devices("auto") == expected
    assert training_devices("cpu") == ["cpu"]
    assert training_devices("cuda:1, cpu") == ["cuda:1", "cpu"]
    with pytest.raises(BadInputError, match="HEPATIC_TRAINING_DEVICES"):
        training_devices("cuda:2")
