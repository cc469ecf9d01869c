"""Images whose classes were named leave, too, or it is said that they do not."""

import csv
import io
import json
import zipfile

import pydicom
import pytest

from hepatic.errors import NotFoundError
from hepatic.harvest.classified_studies import classified_study
from hepatic.harvest.events import ClassName
from hepatic.harvest.export.formats import FORMATS, write_export
from hepatic.harvest.export.pseudonymous import pseudonymous_classified
from hepatic.harvest.rules import Rules
from hepatic.harvest.store import ReviewStore as Store
from sample_data.us import write_us
from tests.dicom_validator import complaints
from tests.harvest.classified import images
from tests.harvest.proposed import decide, event

UID = "1.2.9:lesion_type"


@pytest.fixture
def read(tmp_path):
    """Two images that two readers have named: they agree on the first, and a reviewer settled the second."""
    store = Store(tmp_path, rules=Rules(readers=2))
    store.proposals.add(images("a", "b", told=(0.2, 0.7, 0.1)))
    a, b = (one.uid for one in store.review(UID).study.candidates)
    for reader, second in (("anna", "cyst"), ("otto", "fnh")):
        store.lease(reader, UID)
        times = {"shown_at": 1_763_730_000_000, "decided_at": 1_763_730_002_500, "device": "key"}
        said = [decide(a, "hcc", UID, **times), decide(b, second, UID), event("finish", UID)]
        taken, _ = store.reviews.take(said, reader)
        assert {one.status for one in taken} == {"stored"}
    store.adjudicate("0b0f5c1e-5d0c-4f6e-9c39-0d8f2a6f1a11", UID, b, ClassName("cyst"), "viktor")
    yield classified_study(store.review(UID), store.rules)
    store.close()


def written(kind, study, lesions=(), *, tmp_path):
    target = tmp_path / f"out{FORMATS[kind].suffix}"
    left_out = write_export(kind, lesions, target, files_of=lambda _: [], classified=[study])
    return target.read_bytes(), left_out


def rows_of(read, tmp_path, lesions=()):
    content, left_out = written("csv", read, lesions, tmp_path=tmp_path)
    assert left_out == {}
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_a_table_has_a_row_for_each_image_and_reader_with_class_time_model_and_probability(read, tmp_path):
    rows = rows_of(read, tmp_path)
    assert [(r["image"], r["reader"], r["reader_verdict"], r["verdict"], r["state"]) for r in rows] == [
        ("a", "anna", "hcc", "hcc", "classified"), ("a", "otto", "hcc", "hcc", "classified"),
        ("b", "anna", "cyst", "cyst", "adjudicated"), ("b", "otto", "fnh", "cyst", "adjudicated"),
    ]  # fmt: skip
    first = rows[0]
    assert (first["study_uid"], first["note"], first["model"]) == ("1.2.9", "lesion_type", "us_fll")
    assert (first["model_class"], first["score"], first["class_probability"]) == ("cyst", "0.7", "0.2")
    assert (first["seconds"], first["device"], first["x_min_mm"]) == ("2.5", "key", "")
    assert rows[2]["adjudicated_by"] == "viktor"


def test_lesions_and_images_share_one_table(read, study, tmp_path):
    rows = rows_of(read, tmp_path, [study])
    assert {row["note"] for row in rows if row["x_min_mm"]} == {""}
    assert sum(bool(row["note"]) for row in rows) == 4
    assert len(rows) > 4


def test_json_has_every_probability_and_the_lesions_beside(read, study, tmp_path):
    told = json.loads(written("json", read, [study], tmp_path=tmp_path)[0])
    [asked] = told["classified"]
    assert asked["classes"] == ["hcc", "cyst", "fnh"]
    assert asked["images"][0]["probabilities"] == {"hcc": 0.2, "cyst": 0.7, "fnh": 0.1}
    assert [one["reader"] for one in asked["images"][0]["decisions"]] == ["anna", "otto"]
    assert told["studies"][0]["candidates"][0]["box"] == [-14.4, -8.0, 102.5, -6.4, 0.0, 112.5]


@pytest.mark.parametrize("kind", sorted(set(FORMATS) - {"csv", "json", "sr"}))
def test_what_a_format_cannot_hold_is_said_in_it(read, tmp_path, kind):
    content, left_out = written(kind, read, tmp_path=tmp_path)
    if kind == "coco":
        told = json.loads(content)["left_out"]
    else:
        told = json.loads(zipfile.ZipFile(io.BytesIO(content)).read("left_out.json"))
    assert told == left_out
    assert "export csv, json or sr" in told[UID]


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    out = tmp_path_factory.mktemp("us")
    write_us(out, 1, seed=1, size="tiny")
    return next((out / "studies").rglob("*.dcm"))


def test_reports_say_the_class_that_holds_and_what_each_reader_named(read, still, tmp_path):
    target = tmp_path / "out.zip"

    def files_of(image):
        if image == "b":
            raise NotFoundError("the image", expected="its file", came="none", fix="Add it again.")
        return [still]

    left_out = write_export("sr", [], target, files_of=files_of, classified=[read])
    packed = zipfile.ZipFile(target)
    names = [f"1.2.9-lesion_type-1{name}.dcm" for name in ("", "-reader-1", "-reader-2")]
    assert packed.namelist() == [*names, "left_out.json"]
    assert list(left_out) == [f"{UID} b"]
    held, _, second = (pydicom.dcmread(io.BytesIO(packed.read(name))) for name in names)
    assert held.StudyInstanceUID == pydicom.dcmread(still).StudyInstanceUID
    assert "hcc" in str(held.ContentSequence)
    assert "otto" in str(held.ContentSequence)
    assert "us_fll" not in str(held.ContentSequence), "it was named without knowing what the model says"
    assert "otto" in str(second.ContentSequence)


def test_reports_pass_the_validator(read, still, tmp_path, tool):
    target = tmp_path / "out.zip"
    write_export("sr", [], target, files_of=lambda _: [still], classified=[read])
    with zipfile.ZipFile(target) as packed:
        packed.extractall(tmp_path)
        made = [tmp_path / name for name in packed.namelist()]
    assert len(made) == 6
    for file in made:
        assert complaints(tool, file) == []


class Names:
    """Puts an X before everything."""

    def uid(self, name):
        return f"X{name}"

    study = patient = person = image = model = uid


def test_without_patients_and_readers_nothing_of_them_is_left(read, tmp_path):
    content, _ = written("json", pseudonymous_classified(read, Names()), tmp_path=tmp_path)
    [asked] = json.loads(content)["classified"]
    image = asked["images"][0]
    assert (asked["study_uid"], asked["patient_id"], image["image_id"]) == ("X1.2.9", f"X{read.patient_id}", "Xa")
    assert {one["reader"] for one in image["decisions"]} == {"Xanna", "Xotto"}
    assert image["decisions"][0]["shown_at"].startswith("1970-01-01")
    assert b"2025-" not in content
