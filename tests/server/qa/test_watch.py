"""Studies that arrive are proposed by themselves, once they are whole."""

from types import SimpleNamespace

import pytest

from hepatic.errors import NotFoundError
from hepatic.harvest.store import ReviewStore
from server import harvest_watch
from server.harvest_watch import HarvestWatch
from server.jobs.runner import Jobs
from tests.foreign_app.main import Boxes
from tests.harvest.proposed import proposed


class Datastore:
    def __init__(self):
        self.number = 0

    def waiting(self):
        return SimpleNamespace(arrivals=lambda: self.number)


class Harvest:
    """Stands for the jobs: studies with their series, and what was asked for."""

    def __init__(self, datastore):
        self.datastore, self.studies, self.asked, self.listed = datastore, {}, [], 0

    def arrive(self, study, *series):
        self.studies.setdefault(study, []).extend(series)
        self.datastore.number += 1

    def detector(self):
        return "finder"

    def series(self):
        self.listed += 1
        return {study: [SimpleNamespace(id=one) for one in series] for study, series in self.studies.items()}

    def propose(self, studies, *, model):
        self.asked.append((sorted(studies), model))


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(harvest_watch, "is_shared", lambda datastore: True)
    datastore, told = Datastore(), {"version": "v1"}
    host = SimpleNamespace(
        datastore=datastore,
        models={"finder": SimpleNamespace(info=lambda: told)},
        app=SimpleNamespace(propose=lambda request: {}),
    )
    jobs, store = Jobs(tmp_path / "jobs.sqlite"), ReviewStore(tmp_path / "harvest")
    harvest = Harvest(datastore)
    yield SimpleNamespace(
        harvest=harvest,
        told=told,
        host=host,
        store=store,
        jobs=jobs,
        new=lambda: HarvestWatch(host, jobs, harvest, store),
    )
    jobs.close()
    store.close()


def test_a_study_is_proposed_when_nothing_was_added_to_it_for_one_look(place):
    watch = place.new()
    place.harvest.arrive("1.2", "nc", "arterial")
    watch.look()
    place.harvest.arrive("1.2", "venous")
    watch.look()
    assert place.harvest.asked == [], "it was still being copied"
    watch.look()
    assert place.harvest.asked == [(["1.2"], "finder")]
    listed = place.harvest.listed
    watch.look()
    watch.look()
    assert place.harvest.asked == [(["1.2"], "finder")]
    assert place.harvest.listed == listed, "nothing is listed where nothing has arrived"


def test_a_series_that_comes_late_has_its_study_proposed_again(place):
    watch = place.new()
    place.harvest.arrive("1.2", "venous")
    watch.look()
    watch.look()
    place.harvest.arrive("1.2", "delayed")
    watch.look()
    watch.look()
    assert [studies for studies, _ in place.harvest.asked] == [["1.2"], ["1.2"]]


def test_what_was_proposed_or_asked_for_before_the_server_started_is_left_alone(place):
    place.store.proposals.add(proposed("1.2"))
    place.jobs.submit("propose", {"model": "finder"}, items=["1.3"])
    for study in ("1.2", "1.3", "1.4"):
        place.harvest.arrive(study, "venous")
    watch = place.new()
    watch.look()
    watch.look()
    assert [studies for studies, _ in place.harvest.asked] == [["1.4"]]


def test_nothing_is_asked_for_before_the_detector_is_trained(place):
    place.told["version"] = None
    place.harvest.arrive("1.2", "venous")
    watch = place.new()
    watch.look()
    watch.look()
    assert place.harvest.asked == []
    place.told["version"] = "v1"
    watch.look()
    watch.look()
    assert [studies for studies, _ in place.harvest.asked] == [["1.2"]]


def broken():
    raise KeyError("config")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda host: host.models.update(finder=Boxes()), "of another make"),
        (lambda host: host.models.update(finder=SimpleNamespace(info=broken)), "does not describe itself: KeyError"),
        (lambda host: setattr(host, "app", Boxes()), "the app does not propose studies"),
        (lambda host: host.models["finder"].info().update(modality="US"), "for US"),
    ],
    ids=["stock", "broken", "no-proposals", "ultrasound"],
)
def test_a_detector_that_is_not_ours_is_left_alone_and_that_is_said_once(place, caplog, change, reason):
    caplog.set_level("INFO", "server.harvest_watch")
    change(place.host)
    place.harvest.arrive("1.2", "venous")
    watch = place.new()
    for _ in range(3):
        watch.look()
    assert place.harvest.asked == []
    [line] = [record.getMessage() for record in caplog.records]
    assert "finder" in line
    assert reason in line


def test_an_app_without_a_detector_is_left_alone(place, monkeypatch):
    def none():
        raise NotFoundError("the app", expected="a model that detects", came="none", fix="")

    monkeypatch.setattr(place.harvest, "detector", none)
    place.harvest.arrive("1.2", "venous")
    place.new().look()
    assert place.harvest.asked == []
