"""The loop over HTTP: propose, read, train on a snapshot, propose anew, inherit."""

import csv
import io
import time
import zipfile

import numpy as np
import pydicom
import pytest
import requests
import SimpleITK

from hepatic.settings import settings
from server.access.access import tokens_dir
from server.access.token import Tokens
from server.app import create_app
from server.running import running
from tests.harvest.proposed import decide, event
from tests.server.qa.conftest import PEOPLE, Person
from tests.store.studies import write_ct_slice

QA_APP = "tests/qa_app"


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    for number in (11, 12, 13):
        for k in range(3):
            name = f"1.2.3.{number}"
            write_ct_slice(folder / name / f"{k}.dcm", series=f"{name}.1", study=name, patient=f"P{number}", k=k)
    return folder


@pytest.fixture(scope="module")
def loop(studies, request):
    app = create_app(request.config.rootpath / QA_APP, studies, auth=True, score_in_background=False)
    tokens = Tokens(tokens_dir(settings().data_dir(studies)))
    secrets = {name: tokens.create(name, role, expires=None)[1] for name, role in PEOPLE.items()}
    with running(app) as address:
        yield {name: Person(address, secret) for name, secret in secrets.items()} | {"app": app, "address": address}


def ended(loop, job):
    """Wait for a job; return it as /jobs tells it."""
    table = loop["app"].state.services.jobs
    found = table.wait(job["id"], 60)
    assert found.has_ended, found
    return found


def read(person, study, **verdicts):
    told = person.lease(study).json()
    cards = [card["candidate"] for card in told["study"]["cards"]]
    made = [decide(uid, verdicts.get(f"c{uid.removeprefix('2.25.')}", "false"), study) for uid in cards]
    results = person.send(*made, event("finish", study)).json()["results"]
    assert {one["status"] for one in results} == {"stored"}, results
    return cards


def test_the_loop_from_proposals_to_inherited_verdicts(loop):
    viktor, rita = loop["Viktor"], loop["Rita"]
    assert rita.ask("POST", "/propose", json={}).status_code == 403
    job = viktor.ask("POST", "/propose", json={"studies": ["1.2.3.11", "1.2.3.12"]}).json()
    assert (job["kind"], job["asked_by"], job["items"]["total"]) == ("propose", "Viktor", 2)
    assert ended(loop, job).state == "succeeded"
    queue = rita.ask("GET", "/queue").json()
    assert {one["study"]: one["candidates"] for one in queue["studies"]} == {"1.2.3.11": 2, "1.2.3.12": 2}
    assert "patient_id" in queue["studies"][0]["warnings"][0], "what the worker was told of a series"

    assert viktor.ask("POST", "/train", json={}).status_code == 422  # nobody has finished anything
    assert read(rita, "1.2.3.11", c10="true")
    training = viktor.ask("POST", "/train", json={"max_epochs": 1, "snapshot": "/etc/passwd"}).json()
    [snapshot] = viktor.ask("GET", "/snapshots").json()["snapshots"]
    assert training["request"]["snapshot"] == snapshot["sha256"]
    assert (snapshot["studies"], snapshot["boxes"], snapshot["negatives"]) == (1, 1, 1)
    done = ended(loop, training)
    assert (done.state, done.result["studies"]) == ("succeeded", 1)

    deadline = time.monotonic() + 60
    while (again := viktor.ask("GET", "/progress").json()["jobs"]["propose"])["id"] == job["id"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ended(loop, again).result == {"total": 2, "done": 2, "failed": 0}
    told = rita.lease("1.2.3.11").json()["study"]
    assert [card["candidate"] for card in told["cards"]] == ["2.25.21"], "the moved box inherits, the new one is asked"
    assert told["state"]["round"] == 2
    assert rita.send(decide("2.25.21", "true", "1.2.3.11"), event("finish", "1.2.3.11")).ok
    revealed = rita.ask("GET", "/studies/1.2.3.11?reveal=true").json()["candidates"]
    assert [(one["verdict"], one["inherited"]) for one in revealed] == [("true", "2.25.10"), ("true", None)]
    progress = viktor.ask("GET", "/progress").json()
    assert progress["negatives"] | {"mined": 1, "used": 1, "still_fires": 0, "silent": 1} == progress["negatives"]


def test_a_study_that_fails_does_not_keep_the_others_from_being_proposed(loop):
    job = loop["Viktor"].ask("POST", "/propose", json={"studies": ["1.2.3.12", "1.2.3.13"]}).json()
    found = ended(loop, job)
    assert (found.state, found.items_done, found.items_failed) == ("succeeded", 1, 1)


def test_the_queue_tells_when_a_study_was_made(loop, reviewed, studies):
    for file in (studies / "1.2.3.12").glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        dataset.StudyDate = "20261121"
        dataset.save_as(file)
    loop["app"].state.services.harvest._date_of.__self__._known.clear()
    told = {one["study"]: one["date"] for one in loop["Rita"].ask("GET", "/queue").json()["studies"]}
    assert told["1.2.3.12"] == "2026-11-21"
    assert "" in told.values(), "the others do not say"


def test_pictures_that_made_room_for_others_are_made_again_for_who_reads(loop, reviewed):
    rita = loop["Rita"]
    answer = rita.ask("GET", "/studies/1.2.3.12/layout")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "being made again" in answer.json()["detail"]
    [job] = [
        one for one in loop["app"].state.services.jobs.table.jobs(kind="propose")
        if not one.asked_by
    ]  # fmt: skip
    assert ended(loop, job.as_json()).items_done == 1
    again = rita.ask("GET", "/studies/1.2.3.12/layout")
    assert again.status_code == 404, "this detector leaves no pictures: it is not asked for ever"
    assert "Propose the study again" in again.json()["detail"]


def test_strange_studies_and_models_are_refused(loop):
    viktor = loop["Viktor"]
    assert viktor.ask("POST", "/propose", json={"studies": ["9.9"]}).status_code == 404
    assert viktor.ask("POST", "/propose", json={"studies": [7]}).status_code == 422
    assert viktor.ask("POST", "/propose", json={"model": "nobody"}).status_code == 404
    assert viktor.ask("POST", "/train", json={"model": "nobody"}).status_code == 404


def test_slicer_s_training_learns_from_the_reviews_too(loop, reviewed):
    headers = {"Authorization": loop["Viktor"]._session.headers["Authorization"]}
    url = f"{loop['address']}/train/ct_centernet3d?run_sync=true&enqueue=true"
    answer = requests.post(url, json={"snapshot": "/etc/passwd"}, headers=headers, timeout=60)
    assert answer.json()["studies"] >= 1


@pytest.fixture(scope="module")
def reviewed(loop):
    """A study that somebody has finished, whichever test runs first."""
    ended(loop, loop["Viktor"].ask("POST", "/propose", json={"studies": ["1.2.3.12"]}).json())
    if loop["Anna"].lease("1.2.3.12").ok:
        read(loop["Anna"], "1.2.3.12")


@pytest.mark.parametrize(
    ("format", "begins"),
    [("csv", b'"study_uid",'), ("coco", b"{"), ("markups", b"PK"), ("nifti", b"PK"), ("sr", b"PK"), ("seg", b"PK")],
)
def test_what_was_reviewed_leaves_in_every_format(loop, reviewed, format, begins):
    answer = loop["Viktor"].ask("GET", f"/export?format={format}&study=1.2.3.12")
    assert answer.status_code == 200
    assert answer.content.startswith(begins)
    assert f"hepatic-{format}" in answer.headers["content-disposition"]
    assert answer.headers["cache-control"] == "no-store"
    left = loop["app"].state.services.scratch.results_dir
    deadline = time.monotonic() + 60
    while list(left.glob("*.csv")):  # it is removed once it is sent
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("format", ["csv", "coco", "markups", "nifti", "sr", "seg"])
def test_it_leaves_without_patients_and_readers_where_that_is_asked_for(loop, reviewed, format):
    asked = {"format": format, "study": "1.2.3.12", "deidentify": "true", "keep": "modified-dates"}
    answer = loop["Viktor"].ask("GET", "/export", params=asked)
    assert answer.status_code == 200
    packed = zipfile.ZipFile(io.BytesIO(answer.content)) if answer.content.startswith(b"PK") else None
    parts = [answer.content] if packed is None else [packed.read(one) for one in packed.namelist()]
    names = [] if packed is None else packed.namelist()
    for secret in ("1.2.3.12", "P12", "Anna"):
        assert not any(secret.encode() in part for part in parts)
        assert not any(secret in name for name in names)
    assert any(b"2.25." in part for part in (*parts, *map(str.encode, names)))
    assert loop["Viktor"].ask("GET", "/export", params={"format": "csv", "keep": "descriptors"}).status_code == 422


def test_an_admin_looks_up_who_a_pseudonym_is_and_that_is_noted(loop, reviewed):
    table = loop["Viktor"].ask("GET", "/export?format=csv&study=1.2.3.12&deidentify=true").text
    row = next(csv.DictReader(io.StringIO(table)))
    place = loop["address"] + "/deidentify/"
    headers = {name: loop[name]._session.headers for name in ("Ada", "Viktor")}
    assert requests.get(place + row["patient_id"], headers=headers["Viktor"], timeout=30).status_code == 403
    found = requests.get(place + row["patient_id"], headers=headers["Ada"], timeout=30).json()
    assert (found["kind"], found["original"]) == ("patient", "P12")
    study = requests.get(place + row["study_uid"], headers=headers["Ada"], timeout=30).json()
    assert (study["kind"], study["original"]) == ("study", "1.2.3.12")
    assert requests.get(place + "HEP-NOBODY", headers=headers["Ada"], timeout=30).status_code == 404
    noted = requests.get(loop["address"] + "/audit", params={"user": "Ada"}, headers=headers["Ada"], timeout=30).json()
    asked = [one["ids"]["pseudonym"] for one in noted if one["what"] == "GET /deidentify/{pseudonym}"]
    assert asked == [row["patient_id"], row["study_uid"], "HEP-NOBODY"]


def test_exports_are_for_reviewers_and_of_studies_and_formats_there_are(loop, reviewed):
    assert loop["Rita"].ask("GET", "/export?format=csv").status_code == 403
    assert loop["Viktor"].ask("GET", "/export?format=xls").status_code == 422
    assert loop["Viktor"].ask("GET", "/export?format=csv&study=9.9").status_code == 404


def test_the_command_line_asks_the_same(loop, reviewed, tmp_path, monkeypatch, capsys):
    from typer.testing import CliRunner

    from server.cli import app

    monkeypatch.setenv("HEPATIC_TOKEN", loop["Viktor"]._session.headers["Authorization"].removeprefix("Bearer "))
    monkeypatch.setenv("HEPATIC_SERVER", loop["address"])

    def run(*words):
        result = CliRunner().invoke(app, ["qa", *words])
        assert result.exit_code == 0, result.output
        return result.output

    assert "studies are looked at" in run("propose", "1.2.3.12")
    assert "hard negatives" in run("status")
    assert '"effort"' in run("status", "--json")
    assert "hard negatives" in run("snapshot")
    run("export", str(tmp_path / "v.csv"))
    assert (tmp_path / "v.csv").read_text().startswith('"study_uid",')
    assert list(tmp_path.iterdir()) == [tmp_path / "v.csv"]
    assert "hepatic jobs watch" in run("train")


def test_final_labels_of_studies_under_review_become_known_cases(loop, studies, reviewed, tmp_path):
    viktor = loop["Viktor"]
    none = viktor.ask("POST", "/known")
    assert none.status_code == 422, none.text
    review = loop["app"].state.services.harvest.store.review("1.2.3.12")
    [image] = review.study.image_ids.values()
    mask = np.zeros((3, 4, 4), np.uint8)
    mask[1, 1:3, 1:3] = 1
    source = SimpleITK.ReadImage([str(studies / "1.2.3.12" / f"{k}.dcm") for k in range(3)])
    label = SimpleITK.GetImageFromArray(mask)
    label.CopyInformation(source)
    SimpleITK.WriteImage(label, str(tmp_path / "label.nrrd"))
    labels = loop["app"].state.services.host.datastore.store.labels
    some = {"boxes_known": "positives_only", "label_info": [{"name": "lesion", "idx": 1}]}
    labels.save(image, "final", tmp_path / "label.nrrd", author="DeepLesion", info=some)
    refused = viktor.ask("POST", "/known")
    assert refused.status_code == 422, "what marks some lesions only does not tell where there is none"
    assert "marks every lesion" in refused.text
    saved = requests.put(
        f"{loop['address']}/datastore/label?image={image}",
        files={"label": ("label.nrrd", (tmp_path / "label.nrrd").read_bytes())},
        headers={"Authorization": viktor._session.headers["Authorization"]},
        timeout=30,
    )
    assert saved.status_code == 200, saved.text
    assert ended(loop, viktor.ask("POST", "/known").json()).result == {"total": 1, "done": 1, "failed": 0}
    [known] = viktor.ask("GET", "/known").json()["known"]
    assert known == {"study": "1.2.3.12", "boxes": [[0.5, 0.5, 0.5, 2.5, 2.5, 1.5]], "primary": 0}
