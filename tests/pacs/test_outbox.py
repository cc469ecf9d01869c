"""What is due is sent once, in every version, whatever the PACS does meanwhile; nothing is sent that is not due."""

import pydicom
import pytest

from hepatic.errors import BadInputError
from hepatic.io.dicom_instance import Reference, uid_of
from hepatic.pacs.client import PacsClient
from hepatic.pacs.error import elsewhere, failed, refuses, silent, unreachable
from hepatic.pacs.outbox import Due, Outbox
from hepatic.pacs.sender import MOST_FAILURES, MOST_REFUSALS, Made, NotNowError, Sender
from hepatic.pacs.spec import PacsSpec
from hepatic.pacs.stow import Stored
from tests.pacs.fake_pacs import FakePacs, serving
from tests.store.studies import write_ct_slice

from .conftest import Uids

SERIES = uid_of("results")


class Desk:
    """A sender with its outbox, over results that a test puts on it, at a time that the test sets."""

    def __init__(self, folder, client):
        self.folder, self.client = folder, client
        self.results, self.made, self.now = {}, [], 1000.0
        self.problem = None
        self.open()

    def open(self):
        self.outbox = Outbox(self.folder / "pacs.sqlite")
        self.sender = Sender(self.outbox, self.client, due=self.due, make=self.make, clock=lambda: self.now)

    def restart(self):
        self.outbox.close()
        self.open()

    def due(self):
        return [Due(result, version) for result, version in self.results.items()]

    def make(self, entry):
        if self.problem:
            raise self.problem
        uid = uid_of(entry.result, entry.version)
        self.made.append((entry.result, entry.number, self.outbox.replaced(entry)))
        file = self.folder / f"{uid}.dcm"
        write_ct_slice(file, series=SERIES, study=Uids.study)
        ds = pydicom.dcmread(file)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid
        ds.save_as(file)
        about = Reference(study_uid=Uids.study, series_uid=SERIES, sop_class_uid=ds.SOPClassUID, sop_uid=uid)
        return [Made("a", file, about)]

    def look(self, seconds=0.0):
        self.now += seconds
        self.sender.look()
        return self.states()

    def states(self):
        return {(one.result, one.number): one.state for one in self.outbox.entries()}


@pytest.fixture
def desk(tmp_path, client):
    return Desk(tmp_path, client)


def held(pacs):
    """The results that the PACS has."""
    return [str(one.SOPInstanceUID) for one in pacs.datasets(SeriesInstanceUID=SERIES)]


def stores(pacs):
    return pacs.asked.count("/studies")


def test_a_result_is_sent_once_and_a_new_version_says_which_it_replaces(desk, pacs):
    desk.results["label/a"] = "1"
    assert desk.look() == {("label/a", 1): "sent"}
    assert desk.look(1000) == {("label/a", 1): "sent"}
    desk.results["label/a"] = "2"
    assert desk.look() == {("label/a", 1): "sent", ("label/a", 2): "sent"}
    first, second = uid_of("label/a", "1"), uid_of("label/a", "2")
    assert held(pacs) == [first, second]
    assert [number for _, number, _ in desk.made] == [1, 2]
    assert desk.made[1][2]["a"].sop_uid == first
    assert stores(pacs) == 2
    assert not list(desk.folder.glob("*.dcm")), "files are deleted when they are sent"


def test_what_was_sent_is_known_after_a_restart(desk, pacs):
    desk.results["label/a"] = "1"
    desk.look()
    desk.restart()
    assert desk.look(1000) == {("label/a", 1): "sent"}
    assert len(desk.made) == 1
    assert desk.outbox.ours([uid_of("label/a", "1"), "1.2.3"]) == {uid_of("label/a", "1")}


def test_what_the_pacs_has_already_is_not_sent_again_though_the_record_is_lost(desk, pacs):
    desk.results["label/a"] = "1"
    desk.look()
    desk.outbox.close()
    for file in desk.folder.glob("pacs.sqlite*"):
        file.unlink()
    desk.open()
    assert desk.look() == {("label/a", 1): "sent"}
    assert (len(desk.made), stores(pacs)) == (2, 1)


def test_a_pacs_that_is_down_is_waited_for_ever_longer_and_then_gets_everything(tmp_path):
    pacs = FakePacs()
    with serving(pacs) as url:
        pass
    desk = Desk(tmp_path, PacsClient(PacsSpec(url, silence_s=0.5)))
    desk.results |= {"label/a": "1", "label/b": "1"}
    assert set(desk.look().values()) == {"waiting"}
    assert "cannot be reached" in desk.sender.trouble
    made = len(desk.made)
    desk.look(4.0)
    assert len(desk.made) == made, "5 s are not over"
    desk.look(1.1)
    assert len(desk.made) == made + 1, "one try tells that it is still down"
    desk.restart()
    with serving(pacs, int(url.split(":")[2].partition("/")[0])):
        assert set(desk.look(20).values()) == {"sent"}
    assert sorted(held(pacs)) == sorted([uid_of("label/a", "1"), uid_of("label/b", "1")])
    assert desk.sender.trouble == ""


@pytest.mark.parametrize("trouble", ["failing", "locked", "html"])
def test_an_answer_that_says_nothing_of_the_object_is_no_refusal(desk, pacs, trouble):
    desk.results["label/a"] = "1"
    pacs.trouble["instances"] = trouble
    for _ in range(MOST_REFUSALS + 2):
        assert desk.look(700) == {("label/a", 1): "waiting"}
    assert desk.sender.trouble
    pacs.trouble.clear()
    assert desk.look(700) == {("label/a", 1): "sent"}


def test_an_object_that_is_refused_is_told_and_not_tried_for_ever(desk, pacs):
    desk.results |= {"label/a": "1"}
    pacs.trouble["store"] = "refused"
    for _ in range(MOST_REFUSALS + 3):
        desk.look(700)
    (entry,) = desk.outbox.entries("refused")
    assert entry.told == "The PACS did not take it: out of resources."
    assert stores(pacs) == MOST_REFUSALS
    pacs.trouble.clear()
    assert desk.look(700) == {("label/a", 1): "refused"}
    assert desk.outbox.retry() == 1
    assert desk.look() == {("label/a", 1): "sent"}


def test_what_is_refused_holds_up_nothing_else(desk, pacs):
    desk.results |= {"label/a": "1", "label/b": "1"}
    pacs.trouble["store"] = "refused"
    desk.look()
    pacs.trouble.clear()
    desk.results["label/c"] = "1"
    assert desk.look()[("label/c", 1)] == "sent"


def test_an_object_at_which_the_pacs_always_fails_holds_up_no_other_and_is_given_up(desk, pacs):
    desk.results |= {"label/a": "1", "label/b": "1"}
    pacs.trouble[uid_of("label/a", "1")] = "failing"
    assert desk.look() == {("label/a", 1): "waiting", ("label/b", 1): "sent"}
    desk.results["label/c"] = "1"
    assert desk.look()[("label/c", 1)] == "sent"
    for _ in range(MOST_FAILURES):
        desk.look(700)
    (entry,) = desk.outbox.entries("refused")
    assert entry.result == "label/a"
    assert "could not answer (500)" in entry.told
    assert stores(pacs) == MOST_FAILURES + 2
    pacs.trouble.clear()
    assert desk.look(700)[("label/a", 1)] == "refused"
    assert desk.outbox.retry("label/a") == 1
    assert desk.look()[("label/a", 1)] == "sent"


def test_an_object_at_which_the_pacs_falls_silent_is_tried_after_the_others(desk, pacs):
    desk.results |= {"label/a": "1", "label/b": "1"}
    pacs.trouble[uid_of("label/a", "1")] = "slow"
    assert set(desk.look().values()) == {"waiting"}
    assert ["said nothing" in one.told for one in desk.outbox.entries() if one.result == "label/a"] == [True]
    assert desk.look(700) == {("label/a", 1): "waiting", ("label/b", 1): "sent"}
    for _ in range(MOST_REFUSALS):
        desk.look(700)
    assert desk.states()[("label/a", 1)] == "waiting", "a PACS that is down for a weekend loses nothing"
    pacs.trouble.clear()
    assert desk.look(700)[("label/a", 1)] == "sent"


class Breaking:
    """A PACS that breaks at some objects, or at all; it may be down from then on."""

    def __init__(self, failure, *uids, at_search=False, goes_down=False):
        self.uids, self.failure, self.at_search, self.goes_down = uids, failure, at_search, goes_down
        self.tries = 0
        self.is_down = False

    def has_instance(self, _study, _series, uid):
        if self.at_search or self.is_down:
            self._try(uid)
        return False

    def store(self, files):
        uids = tuple(file.stem for file in files)
        for uid in uids:
            self._try(uid)
        return Stored(uids, {})

    def _try(self, uid):
        if self.is_down or uid in self.uids:
            self.tries += 1
            self.is_down |= self.goes_down
            raise self.failure


@pytest.mark.parametrize("failure", [unreachable(), silent(30), failed(504)])
@pytest.mark.parametrize("at_search", [False, True])
def test_an_object_that_brings_the_pacs_down_delays_no_other_and_is_given_up(tmp_path, failure, at_search):
    breaking = Breaking(failure, uid_of("label/a", "1"), at_search=at_search)
    desk = Desk(tmp_path, breaking)
    desk.results["label/a"] = "1"
    desk.look()
    (entry,) = desk.outbox.entries("waiting")
    assert (entry.told, entry.attempts) == (str(failure), 0), "nothing else was sent meanwhile"
    for n in range(MOST_FAILURES):
        assert desk.states()[("label/a", 1)] == "waiting"
        desk.results[f"label/{n}"] = "1"
        assert desk.look(2)[(f"label/{n}", 1)] == "sent", "at once"
        desk.restart()
        desk.look(700)
    (entry,) = desk.outbox.entries("refused")
    assert (entry.result, entry.told) == ("label/a", str(failure))
    tries = breaking.tries
    desk.results["label/z"] = "1"
    assert desk.look(700)[("label/z", 1)] == "sent"
    assert breaking.tries == tries


@pytest.mark.parametrize("failure", [unreachable(), silent(30), failed(504)])
def test_objects_that_bring_the_pacs_down_are_given_up_though_nothing_else_is_sent(tmp_path, failure):
    results = [f"label/{n}" for n in range(5)]
    breaking = Breaking(failure, *(uid_of(one, "1") for one in results), goes_down=True)
    desk = Desk(tmp_path, breaking)
    desk.results |= dict.fromkeys(results, "1")
    for _ in range(len(results) * MOST_FAILURES):
        desk.look(700)
        assert breaking.is_down
        desk.look(700)
        breaking.is_down = False  # it is started again
    assert set(desk.states().values()) == {"refused"}
    assert {one.told for one in desk.outbox.entries()} == {str(failure)}
    desk.look(700)
    assert desk.sender.trouble == "", "nothing waits"
    assert desk.outbox.retry() == len(results)


@pytest.mark.parametrize("failure", [refuses(403), elsewhere(302), failed(503), failed(504), silent(30), unreachable()])
def test_a_pacs_that_answers_but_stores_nothing_is_waited_for_and_told(tmp_path, failure):
    results = [f"label/late-{n}" for n in range(3)]
    breaking = Breaking(failure, *(uid_of(one, "1") for one in results))
    desk = Desk(tmp_path, breaking)
    desk.results |= {"label/early": "1", **dict.fromkeys(results, "1")}
    for _ in results:  # another was sent since these wait
        desk.look(700)
    for _ in range(len(results) * MOST_FAILURES):
        desk.look(700)
        assert desk.sender.trouble == str(failure)
    breaking.uids = ()
    for _ in range(2):
        desk.look(700)
    assert set(desk.states().values()) == {"sent"}
    assert desk.sender.trouble == ""


@pytest.mark.parametrize("failure", [refuses(401), failed(429)])
def test_what_a_pacs_says_of_whoever_asks_is_held_against_no_object(tmp_path, failure):
    desk = Desk(tmp_path, Breaking(failure, uid_of("label/a", "1")))
    desk.results["label/a"] = "1"
    for n in range(MOST_FAILURES + 3):
        desk.results[f"label/{n}"] = "1"
        states = desk.look(700)
        assert (states[("label/a", 1)], states[(f"label/{n}", 1)]) == ("waiting", "sent")
        assert desk.sender.trouble == str(failure)


def test_a_pacs_that_is_down_for_a_weekend_while_results_are_made_refuses_none(tmp_path):
    breaking = Breaking(unreachable())
    desk = Desk(tmp_path, breaking)
    desk.results["label/first"] = "1"
    desk.look()
    breaking.is_down = True
    for n in range(2 * MOST_FAILURES):
        desk.results[f"label/{n}"] = "1"
        tries = breaking.tries
        desk.look(2)
        assert breaking.tries == tries + 1
        desk.look(700)
    assert all(entry.attempts == 0 for entry in desk.outbox.entries("waiting"))
    breaking.is_down = False
    assert set(desk.look(700).values()) == {"sent"}


def test_an_answer_cut_short_after_it_was_stored_leads_to_no_second_instance(desk, pacs):
    desk.results["label/a"] = "1"
    pacs.trouble["store"] = "truncated"
    assert desk.look() == {("label/a", 1): "waiting"}
    assert held(pacs) == [uid_of("label/a", "1")], "it was stored, but nobody heard of it"
    pacs.trouble.clear()
    assert desk.look(700) == {("label/a", 1): "sent"}
    assert stores(pacs) == 1


def test_of_several_versions_that_wait_the_last_one_is_sent(desk, pacs):
    desk.results["label/a"] = "1"
    pacs.trouble["instances"] = "failing"
    desk.look()
    desk.results["label/a"] = "2"
    desk.look()
    pacs.trouble.clear()
    assert desk.look(700) == {("label/a", 1): "sent"}
    assert held(pacs) == [uid_of("label/a", "2")]


def test_what_was_removed_before_it_was_sent_is_not_sent(desk, pacs):
    desk.results["label/a"] = "1"
    pacs.trouble["instances"] = "failing"
    desk.look()
    desk.results.clear()
    pacs.trouble.clear()
    assert desk.look(700) == {}
    assert held(pacs) == []


def test_a_result_of_which_no_object_can_be_made_is_left_out_and_says_why(desk, pacs):
    desk.results["label/a"] = "1"
    desk.problem = BadInputError("the image", expected="DICOM", came="NIfTI", fix="Leave it.")
    desk.look()
    (entry,) = desk.outbox.entries("left_out")
    assert "NIfTI" in entry.told
    desk.problem = NotNowError()
    desk.outbox.retry(entry.result)
    assert desk.look() == {("label/a", 1): "waiting"}
    desk.problem = None
    assert desk.look() == {("label/a", 1): "sent"}


def test_somebody_s_wish_is_remembered_until_it_is_done(desk):
    desk.outbox.ask("label/a")
    desk.restart()
    assert desk.outbox.asked() == ["label/a"]
    desk.results["label/a"] = "1"
    desk.look()
    assert desk.outbox.asked() == []
    desk.outbox.ask("label/a")
    desk.look()
    assert desk.outbox.asked() == [], "it was sent already"


@pytest.mark.parametrize("problem", [None, BadInputError("the image", expected="DICOM", came="NIfTI", fix="Leave it.")])
def test_somebody_s_wish_outlives_a_refusal(desk, pacs, problem):
    """As ``hepatic pacs send`` has it: the label is due only because somebody asked for it."""
    desk.outbox.ask("label/a")
    desk.due = lambda: [Due(result, "1") for result in desk.outbox.asked()]
    desk.restart()
    pacs.trouble["store"], desk.problem = "refused", problem
    for _ in range(MOST_REFUSALS):
        desk.look(700)
    assert desk.states()[("label/a", 1)] in ("refused", "left_out")
    pacs.trouble.clear()
    desk.problem = None
    desk.look(700)
    desk.outbox.ask("label/a")
    assert desk.look() == {("label/a", 1): "sent"}
    assert desk.outbox.asked() == []


def test_a_version_that_comes_again_is_a_new_one(desk):
    for version in ("1", "2", "1"):
        desk.results["review/s"] = version
        desk.look()
    assert list(desk.states()) == [("review/s", 3), ("review/s", 2), ("review/s", 1)]
    assert desk.outbox.counts() == {"waiting": 0, "sent": 3, "refused": 0, "left_out": 0}
