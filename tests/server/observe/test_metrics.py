"""``/metrics``, scraped as Prometheus does."""

import re
import time
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from server.app import create_app
from server.observe.metrics import Metrics
from server.observe.stages import stages_ms
from server.running import running
from tests.server.conftest import FOREIGN_APP, write_image

DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"


def scrape(address):
    answer = requests.get(f"{address}/metrics", timeout=30)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples, name, **labels):
    return samples.get((name, tuple(sorted(labels.items()))), 0)


def eventually(address, holds):
    """A request is counted when its answer has been sent."""
    deadline = time.monotonic() + 60
    while not holds(samples := scrape(address)):
        assert time.monotonic() < deadline, samples
        time.sleep(0.05)
    return samples


def infer(address, image="case0", params="{}"):
    return requests.post(
        f"{address}/infer/threshold", params={"image": image}, files={"params": (None, params)}, timeout=60
    )


def test_requests_are_counted_by_route_and_status(server):
    known = {"method": "GET", "route": "/info/"}
    before = scrape(server)
    for _ in range(3):
        requests.get(f"{server}/info/", timeout=10)
    requests.get(f"{server}/activelearning/Mustermann", timeout=10)
    requests.get(f"{server}/Mustermann", timeout=10)
    name = "hepatic_http_requests_total"
    unknown = {"method": "GET", "route": "none", "status": "404"}
    after = eventually(server, lambda now: value(now, name, **unknown) > value(before, name, **unknown))
    assert value(after, name, status="200", **known) == value(before, name, status="200", **known) + 3
    assert value(after, "hepatic_http_request_seconds_count", **known) >= 3
    assert not [key for key in after if "Mustermann" in str(key)]


def test_an_inference_is_timed_by_stage_and_its_bytes_are_counted(server):
    before = scrape(server)
    assert infer(server).status_code == 200
    labels = {"model": "threshold", "stage": "send"}
    name = "hepatic_inference_stage_seconds_count"
    after = eventually(server, lambda now: value(now, name, **labels) == value(before, name, **labels) + 1)
    route = {"method": "POST", "route": "/infer/{model}"}
    for counter in ("hepatic_upload_bytes_total", "hepatic_answer_bytes_total"):
        assert value(after, counter, **route) > value(before, counter, **route)
    assert value(after, name, model="threshold", stage="queue") >= 1
    assert value(after, "hepatic_worker_resident_bytes") > 10 << 20
    assert value(after, "hepatic_slots_ready") == 1


def test_the_queue_is_told_while_it_is_full(server, services):
    held = [services.executor.submit(time.sleep, 1.0) for _ in range(2)]
    samples = eventually(server, lambda now: value(now, "hepatic_work_running") == 1)
    assert value(samples, "hepatic_queue_waiting") == 1
    assert value(samples, "hepatic_queue_limit") == 4
    for future in held:
        services.executor.cancel(future, kill=False)
    held[0].result(30)


def test_jobs_are_told_by_kind_and_state(server, services):
    assert requests.post(f"{server}/train/slow", params={"run_sync": True, "enqueue": True}, timeout=120).ok
    samples = scrape(server)
    of_jobs = {key: count for key, count in samples.items() if key[0] == "hepatic_jobs"}
    assert sum(of_jobs.values()) == sum(services.jobs.table.counts().values()) > 0


def test_every_metric_is_in_the_documentation_and_the_other_way_round(server, tmp_path):
    metrics = Metrics()
    metrics.watch(lambda: dict.fromkeys(("hepatic_store_images", "hepatic_store_completed"), 1.0), dict)
    gpu = {"device": 0, "total": 4, "used": 3, "reserved": 2, "allocated": 1}
    metrics.used(1, {"caches": {"images": {"hits": 1, "misses": 1, "bytes": 1}}, "gpus": [gpu], "resident_bytes": 1})
    infer(server)
    texts = (metrics.text().decode(), requests.get(f"{server}/metrics", timeout=10).text)
    families = [family for text in texts for family in text_string_to_metric_families(text)]
    found: dict[str, tuple[str, set[str]]] = {}
    for family in families:
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        name = family.name + ("_total" if family.type == "counter" else "")
        if not name.startswith("process_") or name == "process_resident_memory_bytes":
            found[name] = (family.type, found.get(name, ("", set()))[1] | labels)
    told = {
        row[1]: (row[2], set(filter(None, row[3].split(", "))))
        for row in re.finditer(r"^\| `(\w+)` \| (\w+) \| ([^|]*?) ?\|", DOCS.read_text("utf-8"), re.MULTILINE)
    }
    assert {name: kind for name, (kind, _) in told.items()} == {name: kind for name, (kind, _) in found.items()}
    for name, (_, labels) in found.items():
        assert labels <= told[name][1], name
        assert labels or not told[name][1] or name == "hepatic_jobs", name


def test_two_apps_in_one_process_count_for_themselves(server, tmp_path, flags):
    write_image(tmp_path / "one.nrrd")
    app = create_app(FOREIGN_APP, tmp_path, score_in_background=False, make_slot=lambda: pytest.fail("no work"))
    one = app.state.metrics
    one.served("GET", "/only/here", 200, 0.1, 1, 1)
    assert b"/only/here" in one.text()
    assert "/only/here" not in requests.get(f"{server}/metrics", timeout=10).text


def test_counters_of_a_worker_go_on_after_it_was_replaced():
    metrics = Metrics()

    def cache(hits):
        return {"caches": {"images": {"hits": hits, "misses": 1, "bytes": 10}}}

    metrics.used(1, cache(5))
    metrics.used(1, cache(7))
    metrics.used(1, None)
    metrics.used(2, cache(2))
    assert 'hepatic_cache_hits_total{cache="images"} 9.0' in metrics.text().decode()
    assert 'hepatic_cache_misses_total{cache="images"} 2.0' in metrics.text().decode()


def test_stages_of_other_apps_are_read_in_their_units():
    assert stages_ms({"latencies": {"read": 3.0, "network": 20}}, waited_s=0.5) == {
        "queue": 500,
        "read": 3,
        "network": 20,
    }
    stock = {"latencies": {"pre": 0.1, "infer": 2.0, "invert": 0.2, "post": 0.3, "write": 0.4, "total": 3.0}}
    told = stages_ms({**stock, "x": 1}, waited_s=0)
    assert told == {"queue": 0, "pre": 100, "infer": 2000, "invert": 200, "post": 300, "write": 400}
    assert stages_ms({"latencies": {"transform": {"a": 1}, "pre": "x", "ok": True}}, waited_s=0) == {"queue": 0}
    metrics = Metrics()
    metrics.inferred("m", {**told, "of its own": 1.0})
    text = metrics.text().decode()
    assert 'hepatic_inference_stage_seconds_sum{model="m",stage="post"} 0.5' in text
    assert "of its own" not in text


def test_a_login_is_asked_for_where_there_is_one(tmp_path, flags):
    app = create_app(FOREIGN_APP, tmp_path, score_in_background=False, auth=True)
    with running(app) as address:
        assert requests.get(f"{address}/metrics", timeout=10).status_code == 401
        assert requests.get(f"{address}/health", timeout=10).status_code == 200
