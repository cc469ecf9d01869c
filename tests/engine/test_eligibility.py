"""Which ultrasound images are fit to learn from, by the lists of paper 002, as far as data tell."""

import logging

import numpy as np
import pydicom
import pytest
from scipy import ndimage

import train_tasks
from hepatic.engine.cases import ClassCase
from hepatic.engine.eligibility import CRITERIA, SAID, Flag, eligibility
from hepatic.engine.prepared_cases import prepare_cases
from hepatic.errors import BadInputError, HepaticError
from hepatic.importers.us_dicom import Origin, write_us
from hepatic.io.read import read
from hepatic.tasks.discover import discover_recipes
from sample_data.ceus import write_ceus
from sample_data.truth import read_truth

CEUS = discover_recipes(train_tasks)["us_ceus"]
SIDE = 96
BOX = (40.0, 40.0, 66.0, 66.0)


def study(tmp_path_factory, *, seed):
    """Cine, still, and the lesion's box on both (top, left, bottom, right) of a simulated patient."""
    out = tmp_path_factory.mktemp("ceus")
    write_ceus(out, 1, seed=seed, size="tiny")
    files = sorted(
        (out / "studies").rglob("*.dcm"), key=lambda file: -int(pydicom.dcmread(file).get("NumberOfFrames", 1))
    )
    about = next(one for one in read_truth(out)["images"].values() if "echo_onset_s" in one)
    left, top, right, bottom = about["lesions"][0]["boxes"][0]
    return *files, (float(top), float(left), bottom + 1.0, right + 1.0)


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    return study(tmp_path_factory, seed=3)


@pytest.fixture
def aged(patient, tmp_path):
    """Writes the cine with other attributes."""

    def aged_(**attributes):
        dataset = pydicom.dcmread(patient[0])
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        dataset.save_as(tmp_path / "aged.dcm")
        return tmp_path / "aged.dcm"

    return aged_


@pytest.fixture
def cine(tmp_path):
    """Writes a cine of a bright lesion in a textured liver, which fills from the fifth second on; frames as told."""

    def cine_(*, moved=lambda second: (0, 0), seconds=range(0, 220, 2), spread=1.0):
        noise = ndimage.gaussian_filter(np.random.default_rng(8).normal(size=(3 * SIDE, 3 * SIDE)), 3)
        liver = 110 + 350 * spread * noise
        liver[SIDE + 34 : SIDE + 56, SIDE + 34 : SIDE + 56] += 60 * spread
        frames = []
        for second in seconds:
            down, right = moved(second)
            seen = liver[SIDE - down : 2 * SIDE - down, SIDE - right : 2 * SIDE - right]
            frames.append(np.pad(seen if second >= 5 else 0.1 * seen, 8))
        times = np.array(list(seconds), np.float64)
        path = tmp_path / "cine.dcm"
        write_us(path, np.stack(frames).clip(0, 255).astype(np.uint8), Origin("P", "1.2", "1.2.3"), times)
        return path

    return cine_


def flags(source, **about):
    return [flag.flag for flag in eligibility(source, **{"boxes": [BOX], **about}).flags]


def test_a_cine_with_its_still_box_and_class_is_eligible(patient):
    cine, still, box = patient
    found = eligibility(cine, boxes=[box], beside=[still])
    assert (found.flags, found.is_eligible) == ((), True)
    assert eligibility(still, boxes=[box], beside=[cine]).flags == ()


def test_what_is_not_there_is_told_with_the_item_of_the_paper(patient):
    cine, still, box = patient
    (missing,) = eligibility(still, boxes=[box]).flags
    assert missing == Flag("no_contrast", "no cine of the study fills with contrast", "inclusion b, exclusion g")
    assert flags(cine, boxes=[], is_named=False, beside=[still]) == ["no_diagnosis", "no_box"]


def test_the_study_is_gone_through_until_both_modes_are_seen(patient):
    cine, still, box = patient

    def beside(*paths):
        yield from paths
        pytest.fail("no more is wanted")

    assert flags(still, boxes=[box], beside=beside(still, cine)) == []


def test_what_an_image_shows_that_cannot_be_had_or_read_is_unknown_and_flags_nothing(patient, tmp_path):
    (tmp_path / "torn.dcm").write_bytes(b"no image")

    def beside():
        yield from ()
        raise HepaticError("the server does not give it")

    for others in (beside(), [tmp_path / "torn.dcm"]):
        assert flags(patient[1], boxes=[patient[2]], beside=others) == []


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"PatientAge": "017Y"}, ["under_18"]),
        ({"PatientAge": "008M"}, ["under_18"]),
        ({"PatientAge": "018Y"}, []),
        ({"PatientBirthDate": "20020302", "StudyDate": "20200301"}, ["under_18"]),
        ({"PatientBirthDate": "20020301", "StudyDate": "20200301"}, []),
        ({"PatientAge": "000Y", "PatientBirthDate": "19500101", "StudyDate": "20200301"}, []),
        ({"PatientAge": "000Y", "PatientBirthDate": "20200101", "StudyDate": "20200301"}, ["under_18"]),
        ({"PatientAge": "012Y", "PatientBirthDate": "18000101", "StudyDate": "20200301"}, ["under_18"]),
        ({"PatientAge": "000Y"}, []),
        ({"PatientAge": "000Y", "PatientBirthDate": "18000101", "StudyDate": "20200301"}, []),
        ({"PatientAge": "000M"}, ["under_18"]),
        ({"PatientAge": "000D"}, ["under_18"]),
        ({"PatientBirthDate": "nobody knows", "PatientAge": "old"}, []),
    ],
)
def test_the_age_is_that_of_the_file_and_an_unknown_one_excludes_nobody(patient, aged, attributes, told):
    assert flags(aged(**attributes), boxes=[patient[2]], beside=[patient[1]]) == told


def test_frames_that_cannot_be_sampled_are_counted(cine):
    assert flags(cine(), beside=[]) == ["no_b_mode"]
    (_, few) = eligibility(cine(seconds=range(30)), boxes=[BOX]).flags
    assert few.flag == "too_few_frames"
    assert few.why == "13 of 30 frames in the 24 s from the onset of echo"


@pytest.mark.parametrize(
    ("moved", "told"),
    [
        (lambda second: (round(8 * np.sin(second / 7)), 0), []),
        (lambda second: (0, second // 5), ["moves_too_much"]),
        (lambda second: (-min(second, 60), 0), ["moves_too_much", "leaves_picture"]),
    ],
)
def test_a_lesion_that_moves_by_more_than_itself_or_leaves_the_picture_is_told(cine, moved, told):
    assert flags(cine(moved=moved))[1:] == told


def test_a_picture_without_contrast_between_tissues_is_poor(cine):
    assert "poor_picture" in flags(cine(spread=0.05))


def test_a_reader_has_the_last_word(patient, aged):
    young = aged(PatientAge="016Y")
    for said in SAID[1:]:
        found = eligibility(patient[0], boxes=[patient[2]], beside=[patient[1]], said=said)
        assert ([flag.flag for flag in found.flags], found.is_eligible) == ([said], False)
        assert said in CRITERIA
    kept = eligibility(young, boxes=[patient[2]], beside=[patient[1]], said="eligible")
    assert ([flag.flag for flag in kept.flags], kept.is_eligible) == (["under_18"], True)
    told = kept.as_json()
    assert (told["eligible"], told["said"], told["flags"][0]["criterion"]) == (True, "eligible", "inclusion a")


def test_the_papers_presets_leave_flagged_images_out_and_say_why(patient, aged, caplog):
    cine, still, box = patient
    about = {"truth": "hcc", "boxes": (box,), "beside": (still,)}
    cases = [
        ClassCase(image_id="fit", patient_id="a", source=cine, **about),
        ClassCase(image_id="young", patient_id="b", source=aged(PatientAge="016Y"), **about),
        ClassCase(
            image_id="young, but taken", patient_id="b", source=aged(PatientAge="016Y"), said="eligible", **about
        ),
        ClassCase(image_id="shadowed", patient_id="c", source=cine, said="shadow", **about),
    ]
    taken = prepare_cases(CEUS, cases)
    assert set(taken.left_out) == {"shadowed"}, "a reader's word counts for every preset"
    with caplog.at_level(logging.WARNING):
        paper = prepare_cases(CEUS.preset("paper"), cases)
    assert set(paper.left_out) == {"young", "shadowed"}
    assert "under_18 (the patient was 16 years old)" in paper.left_out["young"]
    assert "flagged=take" in paper.left_out["young"]
    assert paper.left_out["young"] in caplog.text
    assert "flagged=take" not in taken.left_out["shadowed"] + paper.left_out["shadowed"], "it would not help"
    assert CEUS.preset("paper").eligible_only
    assert not CEUS.eligible_only


def test_what_is_no_ultrasound_is_refused(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no image")
    with pytest.raises(BadInputError):
        eligibility(tmp_path / "a.dcm")


def test_the_content_of_a_case_changes_with_a_readers_word(patient):
    about = {"image_id": "a", "patient_id": "a", "source": patient[0], "truth": "hcc"}
    assert read(patient[0]).modality == "US"
    assert ClassCase(**about).content() != ClassCase(**about, said="shadow").content()
