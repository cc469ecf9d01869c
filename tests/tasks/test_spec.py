import dataclasses
import pickle
import types

import pytest
import torch

from hepatic.errors import BadInputError, NotFoundError
from hepatic.tasks.discover import TaskFileError, discover_tasks
from hepatic.tasks.spec import ClassificationTask, DetectionTask, Option
from infer_tasks.dsa_unet import TASK
from train_tasks.dsa_ltdnet import RECIPE


@pytest.mark.parametrize(("sent", "read"), [(3, 3), ("3", 3), (3.0, 3), ("-1", -1)])
def test_numbers_are_read_however_a_client_sends_them(sent, read):
    assert Option(name="n", default=0, description="").parse(sent) == read


@pytest.mark.parametrize("sent", ["", "a", 2.5, "2.5", True, None, [], float("nan"), float("inf"), "1e400"])
def test_what_is_no_whole_number_is_refused(sent):
    with pytest.raises(BadInputError, match="expected a int"):
        Option(name="n", default=0, description="").parse(sent)


def test_range_and_choices_are_said_in_the_refusal():
    with pytest.raises(BadInputError, match=r"a float >= 0 <= 1, but found 2"):
        Option(name="t", default=0.5, minimum=0, maximum=1, description="").parse(2)
    with pytest.raises(BadInputError, match="one of a, b"):
        Option(name="c", default="a", choices=("a", "b"), description="").parse("c")


@pytest.mark.parametrize(("sent", "read"), [(True, True), ("false", False), ("True", True)])
def test_switches_are_read_as_json_and_as_forms_send_them(sent, read):
    assert Option(name="s", default=False, description="").parse(sent) is read


def test_a_float_that_is_not_a_number_is_in_no_range():
    with pytest.raises(BadInputError):
        Option(name="t", default=0.5, minimum=0, maximum=1, description="").parse("nan")


@pytest.mark.parametrize(
    "wrong",
    [{"name": "has space"}, {"labels": ()}, {"labels": ("a", "a")}, {"labels": ("background", "a")}, {"pre": ()}],
)
def test_a_task_that_cannot_work_cannot_be_constructed(wrong):
    with pytest.raises(BadInputError):
        dataclasses.replace(TASK, **wrong)


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(NotFoundError, match="paper, small"):
        TASK.preset("huge")


def test_the_paper_preset_differs_in_network_and_size_alone():
    paper = TASK.preset("paper")
    same = {f.name for f in dataclasses.fields(TASK) if getattr(TASK, f.name) == getattr(paper, f.name)}
    assert {f.name for f in dataclasses.fields(TASK)} - same == {"network", "pre", "preset_name", "presets"}
    assert sum(p.numel() for p in paper.network().parameters()) > 30e6


def test_a_preset_leads_back_to_the_one_it_came_from():
    assert TASK.preset("paper").preset("small").network is TASK.network
    again = RECIPE.preset("paper").preset("small")
    assert (again.stages, again.fine_tune_epochs) == (RECIPE.stages, RECIPE.fine_tune_epochs)
    assert again.task.pre_fingerprint == RECIPE.task.pre_fingerprint


def test_changing_a_transform_changes_the_fingerprint_of_the_pre_processing():
    assert TASK.preset("paper").pre_fingerprint != TASK.pre_fingerprint


def package(tmp_path, monkeypatch, **files):
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    made = types.ModuleType("made_tasks")
    made.__path__ = [str(tmp_path)]
    monkeypatch.setitem(__import__("sys").modules, "made_tasks", made)
    return made


def test_a_file_without_a_task_is_named(tmp_path, monkeypatch):
    with pytest.raises(TaskFileError, match=r"made_tasks/empty.py: expected TASK = SegmentationTask"):
        discover_tasks(package(tmp_path, monkeypatch, empty="TASK = 3\n"))


def test_a_task_not_named_like_its_file_is_refused(tmp_path, monkeypatch):
    with pytest.raises(TaskFileError, match="named 'other'"):
        discover_tasks(package(tmp_path, monkeypatch, other="from infer_tasks.dsa_unet import TASK\n"))


def test_importing_a_task_builds_no_network(monkeypatch):
    def build(*_args, **_kwargs):
        raise AssertionError("a network was built on import")

    monkeypatch.setattr(torch.nn.Module, "__init__", build)
    import importlib

    import infer_tasks.dsa_ltdnet

    assert importlib.reload(infer_tasks.dsa_ltdnet).TASK.name == "dsa_ltdnet"


def peaks(output):
    return output[0], output[1]


def likely(output):
    return output.softmax(dim=1)


DETECTOR = DetectionTask(
    name="toy",
    description="Toy",
    modality="CT",
    dimension=3,
    labels=("lesion",),
    network=torch.nn.Identity,
    pre=(dict,),
    decode=peaks,
)
CLASSIFIER = ClassificationTask(
    name="toy",
    description="Toy",
    modality="CT",
    dimension=3,
    labels=("a", "b"),
    network=torch.nn.Identity,
    pre=(dict,),
    probabilities=likely,
    note="phase",
)


@pytest.mark.parametrize(
    ("task", "kind"), [(TASK, "segmentation"), (DETECTOR, "detection"), (CLASSIFIER, "classification")]
)
def test_each_kind_of_task_survives_pickling_and_says_its_kind(task, kind):
    again = pickle.loads(pickle.dumps(task))  # noqa: S301 - our own bytes
    assert (again.type, again.pre_fingerprint) == (kind, task.pre_fingerprint)


def test_a_detector_lets_a_client_choose_how_many_candidates_it_sees():
    read = DETECTOR.parse_options({"min_score": "0.3", "most": 3})
    assert read == {"min_score": 0.3, "max_iou": 0.2, "most": 3}


@pytest.mark.parametrize(
    ("task", "wrong"),
    [
        (DETECTOR, {"options": ()}),
        (DETECTOR, {"labels": ("cyst", "tumour")}),
        (CLASSIFIER, {"labels": ("alone",)}),
        (TASK, {"post": ()}),
    ],
)
def test_what_a_kind_of_task_needs_is_asked_for(task, wrong):
    with pytest.raises(BadInputError, match=next(iter(wrong))):
        dataclasses.replace(task, **wrong)


def test_a_detector_cannot_be_trained_without_making_targets_of_its_boxes():
    with pytest.raises(BadInputError, match="encode"):
        dataclasses.replace(RECIPE, task=DETECTOR)


@pytest.mark.parametrize(("name", "task"), [("boxes", DETECTOR), ("classes", CLASSIFIER), ("masks", TASK)])
def test_tasks_of_every_kind_are_found(name, task, tmp_path, monkeypatch):
    named = dataclasses.replace(task, name=name)
    monkeypatch.setitem(__import__("sys").modules, "made_elsewhere", types.SimpleNamespace(TASK=named))
    made = package(tmp_path, monkeypatch, **{name: f"from made_elsewhere import TASK  # {name}\n"})
    monkeypatch.delitem(__import__("sys").modules, f"made_tasks.{name}", raising=False)
    assert discover_tasks(made) == {name: named}
