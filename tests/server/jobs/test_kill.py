"""``hepatic serve`` killed in the middle of its jobs, and started again over the same folder."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import requests

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import write_labelmap
from hepatic.io.read import read
from tests.runs import write_run
from tests.server.conftest import FOREIGN_APP, write_image

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {
    **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HEPATIC_THREADS": "1",
    "HEPATIC_SCORE_IN_BACKGROUND": "false", "HEPATIC_TRAINING_DEVICES": "cpu", "COLUMNS": "200",
}  # fmt: skip
BOX = (slice(8, 16), slice(8, 20))
EPOCHS = 25


class Served:
    """A server process, and what it answers."""

    def __init__(self, studies, app):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server.cli", "serve", "--app", app, "--studies", studies, "--port", str(port)],
            cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(self._answers, 100)

    def _answers(self):
        assert self.process.poll() is None
        try:
            return requests.get(f"{self.address}/health", timeout=10).ok
        except requests.ConnectionError:
            return False

    def told(self, path, method="GET", **options):
        answer = requests.request(method, f"{self.address}/{path}", timeout=60, **options)
        assert answer.ok, answer.text
        return answer.json()

    def kill(self, *, standing_still=()):
        """Kill the server; processes that stand still go on only when it is gone."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        for process in standing_still:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        _, alive = psutil.wait_procs(family, timeout=60)
        assert alive == []

    def stop_training(self, id):
        """Let the training's process stand still, with every line it has written in the job's log."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        training = [one for one in family if "server.training_process" in one.cmdline()]
        assert training
        for one in training:
            one.suspend()

        def is_told():
            before = self.told(f"jobs/{id}")["log"]
            time.sleep(0.5)
            return self.told(f"jobs/{id}")["log"] == before

        until(is_told)
        return training


@contextmanager
def serving(studies, app):
    served = Served(studies, app)
    try:
        yield served
    finally:
        if served.process.poll() is None:
            served.process.terminate()
            served.process.wait(30)


def until(condition, limit_s=90.0):
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


def labelled_studies(folder):
    """Three runs of three patients, each with a final label."""
    folder.mkdir()
    for number in range(3):
        write_run(folder / f"{number}.dcm", seed=number, patient=f"P{number}", dark=BOX)
    datastore = HepaticDatastore(folder, auto_rescan_seconds=None)
    for image_id in datastore.list_images():
        image = read(datastore.image_files(image_id)[0])
        array = image.frames * 0
        array[(6, *BOX)] = 1
        write_labelmap(folder.parent / "label.nrrd", Labelmap(array, image.grid))
        info = {"label_info": [{"name": "tumour", "idx": 1}]}
        datastore.save_label(image_id, str(folder.parent / "label.nrrd"), "final", info)
    return folder


@pytest.mark.timeout(240)
def test_a_training_goes_on_from_its_checkpoint_and_ends_as_if_nothing_had_happened(tmp_path):
    app = ROOT / "apps" / "hepatic"
    whole, cut = labelled_studies(tmp_path / "whole"), labelled_studies(tmp_path / "cut")
    asked = {"max_epochs": EPOCHS, "seed": 3}

    with serving(cut, app) as server:
        id = server.told("train/dsa_unet", "POST", json=asked)["id"]
        until(lambda: any(f"epoch 3/{EPOCHS}" in line for line in server.told(f"jobs/{id}")["log"]))
        server.kill(standing_still=server.stop_training(id))
    with serving(cut, app) as server:
        job = until(lambda: (now := server.told(f"jobs/{id}"))["ended"] and now)
        assert (job["state"], job["attempt"]) == ("succeeded", 2), job["error"]
        record = server.told("train/")
        assert (record["id"], record["status"]) == (id, "DONE")
        assert server.told("info/")["train_stats"]["dsa_unet"]["epoch"] == EPOCHS

    log = (cut / ".hepatic" / "trainings" / id / "log.txt").read_text()
    epochs = [log.count(f"epoch {epoch}/{EPOCHS} ") for epoch in range(1, EPOCHS + 1)]
    resumed_from = log[: log.rindex("hepatic.engine.fit: dsa_unet")].count("epoch ")
    assert 3 <= resumed_from < EPOCHS
    assert epochs[: resumed_from - 1] == [1] * (resumed_from - 1), "what was in the checkpoint is not done again"
    assert len([times for times in epochs if times != 1]) <= 1, "the epoch in flight, or the line of it, at most"

    options = [word for name, value in asked.items() for word in ("-p", f"{name}={value}")]
    done = subprocess.run(
        [sys.executable, "-m", "server.cli", "train", "dsa_unet", "--app", app, "--studies", whole, *options],
        cwd=ROOT, env={**ENVIRONMENT, "HEPATIC_DEVICE": "cpu"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    versions = [
        [folder.name for folder in (studies / ".hepatic" / "models" / "dsa_unet").glob("v*")]
        for studies in (whole, cut)
    ]
    assert versions[0] == versions[1], "the names hold the hashes of the weights"
    assert len(versions[0]) == 1
    assert job["result"]["version"] == versions[0][0]


@pytest.mark.timeout(240)
def test_a_batch_goes_on_where_it_was_and_trainings_of_others_begin_anew_or_wait_on(tmp_path):
    for number in range(8):
        write_image(tmp_path / f"case{number}.nrrd", number)

    def labels():
        return {file.name: file.stat().st_mtime_ns for file in (tmp_path / "labels" / "original").glob("*.nrrd")}

    with serving(tmp_path, FOREIGN_APP) as server:
        batch = server.told("batch/infer/threshold", "POST", json={"sleep_s": 0.4})["id"]
        training = server.told("train/slow", "POST", json={"max_epochs": 20, "sleep_s": 1.0})["id"]
        waiting = server.told("train/other?enqueue=true", "POST", json={"max_epochs": 1})["id"]
        until(lambda: server.told(f"jobs/{batch}")["items"]["done"] >= 2)
        until(lambda: "epoch 1" in server.told(f"jobs/{training}")["log"])
        server.kill()
        done = labels()
    with serving(tmp_path, FOREIGN_APP) as server:
        jobs = {
            id: until(lambda id=id: (now := server.told(f"jobs/{id}"))["ended"] and now)
            for id in (batch, training, waiting)
        }
        assert [job["state"] for job in jobs.values()] == ["succeeded"] * 3
        assert jobs[batch]["items"] == {"total": 8, "done": 8, "failed": 0}
        assert (jobs[batch]["attempt"], jobs[training]["attempt"], jobs[waiting]["attempt"]) == (2, 2, 1)
        assert "This trainer cannot resume: it begins anew." in jobs[training]["log"]
        assert jobs[training]["log"].count("epoch 1") == 2
        statuses = [record["status"] for record in server.told("train/?all=true")]
        assert statuses == ["DONE", "DONE"]
    after = labels()
    assert len(after) == 8
    same = [name for name in done if after[name] == done[name]]
    assert len(same) >= 2, "what was done before is not done again"
    assert len(same) >= len(done) - 1
