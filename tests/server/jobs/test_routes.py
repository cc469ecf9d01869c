"""Jobs over HTTP: the contract's batch inference, several trainings, the list, the events, the page, the command."""

import asyncio
import json
import threading
import time

import pytest
import requests
from typer.testing import CliRunner

from server.app import create_app
from server.cli import app as command
from server.commands.jobs import FAILED
from server.jobs.runner import Jobs
from server.routes import jobs as jobs_routes
from server.routes.jobs import _all_changes
from server.running import running
from tests.server.conftest import FOREIGN_APP, write_image


@pytest.fixture(scope="module")
def app(tmp_path_factory, flags):
    studies = tmp_path_factory.mktemp("studies")
    for number in range(4):
        write_image(studies / f"case{number}.nrrd", number)
    (studies / "broken.nrrd").write_bytes(b"NRRD0004\nno")
    return create_app(FOREIGN_APP, studies, queue_limit=4, score_in_background=False)


@pytest.fixture(scope="module")
def server(app):
    with running(app) as address:
        yield address


@pytest.fixture(autouse=True)
def idle(server):
    yield
    for route in ("train/", "batch/infer"):
        requests.delete(f"{server}/{route}", timeout=30)


def until(condition, limit_s=120.0):
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


def told(server, path, *, method="GET", status=200, **options):
    answer = requests.request(method, f"{server}/{path}", timeout=60, **options)
    assert answer.status_code == status, answer.text
    return answer.json()


def ended(server, id):
    return until(lambda: (job := told(server, f"jobs/{id}"))["ended"] and job)


def events(server, path, last="", limit_s=120.0):
    """Yield the name, id and data of server-sent events, and comments as events without a name."""
    headers = {"Last-Event-ID": last} if last else {}
    with requests.get(f"{server}/{path}", stream=True, headers=headers, timeout=limit_s) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        event = {}
        for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
            if not line:
                if "data" in event:
                    yield event["event"], event["id"], json.loads(event["data"])
                event = {}
            else:
                name, _, value = line.partition(": ")
                event[name] = value


# Batch inference


def test_a_batch_saves_a_label_for_each_image_and_tells_which_failed(server):
    options = {"images": "all"}
    record = told(server, "batch/infer/threshold", method="POST", params=options, json={"label_tag": "auto"})
    assert record["status"] in ("SUBMITTED", "RUNNING")
    assert record["details"]
    assert record["request"]["model"] == "threshold"
    done = ended(server, record["id"])
    assert done["items"] == {"total": 5, "done": 4, "failed": 1}
    assert list(done["failures"]) == ["broken"]
    assert done["result"] == {"total": 5, "done": 4, "failed": 1}
    record = told(server, "batch/infer")
    assert (record["status"], record["id"]) == ("DONE", done["id"])
    assert record["details"][-1] == "4 of 5 images done, 1 failed"
    assert "error" in record["result"]["broken"]
    assert record["result"]["case0"]["params"]["voxels"] > 0
    assert record["result"]["case0"]["tag"] == "auto"
    for image in ("case0", "case3"):
        assert requests.head(f"{server}/datastore/label", params={"label": image, "tag": "auto"}, timeout=10).ok
    info = told(server, "datastore/label/info", params={"label": "case0", "tag": "auto"})
    assert (info["model"], info["job"]) == ("threshold", done["id"])


def test_a_batch_may_be_waited_for_and_leaves_out_what_somebody_has_finished(server):
    first = told(server, "batch/infer/threshold", method="POST", params={"run_sync": True, "images": "unlabeled"})
    assert set(first) == {"case0", "case1", "case2", "case3", "broken"}
    assert first["case1"]["tag"] == "original"
    mask = requests.get(f"{server}/datastore/label?label=case1&tag=original", timeout=10).content
    requests.put(f"{server}/datastore/label?image=case1", files={"label": ("x.nrrd", mask)}, timeout=10)
    body = {
        "device": "cuda",
        "multi_gpu": True,
        "gpus": "all",
        "max_workers": 1,
        "max_batch_size": 0,
        "logging": "INFO",
    }
    for images, expected in (("labeled", {"case1"}), ("unlabeled", {"case0", "case2", "case3", "broken"})):
        options = {"images": images, "run_sync": True}
        assert set(told(server, "batch/infer/threshold", method="POST", params=options, json=body)) == expected


def test_a_batch_of_named_images_that_saves_nothing(server):
    body = {"images": ["case2"], "save_label": False, "label_tag": "unsaved"}
    answer = told(server, "batch/infer/threshold", method="POST", params={"run_sync": True}, json=body)
    assert (list(answer), answer["case2"]["label"]) == (["case2"], None)
    absent = requests.head(f"{server}/datastore/label", params={"label": "case2", "tag": "unsaved"}, timeout=10)
    assert absent.status_code == 404


def test_a_batch_of_which_nothing_went_well_has_failed(server):
    answer = requests.post(f"{server}/batch/infer/threshold?run_sync=true", json={"fail": 1}, timeout=60)
    assert answer.status_code == 500
    assert "None of the 5 images" in answer.json()["detail"]
    record = told(server, "batch/infer")
    assert record["status"] == "ERROR"
    assert not [line for line in record["details"] if "/" in line]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("nobody", {}, 404),
        ("threshold?images=some", {}, 422),
        ("threshold", {"label_tag": "../x"}, 422),
        ("threshold", {"label_tag": "final"}, 422),
        ("threshold", {"label_tag": 3}, 422),
        ("threshold", {"max_batch_size": -1}, 422),
        ("threshold", {"max_batch_size": "many"}, 422),
        ("threshold", {"images": ["nobody"]}, 404),
        ("threshold", {"images": ["../case0"]}, 404),
    ],
)
def test_a_batch_that_cannot_be_is_refused(server, path, body, status):
    assert "detail" in told(server, f"batch/infer/{path}", method="POST", status=status, json=body)


def test_one_batch_at_a_time_and_readers_are_served_in_between(server):
    body = {"sleep_s": 0.4, "images": [f"case{n}" for n in range(4)], "label_tag": "slow"}
    record = told(server, "batch/infer/threshold", method="POST", json=body)
    assert "detail" in told(server, "batch/infer/threshold", method="POST", status=429, json=body)
    waiting = told(server, "batch/infer/threshold", method="POST", params={"enqueue": True}, json=body)
    until(lambda: told(server, f"jobs/{record['id']}")["items"]["done"])
    answer = requests.post(f"{server}/infer/threshold?image=case0&output=json", data={"params": "{}"}, timeout=30)
    assert answer.status_code == 200
    assert told(server, f"jobs/{record['id']}")["state"] == "running"
    assert told(server, "batch/infer", params={"check_if_running": True})["id"] == record["id"]
    stopped = told(server, "batch/infer", method="DELETE")
    assert (stopped["id"], stopped["status"]) == (record["id"], "STOPPED")
    assert told(server, f"jobs/{waiting['id']}")["state"] == "cancelled"
    assert told(server, "batch/infer", params={"check_if_running": True}, status=404)
    assert told(server, "batch/infer", method="DELETE") is None
    done = told(server, f"jobs/{record['id']}")["items"]["done"]
    assert 0 < done < 4
    again = told(server, f"jobs/{record['id']}/retry", method="POST")
    assert again["items"]["done"] == done
    assert ended(server, record["id"])["items"] == {"total": 4, "done": 4, "failed": 0}


def test_of_two_batches_asked_for_at_once_one_is_taken(server):
    for _ in range(5):
        statuses = []
        barrier = threading.Barrier(2)

        def ask(barrier=barrier, statuses=statuses):
            barrier.wait()
            body = {"images": ["case0"], "sleep_s": 0.5, "label_tag": "twice"}
            statuses.append(requests.post(f"{server}/batch/infer/threshold", json=body, timeout=30).status_code)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200, 429]
        told(server, "batch/infer", method="DELETE")


# Trainings and the list


def test_several_trainings_wait_for_their_turn_and_any_of_them_can_be_stopped(server):
    body = {"max_epochs": 50, "sleep_s": 0.2, "client_id": "reader-1"}
    first = told(server, "train/slow", method="POST", json=body)
    second, third = (
        told(server, f"train/{name}", method="POST", params={"enqueue": True}, json={"max_epochs": 1})
        for name in ("other", "slow")
    )
    until(lambda: told(server, f"jobs/{first['id']}")["state"] == "running")
    listed = told(server, "jobs", params={"kind": "train", "state": ["queued", "running"]})
    assert [job["id"] for job in listed["jobs"]] == [third["id"], second["id"], first["id"]]
    assert listed["total"] == 3
    assert listed["jobs"][-1]["asked_by"] == "reader-1"
    assert listed["jobs"][-1]["device"]
    page = told(server, "jobs", params={"kind": "train", "limit": 1, "offset": 1})
    assert [job["id"] for job in page["jobs"]] == [second["id"]]
    assert told(server, f"jobs/{second['id']}", method="DELETE")["state"] == "cancelled"
    assert told(server, f"jobs/{first['id'][:8]}", method="DELETE")["state"] == "cancelled"
    done = ended(server, third["id"])
    assert (done["state"], done["result"]["best_metric"]) == ("succeeded", 0.5)
    assert "epoch 1" in done["log"]
    assert told(server, f"jobs/{third['id']}", method="DELETE")["state"] == "succeeded"
    assert "detail" in told(server, f"jobs/{third['id']}/retry", method="POST", status=409)
    again = told(server, f"jobs/{second['id']}/retry", method="POST")
    assert ended(server, again["id"])["state"] == "succeeded"


@pytest.mark.parametrize("id", ["nobody", "%25", "..%2f..%2fetc", "a" * 300])
@pytest.mark.parametrize(("method", "tail"), [("GET", ""), ("DELETE", ""), ("POST", "/retry"), ("GET", "/events")])
def test_a_job_nobody_knows_is_not_there(server, id, method, tail):
    assert requests.request(method, f"{server}/jobs/{id}{tail}", timeout=10).status_code == 404


@pytest.mark.parametrize("query", ["limit=0", "limit=1000", "offset=-1", "state=odd", "offset=99999999999999999999"])
def test_a_list_that_cannot_be_is_refused(server, query):
    assert requests.get(f"{server}/jobs?{query}", timeout=10).status_code == 422


# Events


def test_the_events_of_a_job_tell_its_course_and_end_with_it(server):
    record = told(server, "train/slow", method="POST", json={"max_epochs": 3, "sleep_s": 0.3})
    seen = list(events(server, f"jobs/{record['id']}/events"))
    states = [data["state"] for name, _, data in seen if name == "job"]
    assert states[-1] == "succeeded"
    assert "running" in states
    lines = [line for name, _, data in seen if name == "log" for line in data]
    assert [line for line in lines if line.startswith("epoch")] == ["epoch 1", "epoch 2", "epoch 3"]
    assert len(seen) > 3, "it was told while it ran, not only at its end"
    middle = seen[len(seen) // 2]
    rest = list(events(server, f"jobs/{record['id']}/events", last=middle[1]))
    again = [line for name, _, data in rest if name == "log" for line in data]
    assert again == lines[len(lines) - len(again) :]
    assert rest[-1][2]["state"] == "succeeded"
    over = requests.get(f"{server}/jobs/{record['id']}/events", headers={"Last-Event-ID": seen[-1][1]}, timeout=10)
    assert over.status_code == 204
    assert list(events(server, f"jobs/{record['id']}/events", last="no id of ours"))


def test_the_events_of_all_jobs_begin_with_what_runs_and_go_on_with_what_changes(server):
    running_one = told(server, "train/slow", method="POST", json={"max_epochs": 50, "sleep_s": 0.2})
    seen, new = [], {}

    def follow():
        for _, number, job in events(server, "jobs/events"):
            seen.append((number, job["id"], job["state"]))
            if new and seen[-1][1:] == (new["id"], "cancelled"):
                return

    thread = threading.Thread(target=follow)
    thread.start()
    until(lambda: seen)
    assert seen[0][1] == running_one["id"]
    job = told(server, "train/other", method="POST", params={"enqueue": True}, json={})
    until(lambda: (job["id"], "queued") in [one[1:] for one in seen])
    new.update(job)
    told(server, f"jobs/{job['id']}", method="DELETE")
    thread.join(20)
    assert not thread.is_alive()
    numbers = [int(number) for number, _, _ in seen]
    assert numbers == sorted(numbers)
    queued = next(number for number, *what in seen if what == [job["id"], "queued"])
    after = next(iter(events(server, "jobs/events", last=queued)))
    assert int(after[1]) > int(queued)


def test_however_much_has_changed_is_told_at_once(tmp_path):
    jobs = Jobs(tmp_path / "jobs.sqlite")
    for _ in range(450):
        jobs.table.add("nobody's", {})

    async def told():
        seen = []
        async for event in _all_changes(jobs, 1):
            seen += [event] if b"event: job" in event else []
            if len(seen) == 449:
                return seen

    assert len(asyncio.run(asyncio.wait_for(told(), 5))) == 449
    jobs.close()


def test_a_stream_is_forgotten_when_its_client_goes_and_ends_when_the_server_does(tmp_path, flags):
    app = create_app(FOREIGN_APP, tmp_path, score_in_background=False)
    ended = []

    def follow():
        ended.extend(events(address, "jobs/events"))
        ended.append("ended")

    with running(app) as address:
        listeners = app.state.services.jobs.changes._listeners
        with requests.get(f"{address}/jobs/events", stream=True, timeout=10) as answer:
            until(lambda: listeners)
            assert answer.status_code == 200
        until(lambda: not listeners)
        thread = threading.Thread(target=follow)
        thread.start()
        until(lambda: listeners)
        asked = time.monotonic()
    thread.join(10)
    assert ended == ["ended"], "it was ended in order, not cut off"
    assert time.monotonic() - asked < 5


def test_a_stream_ends_now_and_then_so_that_who_listens_is_let_in_anew_and_the_command_asks_again(server, monkeypatch):
    monkeypatch.setattr(jobs_routes, "_LIFE_S", 0.3)
    monkeypatch.setattr(jobs_routes, "_BEAT_S", 0.1)
    record = told(server, "train/slow", method="POST", json={"max_epochs": 3, "sleep_s": 0.5})
    cut = list(events(server, f"jobs/{record['id']}/events"))
    assert all(data["state"] != "succeeded" for name, _, data in cut if name == "job"), "it ended before the job"
    watched = said("watch", record["id"], "--server", server)
    assert [watched.count(f"epoch {number}") for number in (1, 2, 3)] == [1, 1, 1], "each is told once"


# The page and the command


def test_a_browser_gets_a_page_that_runs_only_its_own_script_and_a_program_gets_json(server):
    page = requests.get(f"{server}/jobs", headers={"Accept": "text/html,application/xhtml+xml"}, timeout=10)
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "'sha256-" in policy
    assert "unsafe-inline' script" not in policy
    assert "//" not in page.text.replace("// a ", "")
    assert requests.get(f"{server}/jobs", timeout=10).json()["limit"] == 50
    assert '<a href="jobs">' in requests.get(f"{server}/", timeout=10).text


def said(*words, code=0, env=None):
    done = CliRunner().invoke(command, ["jobs", *words], env={"COLUMNS": "200", **(env or {})})
    assert done.exit_code == code, (done.output, done.exception)
    return f"{done.output}{done.exception or ''}"


def test_the_command_lists_shows_watches_and_stops(server):
    there = ("--server", server)
    failing = told(server, "train/slow", method="POST", json={"fail": 1})
    watched = said("watch", failing["id"][:8], *there, code=FAILED)
    assert "epoch 2" in watched
    assert "RuntimeError: training broke" in watched
    good = told(server, "train/slow", method="POST", json={"max_epochs": 1})
    assert "epoch 1" in said("watch", good["id"], *there)
    shown = said("show", good["id"], *there)
    assert "train slow" in shown
    assert "succeeded" in shown
    long = told(server, "train/slow", method="POST", json={"max_epochs": 50, "sleep_s": 0.2})
    listed = said("list", "--kind", "train", *there)
    assert good["id"][:8] in listed
    assert [job["id"] for job in json.loads(said("list", "--json", "--limit", "1", *there))] == [long["id"]]
    assert "was stopped" in said("cancel", long["id"][:8], *there)
    assert "had ended already: succeeded" in said("cancel", good["id"], *there)
    assert "the job: expected the id of a job" in said("show", "nobody", *there, code=1)


def test_the_command_says_what_is_wrong_where_no_server_answers():
    assert "No server answers at http://127.0.0.1:9" in said("list", "--server", "http://127.0.0.1:9", code=1)
    assert "expected an address" in said("list", "--server", "nonsense", code=1)
    for name in ("list", "show", "cancel", "watch"):
        assert "hepatic jobs " + name in said(name, "--help")


def test_the_command_sends_the_token_it_is_given():
    import http.server

    seen = []

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers["Authorization"])
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b'{"detail": "This token may not do that."}')

        def log_message(self, *_):
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Refusing) as other:
        threading.Thread(target=other.handle_request, daemon=True).start()
        address = f"http://127.0.0.1:{other.server_port}"
        refused = said("list", "--server", address, code=1, env={"HEPATIC_TOKEN": "abc"})
    assert seen == ["Bearer abc"]
    assert "This token may not do that. Put a token that may do this into HEPATIC_TOKEN." in refused
