"""What a PACS lists, and which images that makes."""

import pytest
from pydicom.datadict import tag_for_keyword

from benchmarks import large_pacs
from hepatic.errors import BadInputError
from hepatic.pacs import catalogue as module
from hepatic.pacs import opened
from hepatic.pacs.catalogue import Catalogue, Changes
from hepatic.pacs.client import PacsClient
from hepatic.pacs.error import PacsError, silent
from hepatic.pacs.filter import read_filter
from hepatic.pacs.spec import PacsSpec
from hepatic.store.database import Database
from hepatic.store.images import Images
from hepatic.store.listing import Listing
from hepatic.store.names import safe_id
from tests.pacs.conftest import Uids
from tests.pacs.fake_pacs import series_in_json
from tests.store.studies import write_ct_slice, write_xa_run


class Listed:
    def __init__(self, client, folder, **filters):
        database = Database(folder / "index.db")
        self.images = Images(database, folder)
        self.catalogue = Catalogue(client, Listing(database), folder / "pacs.db", filters=filters)

    def __getattr__(self, name):
        return getattr(self.catalogue, name)

    @property
    def ids(self):
        return set(self.images.ids())


@pytest.fixture
def listed(client, tmp_path):
    return Listed(client, tmp_path)


@pytest.fixture
def patient(pacs_url):
    """A client that waits for a server that has much to tell on a busy machine."""
    client = PacsClient(PacsSpec(pacs_url))
    yield client
    client.close()


def second_run(pacs):
    """The id of the second cine of a series."""
    runs = sorted(str(d.SOPInstanceUID) for d in pacs.datasets(SeriesInstanceUID=Uids.xa))
    return safe_id(Uids.xa, unique=runs[1])


def test_a_series_is_an_image_and_each_cine_is_one(pacs, listed):
    changes = listed.refresh()
    assert changes.series == 3
    assert listed.ids == set(changes.added) == {Uids.ct, Uids.us, Uids.xa, second_run(pacs)}
    ct, xa, us = (listed.images.get(uid) for uid in (Uids.ct, Uids.xa, Uids.us))
    assert (ct.kind, ct.file_count, ct.size, ct.patient_id) == ("volume", 3, (0, 0, 3), "P1")
    assert (xa.kind, xa.file_count, xa.size[:2]) == ("cine", 1, (4, 4))
    assert {xa.size[2], listed.images.get(second_run(pacs)).size[2]} == {5, 6}
    assert (us.kind, us.modality, us.size) == ("cine", "US", (4, 4, 1))
    assert {series.uid for series in listed.of_study(Uids.study)} == {Uids.ct, Uids.xa, Uids.us}
    assert {image.study_uid for image in listed.images.all()} == {Uids.study}
    assert not any("instances/" in asked for asked in pacs.asked)  # nothing was downloaded


def test_what_has_not_changed_is_not_looked_at_again(pacs, listed):
    listed.refresh()
    pacs.asked.clear()
    changes = listed.refresh()
    assert (changes.read, changes.added, changes.removed) == (0, (), ())
    assert not any("/instances" in asked for asked in pacs.asked)


def test_a_series_that_grows_is_noticed_and_not_settled(pacs, listed, tmp_path):
    listed.refresh()
    before = listed.images.signature(Uids.ct)
    assert listed.is_settled(Uids.study, after_s=0)
    assert not listed.is_settled(Uids.study, after_s=60)
    write_ct_slice(tmp_path / "new.dcm", series=Uids.ct, study=Uids.study, k=3)
    pacs.take(tmp_path / "new.dcm")
    assert listed.refresh().read == 1
    assert listed.images.get(Uids.ct).file_count == 4
    assert listed.images.signature(Uids.ct) != before


def test_a_cine_keeps_its_id_when_another_comes_before_it(pacs, listed, tmp_path):
    listed.refresh()
    first = listed.images.get(Uids.xa).instance_uid
    for n in range(3):
        write_xa_run(tmp_path / f"{n}.dcm", series=Uids.xa, study=Uids.study)
        pacs.take(tmp_path / f"{n}.dcm")
    listed.refresh()
    assert listed.images.get(Uids.xa).instance_uid == first
    assert len(listed.images.all(modality="XA")) == 5


def test_a_cine_keeps_its_id_and_labels_when_it_is_missing_for_a_while(pacs, listed, tmp_path):
    listed.refresh()
    first, other = listed.images.get(Uids.xa).instance_uid, second_run(pacs)
    if listed.images.get(other).instance_uid == first:
        other = next(id for id in listed.ids if id.startswith(f"{Uids.xa}-"))
    second = listed.images.get(other).instance_uid
    kept = pacs.instances.pop(first)
    assert listed.refresh().removed == (Uids.xa,)
    assert listed.images.get(other).instance_uid == second
    assert listed.images.get(Uids.xa).instance_uid == first
    assert not listed.images.get(Uids.xa).present
    pacs.instances[first] = kept
    assert listed.refresh().added == (Uids.xa,)
    assert (listed.images.get(Uids.xa).instance_uid, listed.images.get(other).instance_uid) == (first, second)


def test_a_series_is_gone_when_two_lists_lack_it_and_can_come_back(pacs, listed):
    listed.refresh()
    kept = dict(pacs.instances)
    pacs.instances = {uid: one for uid, one in kept.items() if one[1].Modality != "CT"}
    assert listed.refresh().removed == ()
    assert Uids.ct in listed.ids
    assert listed.refresh().removed == (Uids.ct,)
    assert Uids.ct not in listed.ids
    pacs.instances = kept
    assert listed.refresh().added == (Uids.ct,)


def test_one_list_that_lacks_a_series_does_no_harm(pacs, listed):
    listed.refresh()
    kept = dict(pacs.instances)
    for _ in range(3):
        pacs.instances = {}
        assert listed.refresh().removed == ()
        pacs.instances = kept
        listed.refresh()
    assert len(listed.ids) == 4


def test_filters_are_asked_with(pacs, client, tmp_path):
    pacs.listed = [series_in_json("1.2.3", study="1.9", patient="HCC7")]
    listed = Listed(client, tmp_path, **read_filter("PatientID=P*&Modality=CT"))
    listed.refresh()
    assert all("Modality=CT" in asked and "PatientID=P*" in asked for asked in pacs.asked)


@pytest.mark.parametrize("bad", ["StudyDate", "NoSuchWord=1", "PatientID=", "&"])
def test_a_filter_that_means_nothing_is_refused(bad):
    with pytest.raises(BadInputError, match="StudyDate=20260101-"):
        read_filter(bad)
    assert read_filter("") == {}


def test_reports_and_segmentations_are_listed_and_are_no_images(pacs, listed):
    pacs.listed = [series_in_json("1.2.7", study=Uids.study, patient="P1", modality="SEG", instances=1)]
    listed.refresh()
    assert "1.2.7" in {series.uid for series in listed.of_study(Uids.study)}
    assert "1.2.7" not in listed.ids


def test_reports_and_segmentations_of_studies_without_images_here_are_nobody_s_labels(pacs, listed):
    pacs.listed = [
        series_in_json("1.2.7", study=Uids.study, patient="P1", modality="SEG", instances=1),
        series_in_json("1.2.8", study="1.9", patient="P9", modality="SEG", instances=1),
        series_in_json("1.2.9", study="1.9", patient="P9", modality="SR", instances=1),
    ]
    listed.refresh()
    assert [series.uid for series in listed.results()] == ["1.2.7"]
    pacs.listed.append(series_in_json("1.2.10", study="1.9", patient="P9"))
    listed.refresh()
    assert {series.uid for series in listed.results()} == {"1.2.7", "1.2.8", "1.2.9"}


def test_one_series_is_looked_up_whatever_the_filter(pacs, client, tmp_path):
    listed = Listed(client, tmp_path, Modality="US")
    listed.refresh()
    assert listed.ids == {Uids.us}
    assert listed.look_up(Uids.ct)
    assert not listed.look_up("1.2.3")
    assert listed.ids == {Uids.us, Uids.ct}


def test_what_was_looked_up_stays_as_long_as_the_pacs_has_it(pacs, client, tmp_path):
    listed = Listed(client, tmp_path, PatientID="another")
    listed.refresh()
    assert listed.look_up(Uids.ct)
    pacs.listed = [series_in_json("1.2.7", study=Uids.study, patient="P1", modality="SEG", instances=1)]
    for _ in range(4):
        changes = listed.refresh()
        assert (changes.removed, listed.ids) == ((), {Uids.ct}), "it, and no other image of its study"
    assert changes.read == 0
    assert [series.uid for series in listed.results()] == ["1.2.7"]
    write_ct_slice(tmp_path / "new.dcm", series=Uids.ct, study=Uids.study, k=3)
    pacs.take(tmp_path / "new.dcm")
    assert listed.refresh().read == 1
    assert listed.images.get(Uids.ct).file_count == 4
    pacs.trouble, kept = {"search": "failing"}, pacs.instances
    for _ in range(3):
        with pytest.raises(PacsError):
            listed.refresh()
    pacs.trouble, pacs.instances, pacs.listed = {}, {}, []
    assert listed.refresh().removed == ()
    assert listed.refresh().removed == (Uids.ct,)
    pacs.instances = kept
    pacs.asked.clear()
    listed.refresh()
    assert not any("StudyInstanceUID" in asked for asked in pacs.asked), "nobody has opened it since"


def test_few_of_what_was_looked_up_are_asked_for_at_a_time(pacs, client, tmp_path, monkeypatch):
    monkeypatch.setattr(opened, "_AT_ONCE", 1)
    for n in range(3):
        write_ct_slice(tmp_path / f"{n}.dcm", series=f"1.2.{n}", study=f"1.9.{n}", k=0)
        pacs.take(tmp_path / f"{n}.dcm")
    listed = Listed(client, tmp_path, PatientID="another")
    assert all(listed.look_up(f"1.2.{n}") for n in range(3))
    pacs.asked.clear()
    for _ in range(6):
        listed.refresh()
    assert listed.ids == {"1.2.0", "1.2.1", "1.2.2"}
    asked = [sum(f"StudyInstanceUID=1.9.{n}" in asked for asked in pacs.asked) for n in range(3)]
    assert asked == [4, 4, 4], "in turn, each twice, and page after page until one is empty"
    pacs.instances = {}
    for _ in range(6):
        listed.refresh()
    assert not listed.ids


def test_a_count_that_is_wrong_or_missing_is_no_trouble(pacs, client, tmp_path):
    pacs.trouble = {"search": "wrong count"}
    listed = Listed(client, tmp_path)
    listed.refresh()
    pacs.trouble, pacs.counts = {}, False
    assert listed.refresh().read == 3
    assert listed.refresh().read == 0
    assert len(listed.ids) == 4
    assert listed.images.get(Uids.ct).size == (0, 0, 0)


NONSENSE = ("\ud800x", "../..", "x" * 5000, 10**30, -5, float("inf"), float("nan"), "1e30", None, [[]], {})


@pytest.mark.parametrize("modality", ["CT", "XA"])
def test_values_that_are_nonsense_keep_nothing_else_back(pacs, patient, tmp_path, modality):
    listed = Listed(patient, tmp_path)
    odd = {
        "CT": ("StudyDate", "PatientID", "SeriesDescription", "NumberOfSeriesRelatedInstances"),
        "XA": ("SOPClassUID", "InstanceNumber", "NumberOfFrames", "Rows", "Columns"),
    }[modality]
    uids = ("StudyInstanceUID", "SeriesInstanceUID") if modality == "CT" else ("SOPInstanceUID",)
    write = write_ct_slice if modality == "CT" else write_xa_run
    for n, value in enumerate(NONSENSE):
        for keyword in (*odd, *uids):
            series = f"1.2.{tag_for_keyword(keyword)}.{n}"
            sop = write(tmp_path / "odd.dcm", series=series, study=f"1.9.{n}")
            pacs.take(tmp_path / "odd.dcm")
            pacs.odd[series if modality == "CT" else sop] = {keyword: [value, 6]}
    listed.refresh()
    shown = {image.series_uid for image in listed.images.all()}
    assert shown >= {Uids.ct, Uids.us, Uids.xa}
    assert shown >= {f"1.2.{tag_for_keyword(keyword)}.{n}" for keyword in odd for n in range(len(NONSENSE))}
    assert all(max(image.size) < 2**31 > image.file_count for image in listed.images.all())


@pytest.mark.parametrize("trouble", ["html", "truncated", "locked", "failing", "numbers"])
def test_a_list_that_cannot_be_had_changes_nothing(pacs, listed, trouble):
    listed.refresh()
    before = listed.ids
    pacs.trouble = {"search": trouble}
    for _ in range(3):
        with pytest.raises(PacsError):
            listed.refresh()
    assert listed.ids == before
    pacs.trouble = {}
    assert listed.refresh().removed == ()


@pytest.mark.parametrize("trouble", ["html", "truncated", "failing", "numbers"])
def test_a_series_that_cannot_be_read_keeps_nothing_else_back(pacs, listed, tmp_path, trouble):
    pacs.trouble = {Uids.xa: trouble}
    changes = listed.refresh()
    assert set(changes.added) == listed.ids == {Uids.ct, Uids.us}
    assert changes.trouble.startswith("1 series of the PACS")
    assert Uids.xa not in changes.trouble
    write_ct_slice(tmp_path / "new.dcm", series="1.2.9", study="1.2.8", k=0)
    pacs.take(tmp_path / "new.dcm")
    assert listed.refresh().added == ("1.2.9",)
    with pytest.raises(PacsError):
        listed.look_up(Uids.xa)
    pacs.trouble = {}
    assert set(listed.refresh().added) == {Uids.xa, second_run(pacs)}
    assert listed.refresh() == Changes(series=4, read=0, added=(), removed=())


def test_a_series_that_changes_and_cannot_be_read_stays_as_it_was(pacs, listed, tmp_path):
    listed.refresh()
    write_xa_run(tmp_path / "new.dcm", series=Uids.xa, study=Uids.study)
    pacs.take(tmp_path / "new.dcm")
    pacs.trouble = {Uids.xa: "failing"}
    assert listed.refresh().removed == ()
    assert len(listed.ids) == 4
    pacs.trouble = {}
    assert len(listed.refresh().added) == 1


def test_a_pacs_that_goes_down_while_it_is_listed_is_asked_no_more_and_what_came_counts(pacs, listed, monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    pacs.trouble = {"instances": "locked"}
    changes = listed.refresh()
    assert listed.ids == set(changes.added) == {Uids.ct}
    assert "refuses this server" in changes.trouble
    assert len([asked for asked in pacs.asked if "/instances" in asked]) == 1
    pacs.trouble = {}
    assert listed.refresh().read == 2
    assert len(listed.ids) == 4


def test_a_series_whose_search_hangs_is_asked_for_last(client, listed, monkeypatch):
    ask = client.instances

    def hangs(study_uid, series_uid, **options):
        if series_uid == Uids.xa:
            raise silent(30)
        return ask(study_uid, series_uid, **options)

    monkeypatch.setattr(module, "_AT_ONCE", 1)
    monkeypatch.setattr(client, "instances", hangs)
    listed.refresh()
    assert listed.ids == {Uids.ct}
    listed.refresh()
    assert listed.ids == {Uids.ct, Uids.us}


def test_a_long_list_is_counted_right(pacs, patient, tmp_path):
    listed = Listed(patient, tmp_path)
    pacs.listed = [series_in_json(f"1.2.{n}", study=f"1.9.{n // 4}", patient=f"P{n // 8}") for n in range(1000)]
    assert len(listed.refresh().added) == 1004
    assert listed.refresh().read == 0
    assert len(listed.ids) == 1004


def test_the_pacs_that_is_measured_lists_what_it_should(tmp_path):
    with large_pacs.pacs(250) as url:
        listed = Listed(PacsClient(PacsSpec(url)), tmp_path)
        assert listed.refresh().series == 250
    assert len(listed.ids) == 250
    assert len({image.study_uid for image in listed.images.all()}) == 63
