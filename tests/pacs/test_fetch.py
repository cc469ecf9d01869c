"""Fetching images from a PACS, and keeping them for a while."""

import multiprocessing
import os
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hepatic.errors import ConflictError, NotFoundError
from hepatic.io.content import content_hash
from hepatic.io.header import header
from hepatic.io.read import read
from hepatic.pacs import cache as caching
from hepatic.pacs import replaced
from hepatic.pacs.cache import CacheFullError, ImageCache
from hepatic.pacs.error import PacsError
from hepatic.pacs.spec import PacsSpec
from hepatic.pacs.store import PacsStore
from hepatic.settings import settings
from tests.pacs.conftest import Uids
from tests.pacs.fake_pacs import serving
from tests.store.studies import write_ct_slice, write_xa_run


def open_store(url, folder, **options):
    store = PacsStore(PacsSpec(url, silence_s=1.0), data=folder, header=header, content=content_hash, **options)
    store.rescan()
    return store


@pytest.fixture
def store(pacs_url, tmp_path):
    store = open_store(pacs_url, tmp_path / "data")
    yield store
    store.close()


def files_asked_for(pacs):
    return [asked for asked in pacs.asked if asked.rpartition("/")[2] in (*pacs.instances, Uids.ct, Uids.xa)]


# Well


def test_a_series_is_fetched_as_it_is_and_only_once(pacs, store):
    assert store.source(Uids.ct, make=False) is None
    assert not store.is_here(Uids.ct)
    folder = store.source(Uids.ct)
    assert sorted(file.read_bytes() for file in folder.iterdir()) == sorted(
        file for file, dataset in pacs.instances.values() if dataset.Modality == "CT"
    )
    assert read(folder).array.shape == (3, 4, 4)
    assert store.images.get(Uids.ct).size == (4, 4, 3)
    pacs.asked.clear()
    assert store.source(Uids.ct) == store.source(Uids.ct, make=False) == folder
    assert len(store.files(Uids.ct)) == 3
    assert not pacs.asked


def test_a_cine_is_one_file(pacs, store):
    for image in store.images.all(modality="XA"):
        file = store.source(image.id)
        assert file.is_file()
        assert file.read_bytes() == pacs.instances[image.instance_uid][0]
        assert header(file).frames == image.size[2]


def test_many_instances_come_in_one_answer_and_what_is_missing_in_parallel(pacs, store, tmp_path):
    for k in range(3, 30):
        write_ct_slice(tmp_path / f"{k}.dcm", series=Uids.ct, study=Uids.study, k=k)
        pacs.take(tmp_path / f"{k}.dcm")
    store.rescan()
    assert len(store.files(Uids.ct)) == 30
    assert len(files_asked_for(pacs)) == 1
    for k in range(30, 34):
        write_ct_slice(tmp_path / f"{k}.dcm", series=Uids.ct, study=Uids.study, k=k)
        pacs.take(tmp_path / f"{k}.dcm")
    store.rescan()
    pacs.asked.clear()
    assert store.source(Uids.ct, make=False) is None  # what is here is not all of it any more
    assert len(store.files(Uids.ct)) == 34
    assert len(files_asked_for(pacs)) == 4
    assert pacs.most_in_flight > 1


def replace(pacs, tmp_path, old, write):
    """Put another instance in the place of one."""
    write(tmp_path / "other.dcm")
    pacs.instances.pop(old)
    return pacs.take(tmp_path / "other.dcm")


def test_slices_that_are_replaced_by_as_many_others_are_noticed_after_a_while(pacs, store, monkeypatch, tmp_path):
    old = store.source(Uids.ct)
    store.rescan()
    other = replace(
        pacs, tmp_path, _ct(pacs.instances)[0], lambda file: write_ct_slice(file, series=Uids.ct, study=Uids.study)
    )
    pacs.asked.clear()
    store.rescan()
    assert store.source(Uids.ct) == old
    assert not any("/instances" in asked for asked in pacs.asked), "it was compared a moment ago"
    pacs.trouble = {Uids.xa: "failing"}
    write_xa_run(tmp_path / "run.dcm", series=Uids.xa, study=Uids.study)
    pacs.take(tmp_path / "run.dcm")
    store.rescan()
    assert store.trouble, "another series cannot be read, which keeps nothing back"
    monkeypatch.setattr(replaced, "_AGAIN_S", 0.0)
    store.rescan()
    assert store.source(Uids.ct, make=False) is None
    assert {file.stem for file in store.files(Uids.ct)} == {*_ct(pacs.instances)} > {other}
    assert len(list(old.iterdir())) == 3
    signature = store.images.signature(Uids.ct)
    store.rescan()
    assert store.images.signature(Uids.ct) == signature, "what is the same stays the same"


def test_a_series_that_was_replaced_and_that_nobody_asks_for_changes_once(pacs, pacs_url, store, monkeypatch, tmp_path):
    monkeypatch.setattr(replaced, "_AGAIN_S", 0.0)
    store.source(Uids.ct)
    replace(pacs, tmp_path, _ct(pacs.instances)[0], lambda file: write_ct_slice(file, series=Uids.ct, study=Uids.study))
    before = store.images.signature(Uids.ct)
    store.rescan()
    changed = store.images.signature(Uids.ct), store.catalogue.get(Uids.ct).since
    assert changed[0] != before
    for one in (store, store, open_store(pacs_url, store.data)):
        pacs.asked.clear()
        one.rescan()
        assert (one.images.signature(Uids.ct), one.catalogue.get(Uids.ct).since) == changed
        assert not any(f"{Uids.ct}/instances" in asked for asked in pacs.asked), "that it changed is known"
    store.source(Uids.ct)
    replace(pacs, tmp_path, _ct(pacs.instances)[0], lambda file: write_ct_slice(file, series=Uids.ct, study=Uids.study))
    store.rescan()
    assert store.images.signature(Uids.ct) != changed[0]


def test_a_training_begins_with_the_slices_that_the_pacs_has_now(pacs, pacs_url, store, monkeypatch, tmp_path):
    monkeypatch.setattr(replaced, "_AT_ONCE", 0)
    store.source(Uids.ct)
    replace(pacs, tmp_path, _ct(pacs.instances)[0], lambda file: write_ct_slice(file, series=Uids.ct, study=Uids.study))
    store.rescan()
    assert store.is_here(Uids.ct)
    training = open_store(pacs_url, store.data, holds=True)
    assert {file.stem for file in training.files(Uids.ct)} == {*_ct(pacs.instances)}


def test_a_cine_that_is_replaced_is_another_image(pacs, store, tmp_path):
    image = store.images.all(modality="XA")[0]
    write = lambda file: write_xa_run(file, series=Uids.xa, study=Uids.study, frames=9)  # noqa: E731
    replace(pacs, tmp_path, image.instance_uid, write)
    store.rescan()
    assert image.id in store.images.ids(), "nobody asked for it"
    with pytest.raises(NotFoundError):
        store.source(image.id)
    report = store.rescan()
    assert report.removed == (image.id,)
    assert [store.images.get(id).size[2] for id in report.added] == [9]


def test_threads_and_processes_that_want_one_series_fetch_it_once(pacs, store, pacs_url):
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_fetch_elsewhere, args=(pacs_url, store.data, Uids.ct))
    process.start()
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(store.source, [Uids.ct] * 4))) == 1
    process.join(timeout=60)
    assert process.exitcode == 0
    assert len(files_asked_for(pacs)) == 3


def _fetch_elsewhere(url, data, image_id):
    store = PacsStore(PacsSpec(url, silence_s=5), data=data, header=header, content=content_hash)
    assert len(store.files(image_id)) == 3


# Broken


@pytest.mark.parametrize("trouble", ["slow", "html", "truncated", "locked", "failing", "another", "half"])
def test_what_does_not_come_as_it_should_is_refused_and_comes_when_the_pacs_is_well(pacs, store, trouble):
    for image_id in (Uids.ct, Uids.xa):
        pacs.trouble = {"file": trouble}
        with pytest.raises(PacsError):
            store.source(image_id)
        assert store.source(image_id, make=False) is None
        pacs.trouble = {}
        assert len(store.files(image_id)) == (3 if image_id == Uids.ct else 1)
        assert read(store.source(image_id))


def test_what_came_before_a_break_is_not_fetched_again(pacs, store, monkeypatch):
    whole = pacs.instances
    missing, *others = _ct(whole)
    pacs.instances = {uid: one for uid, one in whole.items() if uid != missing}
    monkeypatch.setattr(store.client, "instances", lambda *a, **k: [_uid(uid) for uid in _ct(whole)])
    save, came = store.client.save_instance, {uid: threading.Event() for uid in others}

    def save_last(study, series, uid, file, **options):  # once it breaks, what was not asked for is not any more
        if uid == missing:
            assert all(event.wait(30) for event in came.values())
        save(study, series, uid, file, **options)
        if uid in came:
            came[uid].set()

    monkeypatch.setattr(store.client, "save_instance", save_last)
    with pytest.raises(PacsError, match="is not there"):
        store.source(Uids.ct)
    pacs.instances = whole
    assert {asked.rpartition("/")[2] for asked in files_asked_for(pacs)} == {missing, *others}
    pacs.asked.clear()
    assert len(store.files(Uids.ct)) == 3
    assert [asked.rpartition("/")[2] for asked in files_asked_for(pacs)] == [missing]


def _ct(instances):
    return [uid for uid, (_, dataset) in instances.items() if dataset.Modality == "CT"]


def _uid(uid):
    return {"00080018": {"vr": "UI", "Value": [uid]}}


def test_half_a_file_that_a_crash_left_is_fetched_again(pacs, store):
    uid = _ct(pacs.instances)[0]
    parts = store.data / "cache/pacs" / Uids.ct / ".parts"
    parts.mkdir(parents=True)
    (parts / f"{uid}.dcm").write_bytes(pacs.instances[uid][0][:-10])
    (parts / ".writing-x").write_bytes(b"rest")
    assert sorted(file.read_bytes() for file in store.files(Uids.ct)) == sorted(
        pacs.instances[uid][0] for uid in _ct(pacs.instances)
    )


def test_a_series_that_was_deleted_there_is_not_found(pacs, store):
    pacs.instances = {}
    with pytest.raises(NotFoundError):
        store.source(Uids.ct)
    with pytest.raises(NotFoundError):
        store.source(Uids.us)
    store.rescan()
    store.rescan()
    with pytest.raises(NotFoundError, match="its labels are kept"):
        store.source(Uids.ct)


def test_a_stopped_pacs_leaves_what_is_here_and_says_what_is_wrong(pacs, tmp_path):
    with serving(pacs) as url:
        store = open_store(url, tmp_path)
        store.source(Uids.ct)
        port = int(url.split(":")[2].split("/")[0])
    report = store.rescan()
    assert "cannot be reached" in store.trouble
    assert (report.files, report.removed) == (4, ())
    assert store.counts().images == 4
    assert store.source(Uids.ct).is_dir()
    with pytest.raises(PacsError, match="cannot be reached"):
        store.source(Uids.xa)
    with serving(pacs, port):
        store.rescan()
        assert store.trouble == ""
        assert store.source(Uids.xa).is_file()


def test_a_pacs_that_is_down_at_the_start_is_no_error(tmp_path):
    store = open_store("http://127.0.0.1:9/dicom-web", tmp_path)
    assert store.counts().images == 0
    assert "cannot be reached" in store.trouble


# The data folder


@pytest.mark.parametrize("before", [None, 0o755, 0o750, 0o777])
def test_other_users_of_this_machine_cannot_read_what_came_from_a_pacs(pacs_url, tmp_path, before):
    data, umask = tmp_path / "new" / "data", os.umask(0o022)
    try:
        if before is not None:
            data.mkdir(parents=True)
            data.chmod(before)
        open_store(pacs_url, data).close()
    finally:
        os.umask(umask)
    assert stat.S_IMODE(data.stat().st_mode) == (0o700 if before is None else before & 0o770)


# Room


@pytest.fixture
def tight(monkeypatch):
    """What was used a moment ago may leave."""
    monkeypatch.setattr(caching, "_RECENTLY_S", 0.0)


def limit(store, limit_bytes):
    store.cache._limit_bytes = store._fetcher._at_most_bytes = limit_bytes


def size_of(store):
    return sum(file.stat().st_size for file in (store.data / "cache/pacs").rglob("*.dcm"))


def test_the_longest_unused_leave_first(pacs, store, tight):
    for image_id in (Uids.xa, Uids.ct, Uids.xa):
        store.source(image_id)
        time.sleep(0.02)
    limit(store, size_of(store))
    store.cache.make_room(1)
    assert store.is_here(Uids.xa)
    assert not store.is_here(Uids.ct)
    assert store.source(Uids.ct)


def test_what_was_handed_out_a_moment_ago_stays(store):
    store.source(Uids.ct)
    limit(store, size_of(store))
    with pytest.raises(CacheFullError, match="HEPATIC_DICOMWEB_CACHE_MIB"):
        store.source(Uids.xa)
    assert store.is_here(Uids.ct)
    limit(store, 1 << 20)
    assert store.source(Uids.xa)


def test_what_a_training_asked_for_stays_until_it_ends(pacs_url, store, tight, tmp_path):
    script = (
        "import sys\nfrom pathlib import Path\nfrom tests.pacs.test_fetch import open_store\n"
        f"store = open_store({pacs_url!r}, Path({str(store.data)!r}), holds=True)\n"
        f"store.source({Uids.ct!r})\nprint('held', flush=True)\nsys.stdin.read()\n"
    )
    env = {**os.environ, "PYTHONPATH": "."}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    ) as training:
        assert training.stdout.readline() == b"held\n"
        full = ImageCache(store.data / "cache/pacs", limit_bytes=0)
        with pytest.raises(CacheFullError):
            full.make_room(1)
        assert store.is_here(Uids.ct)
        training.kill()
        training.wait()
    full.make_room(0)
    assert not store.is_here(Uids.ct)
    assert not list((store.data / "cache/pacs/.holders").iterdir())


def grow(pacs, store, tmp_path, k):
    """Send another slice of the CT to the PACS."""
    write_ct_slice(tmp_path / f"{k}.dcm", series=Uids.ct, study=Uids.study, k=k)
    pacs.take(tmp_path / f"{k}.dcm")
    store.rescan()


def test_a_reader_keeps_the_files_that_were_handed_out_when_the_series_changes_or_goes(pacs, store, tmp_path):
    old = store.source(Uids.ct)
    grow(pacs, store, tmp_path, 3)
    new = store.source(Uids.ct)
    assert (len(list(old.iterdir())), len(list(new.iterdir()))) == (3, 4)
    assert store.source(Uids.ct) == new
    limit(store, 0)
    with pytest.raises(CacheFullError):
        store.cache.make_room(1)
    pacs.instances = {}
    store.rescan()
    assert store.rescan().removed
    assert (len(list(old.iterdir())), len(list(new.iterdir()))) == (3, 4)


def test_a_training_keeps_its_files_when_the_series_changes_and_goes(pacs, pacs_url, store, tight, tmp_path):
    training = open_store(pacs_url, store.data, holds=True)
    old = training.source(Uids.ct)
    grow(pacs, store, tmp_path, 3)
    new = store.source(Uids.ct)
    limit(store, 0)
    with pytest.raises(CacheFullError):
        store.cache.make_room(1)
    assert not new.exists()
    store.rescan()
    pacs.instances = {}
    store.rescan()
    assert store.rescan().removed
    assert len(list(old.iterdir())) == 3
    training.cache._holding = None  # as when the process ends
    store.rescan()
    assert not old.exists()
    assert not (store.data / "cache/pacs" / Uids.ct).exists()


def test_files_of_a_series_as_it_was_leave_when_nobody_reads_them_any_more(pacs, store, monkeypatch, tmp_path):
    old = store.source(Uids.ct)
    grow(pacs, store, tmp_path, 3)
    new = store.source(Uids.ct)
    kept = store.source(Uids.xa)
    assert old.exists()
    monkeypatch.setattr(caching, "_RECENTLY_S", 0.0)
    store.rescan()
    assert not old.exists()
    assert new.exists()
    assert kept.exists()


def test_a_series_that_is_again_as_it_was_is_read_from_the_files_it_had(pacs, store, tmp_path):
    before, whole = store.source(Uids.ct), dict(pacs.instances)
    grow(pacs, store, tmp_path, 3)
    assert store.source(Uids.ct) != before
    pacs.instances = whole
    store.rescan()
    assert store.source(Uids.ct) == before
    assert store.source(Uids.ct, make=False) == before


def test_an_image_larger_than_the_room_is_given_up_and_leaves_no_file(store, tight, monkeypatch):
    monkeypatch.setattr(store._fetcher, "_at_most_bytes", 300)
    with pytest.raises(PacsError, match="larger than"):
        store.source(Uids.ct)
    assert not list((store.data / "cache/pacs").rglob("*.dcm"))
    assert not list((store.data / "cache/pacs").rglob(".writing*"))


def test_a_series_that_fills_most_of_the_cache_is_fetched_again_when_it_changes(pacs, store, tmp_path):
    old = store.source(Uids.ct)
    limit(store, size_of(store) * 3 // 2)
    grow(pacs, store, tmp_path, 3)
    assert len(store.files(Uids.ct)) == 4
    store.cache.make_room(1)
    assert len(list(old.iterdir())) == 3, "it shares its files with the new one, and takes no room"
    with pytest.raises(CacheFullError):
        store.cache.make_room(store.cache.limit_bytes // 2)


def test_a_series_of_which_all_slices_changed_is_fetched_again_when_nobody_reads_it(pacs, store, monkeypatch, tmp_path):
    old = store.source(Uids.ct)
    limit(store, size_of(store) * 3 // 2)
    for uid in [uid for uid, (_, dataset) in pacs.instances.items() if dataset.Modality == "CT"]:
        del pacs.instances[uid]
    for k in range(4):
        grow(pacs, store, tmp_path, k)
    with pytest.raises(CacheFullError):
        store.source(Uids.ct)
    assert len(list(old.iterdir())) == 3, "somebody may be reading it"
    monkeypatch.setattr(caching, "_RECENTLY_S", 0.0)
    assert len(store.files(Uids.ct)) == 4
    assert not old.exists()
    assert size_of(store) <= store.cache.limit_bytes


# Images and labels


def test_a_series_that_was_not_listed_is_looked_up_when_it_is_asked_for(pacs, pacs_url, tmp_path):
    store = PacsStore(PacsSpec(pacs_url), data=tmp_path, header=header, content=content_hash)
    assert store.counts().images == 0
    assert store.has(Uids.ct)
    assert not store.has("1.2.3")
    pacs.asked.clear()
    assert not store.has("1.2.3")
    assert not store.has("nonsense")
    assert not pacs.asked
    assert store.source(Uids.ct).is_dir()


def test_labels_outlive_their_image(pacs, store, tmp_path):
    label = tmp_path / "label.nrrd"
    label.write_bytes(b"label")
    store.labels.save(Uids.ct, "final", label)
    (case,) = store.labelled_cases("final")
    assert (case.patient_id, case.study_uid, len(case.files)) == ("P1", Uids.study, 3)
    assert store.labelled_cases("final", fetch=False)
    pacs.instances = {}
    store.rescan()
    store.rescan()
    assert store.counts().missing == 1
    assert store.labels.latest(Uids.ct, "final").version == 1


def test_nothing_is_sent_unless_the_settings_allow_it(pacs, store, pacs_files, tmp_path):
    with pytest.raises(ConflictError, match="HEPATIC_DICOMWEB_STOW"):
        store.add_image(pacs_files["ct0.dcm"])
    with pytest.raises(ConflictError, match="nothing is ever removed"):
        store.remove_image(Uids.ct)
    assert len(pacs.instances) == 6
    assert settings().dicomweb_stow is False


def test_what_may_be_sent_is_listed_at_once(pacs, pacs_url, tmp_path):
    store = PacsStore(
        PacsSpec(pacs_url, takes_studies=True), data=tmp_path / "data", header=header, content=content_hash
    )
    files = [tmp_path / f"{k}.dcm" for k in range(2)]
    for k, file in enumerate(files):
        write_ct_slice(file, series="1.2.77", study="1.2.7", patient="P7", k=k)
    assert store.add_series(files, info={"from": "me"}) == "1.2.77"
    assert store.images.get("1.2.77").info == {"from": "me"}
    assert len(store.files("1.2.77")) == 2
    store.close()


def test_an_image_that_will_be_asked_for_is_fetched_ahead(pacs, store):
    def fetching():
        return sum(thread.name.startswith("hepatic-ahead") for thread in threading.enumerate())

    before = fetching()
    for _ in range(20):
        store.fetch_ahead(Uids.ct)
    assert fetching() - before <= 2, "whoever asks, few are fetched at a time"
    deadline = time.monotonic() + 60
    while not store.is_here(Uids.ct) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert store.is_here(Uids.ct)
