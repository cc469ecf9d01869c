"""Phantoms of every modality sent to a real PACS: the same images, and the same answers, as out of a folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

import infer_tasks
from hepatic.adapters.datastore import HepaticDatastore
from hepatic.adapters.infer import HepaticInferTask
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.io.content import content_hash
from hepatic.pacs.catalogue import Catalogue
from hepatic.pacs.client import PacsClient
from hepatic.pacs.error import PacsError
from hepatic.pacs.filter import read_filter
from hepatic.pacs.spec import PacsSpec
from hepatic.settings import settings
from hepatic.store.database import Database
from hepatic.store.images import Images
from hepatic.store.listing import Listing
from hepatic.tasks.discover import discover_tasks
from sample_data.ceus.write import write_ceus
from sample_data.ct.write import write_ct
from sample_data.us import write_us
from sample_data.write import write_dsa

ROOT = Path(__file__).parents[2]
TASKS = {"dsa_unet": "XA", "us_fll": "US", "us_ceus": "US", "ct_phase": "CT", "ct_centernet2d": "CT"}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    out = tmp_path_factory.mktemp("phantoms")
    write_dsa(out, 1, seed=3, size="small")
    write_us(out, 1, seed=3, size="tiny", kind="hcc")
    write_ceus(out, 1, seed=1, size="tiny")
    write_ct(out, 1, seed=3, follow_ups=False)
    return out / "studies"


@pytest.fixture(scope="module")
def stores(phantoms, orthanc, tmp_path_factory):
    """The same images in a folder and in Orthanc."""
    orthanc.store(file for file in phantoms.rglob("*") if file.is_file() and file.suffix in (".dcm", ""))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HEPATIC_DICOMWEB_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        settings.cache_clear()
        folder = HepaticDatastore(phantoms, auto_rescan_seconds=None)
        pacs = HepaticDatastore(orthanc.dicomweb_url, first_scan_seconds=60.0)
        yield folder, pacs
    settings.cache_clear()
    folder.store.close()
    pacs.store.close()


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return Predictor(Registry(tmp_path_factory.mktemp("models"), shipped=ROOT / "apps/hepatic/models"), device="cpu")


def test_the_same_images_are_listed_with_the_same_ids(stores):
    folder, pacs = stores
    wanted = {image.id: image for image in folder.store.images.all() if image.series_uid}
    listed = {image.id: image for image in pacs.store.images.all()}
    assert {image.modality for image in wanted.values()} == {"CT", "XA", "US"}
    assert listed.keys() == wanted.keys()
    for image_id, image in wanted.items():
        other = listed[image_id]
        for name in ("modality", "kind", "patient_id", "study_uid", "instance_uid", "file_count", "description"):
            assert getattr(other, name) == getattr(image, name), name
        assert other.size[2] == image.size[2]
    for study in {image.study_uid for image in wanted.values()}:  # its phases are known without a download
        siblings = {image.id for image in wanted.values() if image.study_uid == study}
        assert {series.id for series in pacs.store.images.all(study_uid=study)} == siblings


def test_every_image_is_the_same_byte_for_byte(stores):
    folder, pacs = stores
    for image_id in pacs.list_images():
        assert content_hash(pacs.store.files(image_id)) == content_hash(folder.store.files(image_id))
        assert pacs.store.images.get(image_id).size == folder.store.images.get(image_id).size


def test_a_filter_is_kept_to(orthanc, stores, tmp_path):
    folder, _ = stores
    one = folder.store.images.all(modality="XA")[0]
    client = PacsClient(PacsSpec(orthanc.dicomweb_url))
    for words, expected in (
        (f"PatientID={one.patient_id[:-1]}*&Modality=XA", 1),
        ("PatientID=NOBODY*", 0),
        ("StudyDate=19000101-19000102", 0),
        ("StudyDate=19000101-", 1),
    ):
        catalogue = Catalogue(
            client, Listing(Database(tmp_path / "index.db")), tmp_path / "pacs.db", filters=read_filter(words)
        )
        assert min(catalogue.refresh().series, 1) == expected, words
    client.close()


def test_what_was_looked_up_outside_the_filter_stays(orthanc, stores, tmp_path):
    folder, _ = stores
    ids = {folder.store.images.all(modality=modality)[0].series_uid for modality in ("CT", "XA")}
    database, client = Database(tmp_path / "index.db"), PacsClient(PacsSpec(orthanc.dicomweb_url))
    catalogue = Catalogue(
        client, Listing(database), tmp_path / "pacs.db", filters=read_filter("StudyDate=19000101-19000102")
    )
    assert all(catalogue.look_up(uid) for uid in ids)
    for _ in range(3):
        changes = catalogue.refresh()
        assert (changes.read, changes.removed) == (0, ())
    assert {image.series_uid for image in Images(database, tmp_path).all()} == ids
    client.close()


@pytest.mark.parametrize("name", TASKS)
def test_a_model_answers_the_same(stores, predictor, name, tmp_path):
    folder, pacs = stores
    task = HepaticInferTask(discover_tasks(infer_tasks)[name], predictor, results=tmp_path)
    image = next(
        image
        for image in folder.store.images.all(modality=TASKS[name])
        if image.series_uid and (name != "us_ceus" or image.size[2] > 1) and (name != "us_fll" or image.size[2] == 1)
    )
    options = {"roi": f"2,2,{image.size[0] - 3},{image.size[1] - 3}"} if name == "us_ceus" else {}
    answers = [
        task({"image": datastore.get_image_uri(image.id), "image_id": image.id, **options})
        for datastore in (folder, pacs)
    ]
    files, told = zip(*answers, strict=True)
    assert without_times(told[0]) == without_times(told[1])
    if files[0] and str(files[0]).endswith((".nrrd", ".nii.gz")):
        masks = [SimpleITK.ReadImage(str(file)) for file in files]
        assert np.array_equal(*(SimpleITK.GetArrayFromImage(mask) for mask in masks))
        assert masks[0].GetOrigin() == masks[1].GetOrigin()
    elif files[0]:
        assert Path(files[0]).read_text() == Path(files[1]).read_text()


def test_a_real_pacs_that_stops_leaves_what_is_listed_and_fetched(stores, orthanc):
    _, pacs = stores
    before = pacs.store.counts().images
    fetched, forgotten = (image.id for image in pacs.store.images.all()[:2])
    assert pacs.store.source(fetched)
    pacs.store.cache.drop(forgotten)
    orthanc.stop()
    try:
        pacs.refresh()
        assert "cannot be reached" in pacs.status()["trouble"]
        assert pacs.store.counts().images == before
        assert pacs.store.source(fetched).exists()
        with pytest.raises(PacsError, match="cannot be reached"):
            pacs.store.source(forgotten)
    finally:
        orthanc.start()
    pacs.refresh()
    assert "trouble" not in pacs.status()
    assert pacs.store.source(forgotten).exists()


def without_times(told):
    """What a model says, but for how long it took."""
    return json.loads(
        json.dumps({key: value for key, value in told.items() if "latenc" not in key and "_ms" not in key}, default=str)
    )
