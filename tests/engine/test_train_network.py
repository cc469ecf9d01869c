import dataclasses
from functools import partial

import pytest
import torch

from hepatic.engine.train_network import train_network
from hepatic.networks.ltdnet import LTDNet
from hepatic.networks.unet import TINY
from train_tasks.dsa_ltdnet import RECIPE

CPU = torch.device("cpu")


def recipe(epochs=3):
    task = dataclasses.replace(RECIPE.task, network=partial(LTDNet, fusion=TINY, branch=TINY))
    warm_up, joint = RECIPE.stages
    stages = (dataclasses.replace(warm_up, epochs=1), dataclasses.replace(joint, epochs=epochs))
    return dataclasses.replace(RECIPE, task=task, stages=stages, bf16=False, batch_size=2)


def samples(count=5, seed=0):
    """A bright square is the tumour, a broad one around it the liver."""
    draw = torch.Generator().manual_seed(seed)
    out = []
    for _ in range(count):
        image = 0.1 * torch.randn(10, 32, 32, generator=draw)
        target = torch.zeros(2, 32, 32)
        row, column = torch.randint(8, 16, (2,), generator=draw).tolist()
        target[0, row : row + 8, column : column + 8] = 1
        target[1, row - 4 : row + 12, column - 4 : column + 12] = 1
        image[-1] -= 2 * target[0] + target[1]
        out.append({"image": image, "target": target, "known": torch.ones(2)})
    return out


def train(run=None, stop_after=None, epochs=3):
    torch.manual_seed(1)
    r = recipe(epochs)

    def progress(now):
        if stop_after is not None and now.epoch == stop_after:
            raise KeyboardInterrupt

    return train_network(
        r, r.task.network(), samples(), samples(2, seed=9), device=CPU, seed=3, run=run, progress=progress
    )


def test_the_loss_falls_and_the_best_epoch_is_kept():
    trained = train(epochs=8)
    joint = [row["loss"] for row in trained.history if row["stage"] == "joint"]
    assert joint[-1] < 0.8 * joint[0]
    judged = {row["epoch"]: row["dice"] for row in trained.history if row["dice"] is not None}
    assert judged[trained.best_epoch] == max(judged.values())


def test_one_seed_gives_one_model():
    a, b = train().network.state_dict(), train().network.state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_every_validation_sample_weighs_the_same_in_a_short_last_batch_too():
    r = dataclasses.replace(recipe(1), batch_size=8)
    sure = samples(9, seed=9)
    for sample in sure[:8]:
        sample["target"][0] = 0
    torch.manual_seed(1)
    network = r.task.network()
    torch.nn.init.constant_(network.ffs.final_conv.bias, -50.0)
    trained = train_network(r, network, samples(), sure, device=CPU, seed=3)
    assert trained.history[-1]["dice"] == pytest.approx(8 / 9)


@pytest.mark.parametrize("stop_after", [2, 3])
def test_a_run_cut_off_anywhere_ends_as_if_it_had_not_been(tmp_path, stop_after):
    whole = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", stop_after=stop_after)
    resumed = train(tmp_path / "cut")
    assert [row["loss"] for row in resumed.history] == [row["loss"] for row in whole.history]
    states = whole.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_run_leaves_its_curves_for_tensorboard(tmp_path):
    train(tmp_path)
    assert list((tmp_path / "tensorboard").rglob("events.out.tfevents.*"))
    assert (tmp_path / "history.json").is_file()
