"""Studies that arrive are proposed by themselves, once they are whole."""

import threading
from types import SimpleNamespace

import pytest

from hepatic.errors import NotFoundError
from hepatic.harvest.store import ReviewStore
from server import harvest_watch
from server.executor import Executor, Priority
from server.harvest_jobs import HarvestJobs
from server.harvest_watch import HarvestWatch
from server.jobs.runner import Jobs
from tests.harvest.proposed import proposed
from tests.server.test_executor import ThreadSlot


class Datastore:
    def __init__(self):
        self.number, self.sent_to = 0, set()
        self.store = SimpleNamespace(is_settled=lambda study: study not in self.sent_to)

    def waiting(self):
        return SimpleNamespace(arrivals=lambda: self.number)


class Finder:
    """Stands for a model that looks at studies: a detector, or a classifier whose reviews have names of their own."""

    def __init__(self, datastore, model="finder", note=""):
        self.datastore, self.model, self.modality = datastore, model, "US" if note else "CT"
        self.studies, self.listed, self.served, self.note = {}, 0, ("v1", ""), note

    def arrive(self, study, *series):
        self.studies.setdefault(study, []).extend(series)
        self.datastore.number += 1

    def images(self):
        self.listed += 1
        return {study: [SimpleNamespace(id=one) for one in series] for study, series in self.studies.items()}

    def review_uid(self, study):
        return f"{study}:{self.note}" if self.note else study

    def version(self):
        return self.served


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(harvest_watch, "is_shared", lambda datastore: True)
    datastore, asked = Datastore(), []
    host = SimpleNamespace(datastore=datastore)
    harvest = SimpleNamespace(propose=lambda studies, *, model: asked.append((sorted(studies), model)))
    jobs, store, finder = Jobs(tmp_path / "jobs.sqlite"), ReviewStore(tmp_path / "harvest"), Finder(datastore)

    def new(find=lambda: finder):
        return HarvestWatch(host, jobs, harvest, store, find)

    yield SimpleNamespace(host=host, datastore=datastore, finder=finder, asked=asked, store=store, jobs=jobs, new=new)
    jobs.close()
    store.close()


def test_a_study_is_proposed_when_nothing_was_added_to_it_for_one_look(place):
    watch = place.new()
    place.finder.arrive("1.2", "nc", "arterial")
    watch.look()
    place.finder.arrive("1.2", "venous")
    watch.look()
    assert place.asked == [], "it was still being copied"
    watch.look()
    assert place.asked == [(["1.2"], "finder")]
    listed = place.finder.listed
    watch.look()
    watch.look()
    assert place.asked == [(["1.2"], "finder")]
    assert place.finder.listed == listed, "nothing is listed where nothing has arrived"


def test_a_study_that_is_still_being_sent_to_the_pacs_waits(place):
    watch = place.new()
    place.finder.arrive("1.2", "venous")
    place.datastore.sent_to.add("1.2")
    for _ in range(3):
        watch.look()
    assert place.asked == []
    place.datastore.sent_to.clear()
    watch.look()
    assert place.asked == [(["1.2"], "finder")]


def test_a_series_that_comes_late_has_its_study_proposed_again(place):
    watch = place.new()
    place.finder.arrive("1.2", "venous")
    watch.look()
    watch.look()
    place.finder.arrive("1.2", "delayed")
    watch.look()
    watch.look()
    assert [studies for studies, _ in place.asked] == [["1.2"], ["1.2"]]


def test_what_was_proposed_or_asked_for_before_the_server_started_is_left_alone(place):
    place.store.proposals.add(proposed("1.2"))
    place.jobs.submit("propose", {"model": "finder"}, items=["1.3"])
    place.jobs.submit("propose", {"model": "another"}, items=["1.4"])
    for study in ("1.2", "1.3", "1.4"):
        place.finder.arrive(study, "venous")
    watch = place.new()
    watch.look()
    watch.look()
    assert [studies for studies, _ in place.asked] == [["1.4"]]


def test_nothing_is_asked_for_before_the_model_is_trained(place):
    place.finder.served = (None, "")
    place.finder.arrive("1.2", "venous")
    watch = place.new()
    watch.look()
    watch.look()
    assert place.asked == []
    place.finder.served = ("v1", "")
    watch.look()
    watch.look()
    assert [studies for studies, _ in place.asked] == [["1.2"]]


def test_what_one_model_was_asked_about_a_study_another_still_is(place):
    classifier = Finder(place.datastore, "us_fll", note="lesion_type")
    place.store.proposals.add(proposed("1.2"))
    place.store.proposals.add(proposed("1.3:lesion_type"))
    for study in ("1.2", "1.3"):
        classifier.arrive(study, "still")
    watch = place.new(lambda: classifier)
    watch.look()
    watch.look()
    assert place.asked == [(["1.2"], "us_fll")]


def test_who_asks_for_something_waits_for_one_study_at_most(place):
    class Classifier(Finder):
        def __init__(self):
            super().__init__(place.datastore, "us_fll", note="lesion_type")
            self.begun, self.go_on, self.order = threading.Event(), threading.Event(), []

        def work(self, study, images):
            return self.classify, (study,)

        def classify(self, study):
            self.begun.set()
            assert self.go_on.wait(10)
            self.order.append(study)
            return {"study": f"{study}:{self.note}"}

        def proposed(self, result):
            return proposed(result["study"])

    classifier, executor = Classifier(), Executor(ThreadSlot)
    proposers = SimpleNamespace(named=lambda model: classifier)
    place.host.models = {"us_fll": None}
    harvest = HarvestJobs(place.host, proposers, executor, place.jobs, place.store)
    place.jobs.start()
    try:
        for study in ("1.2", "1.3", "1.4"):
            classifier.arrive(study, "still")
        watch = HarvestWatch(place.host, place.jobs, harvest, place.store, lambda: classifier)
        watch.look()
        watch.look()
        assert classifier.begun.wait(10)
        asked = executor.submit(classifier.order.append, "a reader", priority=Priority.INTERACTIVE)
        classifier.go_on.set()
        asked.result(10)
        place.jobs.wait(place.jobs.table.jobs(kind="propose")[0].id, 300)
    finally:
        executor.close()
    assert classifier.order == ["1.2", "a reader", "1.3", "1.4"]
    assert place.store.proposals.studies() == ["1.2:lesion_type", "1.3:lesion_type", "1.4:lesion_type"]


def test_a_model_that_is_not_ours_is_left_alone_and_that_is_said_once(place, caplog):
    caplog.set_level("INFO", "server.harvest_watch")
    place.finder.served = (None, "it is of another make and tells no version")
    place.finder.arrive("1.2", "venous")
    watch = place.new()
    for _ in range(3):
        watch.look()
    assert place.asked == []
    [line] = [record.getMessage() for record in caplog.records if record.name == "server.harvest_watch"]
    assert line == "CT studies that arrive are not proposed by finder: it is of another make and tells no version"


def test_an_app_without_such_a_model_is_left_alone(place):
    def none():
        raise NotFoundError("the app", expected="a model that detects", came="none", fix="")

    place.finder.arrive("1.2", "venous")
    place.new(none).look()
    assert place.asked == []
