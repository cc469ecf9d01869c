"""The server's log: JSON for machines, text for people, the lines of all processes, the names of nobody."""

import json
import logging
import time

import pydicom
import pytest
import requests
from pydicom.uid import generate_uid

from server.app import create_app
from server.commands.options import log_to_terminal
from server.observe.log import ServerLog, as_text
from server.running import running
from tests.server.conftest import FOREIGN_APP, write_image
from tests.store.studies import write_xa_run

OURS = "fedcba9876543210fedcba9876543210"
SECRETS = ("mustermann", "hans", "anneliese", "4711-0815", "hep_verysecret")


@pytest.fixture(scope="module")
def served(tmp_path_factory, flags):
    folder = tmp_path_factory.mktemp("log")
    studies = folder / "Klinik Mustermann"
    studies.mkdir()
    write_image(studies / "Mustermann_Hans.nrrd")
    write_image(studies / "Anneliese.nrrd", 1)
    app = create_app(FOREIGN_APP, studies, score_in_background=False)
    with running(app) as address:
        yield address, app.state.services, folder


def entries(services):
    path = services.spec.data_dir / "logs" / "server.log"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def waited(services, wanted):
    """The lines that fit, once there are any: a line is written after the answer is sent."""
    deadline = time.monotonic() + 60
    while not (found := [entry for entry in entries(services) if wanted(entry)]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def infer(address, image, params="{}", **headers):
    return requests.post(
        f"{address}/infer/threshold",
        params={"image": image},
        files={"params": (None, params)},
        headers=headers,
        timeout=60,
    )


def test_every_line_is_json_with_time_level_logger_role_and_message(served):
    address, services, _ = served
    requests.get(f"{address}/info/", timeout=10)
    for entry in entries(services):
        assert {"time", "level", "logger", "role", "request_id", "message"} <= entry.keys()


def test_a_request_has_a_line_with_route_status_time_model_and_stages(served):
    address, services, _ = served
    infer(address, "Anneliese", **{"X-Request-ID": OURS})
    (line,) = waited(services, lambda entry: entry["request_id"] == OURS and "status" in entry)
    assert (line["method"], line["route"], line["status"], line["model"]) == (
        "POST",
        "/infer/{model}",
        200,
        "threshold",
    )
    assert line["duration_ms"] > 0
    assert {"queue", "send"} <= line["stages_ms"].keys()
    assert line["message"] == "POST /infer/{model} 200"


def test_what_a_worker_logs_is_there_with_its_role_and_the_request_it_was_for(served):
    address, services, _ = served
    infer(address, "Anneliese", '{"say": "looking at it"}', **{"X-Request-ID": OURS[::-1]})
    of_worker = waited(services, lambda entry: "looking at it" in entry["message"])
    assert {(entry["role"], entry["request_id"]) for entry in of_worker} == {("worker", OURS[::-1])}


def test_a_training_s_lines_are_there_with_its_role(served):
    address, services, _ = served
    assert requests.post(f"{address}/train/slow", json={"max_epochs": 1}, timeout=60).status_code == 200
    assert waited(services, lambda entry: entry["role"] == "training" and "epoch 1" in entry["message"])


def test_people_read_text(served):
    address, services, _ = served
    infer(address, "Anneliese", '{"fail": 1}', **{"X-Request-ID": OURS})
    waited(services, lambda entry: entry["request_id"] == OURS and entry.get("status") == 500)
    text = requests.get(f"{address}/logs/", params={"text": True, "lines": 400}, timeout=10).text
    assert f"[{OURS}]: POST /infer/{{model}} 500" in text
    assert "RuntimeError" in text
    assert not text.lstrip().startswith("{")
    page = requests.get(f"{address}/logs/", timeout=10)
    assert page.headers["content-type"].startswith("text/html")
    assert 'class="error"' in page.text
    assert len(requests.get(f"{address}/logs/?text=true&lines=2", timeout=10).text.splitlines()) == 2


def test_the_images_of_any_datastore_are_known_from_the_start(tmp_path, flags):
    write_image(tmp_path / "Kowalski_Jan.nrrd")
    write_image(tmp_path / "Nowak Ewa.nrrd")
    app = create_app(FOREIGN_APP, tmp_path, score_in_background=False)
    with running(app):
        logging.getLogger("foreign").info("Random: Selected Image: Kowalski_Jan, then Nowak Ewa.")
        told = app.state.services.log.tail(500)
    assert "Selected Image: #" in told
    assert not [name for name in ("Kowalski", "Nowak", "Ewa") if name in told]


def test_probes_are_not_in_the_log(served):
    address, services, _ = served
    for path in ("health", "ready", "metrics"):
        requests.get(f"{address}/{path}", headers={"X-Request-ID": "0f" * 15}, timeout=10)
    assert not [e for e in entries(services) if e["request_id"] == "0f" * 15]


def test_no_log_holds_a_patient_s_name_or_a_token(served, tmp_path):
    """Names in file names, DICOM, params, error texts and queries; then every file of every log is searched."""
    address, services, _ = served
    run = tmp_path / "run.dcm"
    write_xa_run(run, series=generate_uid(), study=generate_uid(), patient="4711-0815")
    with_name = pydicom.dcmread(run)
    with_name.PatientName = "Mustermann^Hans"
    with_name.save_as(run)
    nrrd = write_image(tmp_path / "x.nrrd", 5).read_bytes()
    secret = {"Authorization": "Bearer hep_verysecret"}
    for image in ("Mustermann_Hans", "Anneliese", "Hans Mustermann"):
        infer(address, image)
        infer(address, image, '{"fail": 1}')
        infer(address, image, '{"refuse": 1}')
        infer(address, image, json.dumps({"say": f"PatientName=Mustermann^Hans in {image}"}), **secret)
        requests.get(f"{address}/datastore/image/info", params={"image": image}, headers=secret, timeout=10)
    for name, data in (
        ("Hans Mustermann.nrrd", nrrd),
        ("C:\\Anneliese\\scan.nrrd", b"none"),
        ("IM1", run.read_bytes()),
    ):
        requests.put(f"{address}/datastore/image", files={"file": (name, data)}, timeout=60)
        requests.put(f"{address}/session/", files={"files": (name, data)}, timeout=60)
        requests.post(
            f"{address}/infer/threshold", files={"file": (name, data), "params": (None, '{"fail": 1}')}, timeout=60
        )
    requests.get(f"{address}/Mustermann/Hans?token=hep_verysecret", timeout=10)
    requests.post(f"{address}/activelearning/random", json={"client_id": "Anneliese"}, timeout=10)
    foreign = logging.getLogger("foreign")
    foreign.error("cannot open %s for %s", "/data/Hans.nrrd", "Mustermann^Hans", extra={"who": "Mustermann^Hans"})
    try:
        raise ValueError("no slices in 'Hans Mustermann.nrrd'")
    except ValueError:
        logging.getLogger("foreign").exception("it failed")
    assert (
        requests.post(
            f"{address}/train/slow",
            json={"max_epochs": 1, "say": "Anneliese.nrrd of Mustermann^Hans"},
            params={"run_sync": True, "enqueue": True},
            timeout=120,
        ).status_code
        == 200
    )
    written = [path for path in services.spec.data_dir.rglob("*") if path.is_file()]
    logs = [path for path in written if path.suffix in (".log", ".txt") or path.parent.name == "logs"]
    assert len(logs) >= 3
    for path in logs:
        text = path.read_bytes().decode("utf-8", "replace").lower()
        found = {secret: text[max(0, text.index(secret) - 200) :][:400] for secret in SECRETS if secret in text}
        assert not found, (path.name, found)


def test_a_line_of_an_older_log_is_shown_as_it_is(tmp_path):
    assert as_text("2026-01-01 10:00:00 INFO x: y\n") == "2026-01-01 10:00:00 INFO x: y"
    log = ServerLog(tmp_path / "server.log")
    try:
        logging.getLogger("one").warning("two\nlines")
        assert log.tail(10).splitlines()[-1] == "lines"
        assert " WARNING one: two" in log.tail(2)
    finally:
        log.close()


def test_a_command_in_a_server_s_process_shows_its_level_and_leaves_the_server_s_log_alone(tmp_path, capsys):
    log = ServerLog(tmp_path / "server.log")
    try:
        for _ in range(2):
            log_to_terminal(logging.WARNING)
        logging.getLogger("one").info("all is well")
        logging.getLogger("one").warning("it rains")
        assert [text for text in ("all is well", "it rains") if text in log.tail(10)] == ["all is well", "it rains"]
        shown = capsys.readouterr().err
        assert shown.count("it rains") == 1
        assert "all is well" not in shown
    finally:
        log.close()
