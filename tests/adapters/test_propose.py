"""A study's candidates, from its series to JSON, by an app's models."""

import dataclasses
import json

import numpy as np
import pytest

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.adapters.propose import Proposer, series_of
from hepatic.engine.predict import Predictor
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError, ConflictError, NotFoundError
from hepatic.harvest.places import prepared_folder
from hepatic.harvest.prepared_cache import load_prepared
from hepatic.harvest.study import Phase
from hepatic.harvest.study_json import from_json
from hepatic.io.sidecar import Sidecar, write_sidecar
from tests.engine.toys import CLASSIFIER, DETECTOR, LIVER, Whole, box_of, serve, serve_detector, write_ct

CENTRES = ((3, 5, 5), (5, 11, 14))
CT_LIVER = dataclasses.replace(LIVER, name="ct_liver")
WITHIN = dataclasses.replace(DETECTOR, pre=(Whole(within_liver=True),), liver=CT_LIVER)
SEEN = dataclasses.replace(CLASSIFIER, name="ct_phase", labels=("nc", "venous"))


@pytest.fixture
def request_of_two_phases(tmp_path):
    """The second lesion shows in the venous phase only."""
    files = {
        "venous": write_ct(tmp_path / "a.nrrd", *CENTRES, seed=1),
        "arterial": write_ct(tmp_path / "b.nrrd", CENTRES[0], seed=2),
    }
    series = [
        {"image_id": f"1.2.{number}", "path": str(file), "description": phase}
        for number, (phase, file) in enumerate(files.items())
    ]
    return {"study_uid": "1.2", "patient_id": "P1", "series": series, "model": DETECTOR.name, "min_score": 0.5}


@pytest.fixture
def request_of_one_phase(request_of_two_phases):
    return {**request_of_two_phases, "series": request_of_two_phases["series"][:1]}


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path / "models")
    serve_detector(registry, WITHIN)
    return registry


def proposer(registry, tmp_path, *tasks):
    return Proposer({task.name: task for task in tasks}, Predictor(registry, device="cpu"), tmp_path / "data")


def test_candidates_of_all_phases_are_one_list_with_their_lineage(registry, tmp_path, request_of_two_phases):
    answer = proposer(registry, tmp_path, WITHIN)(request_of_two_phases)
    study = from_json(json.loads(json.dumps(answer, allow_nan=False)))
    found = np.sort([candidate.box for candidate in study.candidates], axis=0)
    assert found == pytest.approx(np.array([box_of(centre) for centre in CENTRES]), abs=1)
    lineages = {tuple(sorted(p.phase for p in candidate.lineage)) for candidate in study.candidates}
    assert lineages == {("arterial", "venous"), ("venous",)}
    assert (study.reference, study.patient_id, dict(study.image_ids)) == (
        Phase.VENOUS,
        "P1",
        {Phase.ARTERIAL: "1.2.1", Phase.VENOUS: "1.2.0"},
    )
    assert answer["model_hash"] == registry.served(DETECTOR.name).card.sha256


def test_the_prepared_study_is_kept_and_proposing_again_changes_nothing(registry, tmp_path, request_of_one_phase):
    propose = proposer(registry, tmp_path, WITHIN)
    first, again = propose(request_of_one_phase), propose(request_of_one_phase)
    kept = load_prepared(prepared_folder(tmp_path / "data"), first["content"])
    assert set(kept.phases) == {Phase.VENOUS}
    assert "read" in first["seconds"]
    assert set(again["seconds"]) == {"detect"}, "it was prepared before"
    assert [c["uid"] for c in first["candidates"]] == [c["uid"] for c in again["candidates"]]


def test_candidates_are_shown_from_the_score_on_the_detectors_card_unless_another_is_asked_for(
    tmp_path, request_of_one_phase
):
    registry = Registry(tmp_path / "picky")
    serve_detector(registry, WITHIN, p1td_10=1.0, shown_from=1.0)
    propose = proposer(registry, tmp_path, WITHIN)
    unsaid = {name: value for name, value in request_of_one_phase.items() if name != "min_score"}
    assert propose(unsaid)["candidates"] == []
    assert len(propose(request_of_one_phase)["candidates"]) == len(CENTRES)


class Promoting(Predictor):
    """Serves other weights before it looks at a picture, as often as it is told to."""

    def __init__(self, registry, times):
        super().__init__(registry, device="cpu")
        self.left = times

    def detect(self, task, image, liver=None, *, params=None):
        if self.left:
            serve(self.registry, task, **{"conv.bias": [-5.0 - self.left]})
            self.left -= 1
        return super().detect(task, image, liver, params=params)


def test_a_study_is_proposed_with_one_set_of_weights_though_others_are_promoted_meanwhile(
    registry, tmp_path, request_of_two_phases
):
    before = registry.served(DETECTOR.name).card.sha256
    propose = Proposer({WITHIN.name: WITHIN}, Promoting(registry, times=1), tmp_path / "data")
    answer = propose(request_of_two_phases)
    served = registry.served(DETECTOR.name).card.sha256
    assert served != before
    assert answer["model_hash"] == served
    with pytest.raises(ConflictError, match="promoted meanwhile"):
        Proposer({WITHIN.name: WITHIN}, Promoting(registry, times=2), tmp_path / "data")(request_of_two_phases)


def test_what_is_missing_is_said_to_the_reader(registry, tmp_path, request_of_one_phase):
    warnings = proposer(registry, tmp_path, WITHIN)(request_of_one_phase)["warnings"]
    assert any("no liver model" in warning for warning in warnings)
    assert any("no model of contrast phases" in warning for warning in warnings)


def test_the_apps_own_models_find_liver_and_phase(registry, tmp_path, request_of_one_phase):
    serve(registry, CT_LIVER, level=-10.0)
    serve(registry, SEEN, **{"line.weight": [[0.0], [0.0]], "line.bias": [0.0, 20.0]})
    request_of_one_phase["series"][0]["description"] = "routine"
    answer = proposer(registry, tmp_path, WITHIN, CT_LIVER, SEEN)(request_of_one_phase)
    assert answer["reference"] == "venous"
    kept = load_prepared(prepared_folder(tmp_path / "data"), answer["content"])
    assert kept.phases[Phase.VENOUS].told_by == "picture"
    assert not any("no liver model" in warning or "contrast phases" in warning for warning in answer["warnings"])


def test_a_model_that_is_no_detector_is_refused(registry, tmp_path, request_of_one_phase):
    for model in ("ct_phase", "../x"):
        with pytest.raises(BadInputError, match="toy_detector"):
            proposer(registry, tmp_path, WITHIN, SEEN)({**request_of_one_phase, "model": model})


def test_a_detector_without_weights_says_how_to_train_it(tmp_path, request_of_one_phase):
    with pytest.raises(NotFoundError, match="hepatic train toy_detector"):
        proposer(Registry(tmp_path / "none"), tmp_path, WITHIN)(request_of_one_phase)


def test_a_study_without_a_usable_series_says_why(registry, tmp_path, request_of_one_phase):
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\nno")
    with pytest.raises(BadInputError, match="regular stack"):
        proposer(registry, tmp_path, WITHIN)(request_of_one_phase)


def test_a_study_of_the_datastore_is_prepared_from_its_ct_series(registry, tmp_path):
    folder = tmp_path / "studies"
    folder.mkdir()
    for name, modality, study in (("a", "CT", "1.2"), ("b", "MR", "1.2"), ("c", "CT", "1.3")):
        write_sidecar(folder / f"{name}.nrrd", Sidecar("P1", study, "venous", modality))
        write_ct(folder / f"{name}.nrrd", CENTRES[0])
    store = HepaticDatastore(folder, auto_rescan_seconds=None).store
    (series,) = series_of(store, "1.2")
    assert (series.patient_id, series.description, series.source.name) == ("P1", "venous", "a.nrrd")
    prepared = proposer(registry, tmp_path, WITHIN).prepare([series])
    assert prepared.study_uid == "1.2"
    with pytest.raises(NotFoundError, match="none any more"):
        series_of(store, "1.4")
