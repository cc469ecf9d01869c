import dataclasses
import types

import pytest
import torch

from hepatic.errors import BadInputError, NotFoundError
from hepatic.tasks.discover import TaskFileError, discover_tasks
from hepatic.tasks.spec import Option
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
