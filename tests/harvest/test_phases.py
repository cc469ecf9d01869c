import pytest

from hepatic.harvest.phases import decide, order_warnings, phase_at, phase_named, phases_by_tags
from hepatic.harvest.series import SeriesTags, seconds_between, seconds_of_day
from hepatic.harvest.study import Phase
from sample_data.ct.flaws import DESCRIPTIONS

NC, ARTERIAL, VENOUS, DELAYED = Phase


@pytest.mark.parametrize("naming", ["clear", "foreign"])
def test_phases_are_known_by_their_names_in_english_and_german(naming):
    for phase, description in DESCRIPTIONS[naming].items():
        assert phase_named(description) == Phase(phase)


@pytest.mark.parametrize(
    ("description", "phase"),
    [
        ("Late arterial", ARTERIAL),
        ("Portal venous late", VENOUS),
        ("Abdomen w/o contrast 5.0", NC),
        ("ABDOMEN PV 3.0 I30f", VENOUS),
        ("tardif", DELAYED),
        ("arterial/portal venous", None),
        ("Abdomen 5.0", None),
        ("Party of four", None),
        ("", None),
    ],
)
def test_a_description_names_one_phase_or_none(description, phase):
    assert phase_named(description) == phase


def test_the_time_since_the_injection_tells_the_phase():
    assert [phase_at(s) for s in (-75, 26, 44, 58, 82, 156, 204)] == [
        NC,
        *[ARTERIAL] * 2,
        *[VENOUS] * 2,
        *[DELAYED] * 2,
    ]
    assert phase_at(4000) is None
    assert phase_at(-4000) is None


def test_time_is_believed_before_names_and_one_series_lends_its_injection_to_the_others():
    study = [
        SeriesTags("CT", description="Liver", acquired_s=36105.0),
        SeriesTags("CT", description="Portal venous", acquired_s=36215.0, injected_s=36180.0),
        SeriesTags("CT", description="Delayed", acquired_s=36250.0, injected_s=36180.0),
    ]
    assert phases_by_tags(study) == [(phase, "AcquisitionTime") for phase in (NC, ARTERIAL, VENOUS)]


def test_without_times_names_decide_and_without_names_nothing_does():
    study = [SeriesTags("CT", description="nativ"), SeriesTags("CT", description="Abdomen 5.0")]
    assert phases_by_tags(study) == [(NC, "SeriesDescription"), (None, "")]


def test_a_scan_after_midnight_follows_an_injection_before_it():
    assert seconds_between(24 * 3600 - 20, 15) == 35
    assert seconds_between(15, 24 * 3600 - 20) == -35


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("100300", 36180.0),
        ("100300.250000", 36180.25),
        ("1003", 36180.0),
        ("20240102100300.5+0100", 36180.5),
        ("", None),
        (None, None),
        ("25:00", None),
        ("253000", None),
    ],
)
def test_dicom_times_are_read_as_seconds_and_anything_else_as_nothing(value, seconds):
    assert seconds_of_day(value) == seconds


def test_picture_and_tags_that_agree_are_both_reported():
    found = decide("Series 'a'", {NC: 0.1, VENOUS: 0.9}, (VENOUS, "AcquisitionTime"))
    assert (found.phase, found.told_by, found.warning) == (VENOUS, "picture+tags", None)


def test_a_sure_picture_wins_over_tags_with_a_warning():
    found = decide("Series 'a'", {NC: 0.05, ARTERIAL: 0.95}, (VENOUS, "SeriesDescription"))
    assert (found.phase, found.told_by) == (ARTERIAL, "picture")
    assert found.warning == (
        "Series 'a': SeriesDescription says venous, the picture looks arterial (95% sure); it is taken as arterial."
    )


def test_an_unsure_picture_loses_to_tags_with_a_warning():
    found = decide("Series 'a'", {NC: 0.4, ARTERIAL: 0.6}, (VENOUS, "AcquisitionTime"))
    assert (found.phase, found.told_by) == (VENOUS, "tags")
    assert found.warning.endswith("it is taken as venous.")


def test_a_picture_alone_is_believed_and_says_so_where_it_is_unsure():
    assert decide("Series 'a'", {VENOUS: 0.95, NC: 0.05}, (None, "")).warning is None
    unsure = decide("Series 'a'", {VENOUS: 0.6, NC: 0.4}, (None, ""))
    assert unsure.phase is VENOUS
    assert "60% sure" in unsure.warning


def test_tags_alone_are_believed_and_nothing_at_all_is_no_phase():
    assert decide("Series 'a'", None, (VENOUS, "AcquisitionTime")).told_by == "tags"
    assert decide("Series 'a'", None, (None, "")).phase is None


def test_phases_scanned_in_the_wrong_order_are_told():
    assert order_warnings({NC: 10.0, ARTERIAL: 100.0, DELAYED: 300.0}) == []
    (told,) = order_warnings({ARTERIAL: 200.0, VENOUS: 100.0, DELAYED: None})
    assert told == "By their AcquisitionTime the venous phase was scanned before the arterial one."
