"""From verdicts to a better detector: a snapshot is trained on as it says."""

import hashlib
import json

import numpy as np
import pytest

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.adapters.train import HepaticTrainTask
from hepatic.engine.cases import Case
from hepatic.engine.fit import FitSettings
from hepatic.engine.kind import all_known, training_sample
from hepatic.engine.plan import Plan
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError, NotFoundError
from hepatic.geometry import Grid
from hepatic.harvest.places import prepared_folder
from hepatic.harvest.prepared_cache import save_prepared
from hepatic.harvest.snapshot_cases import snapshot_cases
from hepatic.harvest.snapshots import snapshot_file
from hepatic.harvest.study import Phase, PhaseVolume, PreparedStudy
from tests.engine.toys import DETECTION, DETECTOR, ORIGIN, SHAPE, SPACING, block, box_of

AFFINE = np.diag([*SPACING, 1.0])
AFFINE[:3, 3] = ORIGIN
GRID = Grid(SHAPE[::-1], AFFINE)


def centre(number):
    return 2 + number % 4, 4 + number % 7, 4 + 2 * (number % 6)


def prepare(data, number):
    """Keep a study with a bright lesion in its venous phase and a faint one in the arterial one."""
    draw = np.random.default_rng(number)
    phases = {}
    for phase, contrast in ((Phase.ARTERIAL, 40), (Phase.VENOUS, 100)):
        hu = draw.normal(0, 5, SHAPE)
        hu[block(centre(number))] += contrast
        phases[phase] = PhaseVolume(phase, f"{number}.{phase.value}", hu.astype(np.int16), "tags", "reference")
    study = PreparedStudy(
        study_uid=f"1.2.{number}",
        patient_id=f"P{number}",
        reference=Phase.VENOUS,
        grid=GRID,
        phases=phases,
        liver=np.ones(SHAPE, bool),
        content=hashlib.sha256(str(number).encode()).hexdigest(),
    )
    save_prepared(prepared_folder(data), study)
    return study


def entry(study, number, **changes):
    box = {"box": list(box_of(centre(number))), "source": "harvested", "candidate": "2.25.1", "primary": True}
    return {
        "study_uid": study.study_uid,
        "patient_id": study.patient_id,
        "prepared": study.content,
        "phases": [phase.value for phase in study.phases],
        "image_ids": {phase.value: volume.image_id for phase, volume in study.phases.items()},
        "boxes": [box],
        "negatives": [],
        "ignored": [],
        "complete": True,
        "split": "test" if number % 3 == 0 else "train",
        **changes,
    }


def write(data, *entries, **more):
    """Write a snapshot as the review store does: its name is the hash of what it says."""
    content = {"version": 1, "studies": list(entries), "rounds": 1, **more}
    sha256 = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    file = snapshot_file(data, sha256)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**content, "created": "2026-11-21", "sha256": sha256}))
    return file


def cases(data, *entries):
    return snapshot_cases(write(data, *entries), prepared=prepared_folder(data))


def test_every_phase_is_a_picture_of_its_own_with_the_studys_boxes(tmp_path):
    made = cases(tmp_path, entry(prepare(tmp_path, 1), 1))
    assert [(case.image_id, case.study, case.part) for case in made] == [
        ("1.arterial", "1.2.1", "train"),
        ("1.venous", "1.2.1", "train"),
    ]
    samples = [case.sample(DETECTOR) for case in made]
    assert samples[0]["source"].array[centre(1)] < 70 < samples[1]["source"].array[centre(1)]
    for sample in samples:
        assert sample["boxes"].tolist() == [list(box_of(centre(1)))]
        assert (sample["primary"], sample["complete"]) == (0, True)


def test_the_stores_test_patients_judge_and_never_train(tmp_path):
    made = cases(tmp_path, *(entry(prepare(tmp_path, n), n) for n in (3, 4)))
    assert {case.patient_id: case.part for case in made} == {"P3": "validation", "P4": "train"}


def test_rejected_candidates_are_hard_negatives_and_doubtful_ones_cost_only_their_own_place(tmp_path):
    study = prepare(tmp_path, 1)
    rejected, doubtful = {"box": list(box_of((3, 3, 15)))}, {"box": list(box_of((6, 12, 15)))}
    (sure, _), (unsure, _) = (
        cases(tmp_path, entry(study, 1, negatives=[rejected])),
        cases(tmp_path, entry(study, 1, ignored=[doubtful], complete=False, background=True)),
    )
    kept = training_sample(DETECTOR, DETECTOR.prepare(sure.sample(DETECTOR)))
    assert kept["negatives"].tolist() == [pytest.approx([2, 1, 13, 5, 6, 18])]
    assert (kept["complete"], all_known(kept)) == (True, True)
    kept = training_sample(DETECTOR, DETECTOR.prepare(unsure.sample(DETECTOR)))
    assert kept["ignored"].tolist() == [pytest.approx([5, 10, 13, 8, 15, 18])]
    assert (kept["complete"], all_known(kept)) == (True, False), "it teaches the background and does not judge"
    assert not unsure.complete


def test_what_a_later_model_proposes_and_nobody_has_read_does_not_end_a_study_s_judging(tmp_path):
    unread = {"box": list(box_of((6, 12, 15)))}
    case, _ = cases(tmp_path, entry(prepare(tmp_path, 1), 1, ignored=[unread]))
    kept = training_sample(DETECTOR, DETECTOR.prepare(case.sample(DETECTOR)))
    assert (len(kept["ignored"]), all_known(case.sample(DETECTOR)), all_known(kept)) == (1, True, True)
    assert case.complete


def test_another_verdict_is_another_content(tmp_path):
    study = prepare(tmp_path, 1)
    before, after = cases(tmp_path, entry(study, 1))[0], cases(tmp_path, entry(study, 1, boxes=[]))[0]
    assert before.content() != after.content()


def test_a_snapshot_that_was_changed_is_refused(tmp_path):
    file = write(tmp_path, entry(prepare(tmp_path, 1), 1))
    file.write_text(file.read_text().replace('"complete": true', '"complete": false'))
    with pytest.raises(BadInputError, match="the hash in its name"):
        snapshot_cases(file, prepared=prepared_folder(tmp_path))


def test_a_study_that_has_gone_from_the_cache_says_what_to_do(tmp_path):
    made = cases(tmp_path, entry(prepare(tmp_path, 1), 1, prepared="0" * 64))
    with pytest.raises(NotFoundError, match="Propose the study again"):
        made[0].sample(DETECTOR)


def test_a_study_that_has_gone_from_the_cache_is_prepared_again_where_its_series_are_there(tmp_path):
    study = prepare(tmp_path, 1)
    file = write(tmp_path, entry(study, 1, prepared="0" * 64))
    asked = []
    (case, _) = snapshot_cases(
        file, prepared=prepared_folder(tmp_path), prepare=lambda uid: (asked.append(uid), study)[1]
    )
    assert np.array_equal(case.sample(DETECTOR)["source"].array, study.phases[Phase.ARTERIAL].hu)
    assert asked == ["1.2.1"]


@pytest.mark.parametrize(
    ("noted", "came"),
    [
        ({"reference": "arterial"}, "the venous phase as its reference"),
        ({"size": [20, 16, 9], "affine": AFFINE.tolist()}, "another grid"),
        ({"size": list(GRID.size), "affine": (AFFINE + np.eye(4, k=3)).tolist()}, "another grid"),
        ({"image_ids": {"arterial": "1.arterial", "venous": "1.thin"}}, "another venous series"),
    ],
)
def test_a_study_that_is_prepared_another_way_than_it_was_read_is_refused(tmp_path, noted, came):
    study = prepare(tmp_path, 1)
    same = {"reference": "venous", "size": list(GRID.size), "affine": AFFINE.tolist()}
    good, bad = (
        snapshot_cases(
            write(tmp_path, entry(study, 1, prepared="0" * 64, **told)),
            prepared=prepared_folder(tmp_path),
            prepare=lambda _: study,
        )[0]
        for told in (same, same | noted)
    )
    assert good.sample(DETECTOR)
    with pytest.raises(BadInputError, match=came):
        bad.sample(DETECTOR)


@pytest.fixture
def trainer(tmp_path):
    return HepaticTrainTask(DETECTION, Registry(tmp_path / "models"), tmp_path / "runs", data_dir=tmp_path / "data")


@pytest.fixture
def datastore(tmp_path):
    (tmp_path / "studies").mkdir()
    return HepaticDatastore(tmp_path / "studies", auto_rescan_seconds=None)


def test_a_detector_is_trained_on_a_snapshot_and_judged_by_its_test_studies(tmp_path, trainer, datastore):
    data = tmp_path / "data"
    file = write(data, *(entry(prepare(data, n), n) for n in range(6)))
    stats = trainer({"snapshot": file.stem, "max_epochs": 30}, datastore)
    assert stats["promoted"]
    assert stats["metrics"]["cases"] == 2, "studies, not phases"
    assert stats["metrics"]["p1td_10"] == 1
    card = trainer._registry.served(DETECTOR.name).card
    assert card.data["snapshot"] == file.stem
    assert card.data["train"] == {"images": 8, "patients": 4}
    assert card.data["validation"] == {"images": 4, "patients": 2}


@pytest.mark.parametrize("sent", ["../../etc/passwd", "0" * 63, {"a": 1}, "x" * 64])
def test_what_is_no_snapshot_is_refused(trainer, datastore, sent):
    with pytest.raises(BadInputError, match="snapshot"):
        trainer({"snapshot": sent}, datastore)


def test_a_snapshot_nobody_took_is_not_found(trainer, datastore):
    with pytest.raises(NotFoundError, match="snapshot"):
        trainer({"snapshot": f"/elsewhere/{'0' * 64}.json"}, datastore)


def test_of_an_image_with_a_label_the_verdicts_count_only_where_they_say_all_there_is(tmp_path, trainer):
    data = tmp_path / "data"
    doubtful = entry(prepare(data, 1), 1, complete=False, boxes=[])
    file = write(data, doubtful, entry(prepare(data, 2), 2))
    labels = [
        Case(image_id=f"{n}.venous", patient_id=f"P{n}", source=tmp_path / "i", label=tmp_path / "l") for n in (1, 2)
    ]
    made = trainer._cases(Plan(FitSettings(), labels, file.stem), None)
    assert [(case.image_id, type(case).__name__) for case in made] == [
        ("1.venous", "Case"),
        ("1.arterial", "SnapshotCase"),
        ("2.arterial", "SnapshotCase"),
        ("2.venous", "SnapshotCase"),
    ]
