"""Which models of an app propose studies, whatever else it serves."""

from types import SimpleNamespace

import pytest

from hepatic.errors import NotFoundError
from server.proposers.detector import Detector
from server.proposers.proposers import Proposers
from tests.foreign_app.main import Boxes


def model(kind, **about):
    calls = []
    return SimpleNamespace(type=kind, info=lambda: calls.append(1) or about, calls=calls)


def broken():
    raise KeyError("config")


def host(propose=lambda request: {}, **models):
    return SimpleNamespace(models=models, app=SimpleNamespace(propose=propose))


US = {"modality": "US", "note": "lesion_type", "classes": ["cyst", "hcc"], "version": "v1"}


def test_ours_are_taken_by_default_and_others_by_name():
    app = host(
        first=model("detection"), ct_centernet3d=model("detection", version="v1"), other=model("classification", **US),
        us_fll=model("classification", **US), ct_phase=model("classification", modality="CT", version="v1"),
    )  # fmt: skip
    proposers = Proposers(app)
    assert (proposers.named().model, proposers.named("first").model) == ("ct_centernet3d", "first")
    assert (proposers.classifier().model, proposers.named("other").model) == ("us_fll", "other")
    assert proposers.named("us_fll").review_uid("1.2") == "1.2:lesion_type"
    with pytest.raises(NotFoundError, match="ct_centernet3d, first"):
        proposers.named("ct_phase")


def test_a_model_is_asked_once_what_it_is():
    app = host(us_fll=model("classification", **US))
    assert Proposers(app).classifier().version() == ("v1", "")
    assert len(app.models["us_fll"].calls) == 1


def test_an_app_without_them_says_so():
    for find in (Proposers(host()).detector, Proposers(host(dark=model("classification"))).classifier):
        with pytest.raises(NotFoundError, match="none"):
            find()


@pytest.mark.parametrize(
    ("finder", "propose", "reason"),
    [
        (Boxes(), print, "of another make"),
        (SimpleNamespace(info=broken), print, "does not describe itself: KeyError"),
        (model("detection", version="v1"), None, "the app does not propose studies"),
        (model("detection", version="v1", modality="US"), print, "for US"),
    ],
    ids=["stock", "broken", "no-proposals", "ultrasound"],
)
def test_a_detector_that_is_not_ours_tells_no_version(finder, propose, reason):
    version, said = Detector(host(propose, finder=finder), "finder").version()
    assert version is None
    assert reason in said


def test_a_classifier_that_does_not_describe_itself_is_passed_over():
    app = host(odd=SimpleNamespace(type="classification", info=broken), us_fll=model("classification", **US))
    assert list(Proposers(app).classifiers()) == ["us_fll"]
