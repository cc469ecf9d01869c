"""What is measured on: phantoms as files, and apps with weights, in folders that are thrown away."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from benchmarks._servers import ROOT
from benchmarks.our_ct.task import TASK as CT
from hepatic.engine.card import ModelCard
from hepatic.engine.weights import Registry
from hepatic.io.image import Cine
from hepatic.io.read import read
from hepatic.tasks.spec import SegmentationTask
from infer_tasks import dsa_ltdnet, dsa_unet
from sample_data.write import write_dsa

DSA: dict[str, SegmentationTask] = {"dsa_unet": dsa_unet.TASK, "dsa_ltdnet": dsa_ltdnet.TASK}
SHIPPED = ROOT / "apps/hepatic/models"


def write_runs(folder: Path, count: int) -> list[str]:
    """Write small phantom runs as NIfTI, which both servers read, into ``studies/``; return their ids.

    The stock server's readers turn an XA multi-frame file into something that is no run.
    """
    studies = folder / "studies"
    studies.mkdir(parents=True)
    for number, run in enumerate(write_dsa(folder / "dicom", count, seed=0)):
        cine = read(run.image)
        if not isinstance(cine, Cine):
            raise TypeError(f"{run.image.name} is no cine")
        image = sitk.GetImageFromArray(cine.frames)
        image.SetSpacing(cine.grid.spacing)
        sitk.WriteImage(image, str(studies / f"run{number}.nii.gz"))
    return [f"run{number}" for number in range(count)]


def write_ct(folder: Path, size: tuple[int, int, int]) -> str:
    """Write a volume like an abdominal CT (int16, HU, 0.8 x 0.8 x 2.5 mm) into ``studies/``; return its id."""
    (folder / "studies").mkdir(parents=True)
    rng = np.random.default_rng(0)
    k, j, i = (np.linspace(-1, 1, count).reshape(shape) for count, shape in zip(size[::-1], _SHAPES, strict=True))
    body = (i / 0.8) ** 2 + (j / 0.6) ** 2 < 1
    volume = np.where(np.broadcast_to(body, size[::-1]), 40.0, -1000.0).astype(np.float32)
    for _ in range(12):
        centre, radius = rng.uniform(-0.5, 0.5, 3), rng.uniform(0.05, 0.3, 3)
        inside = sum(((axis - c) / r) ** 2 for axis, c, r in zip((k, j, i), centre, radius, strict=True)) < 1
        volume[inside & body] += rng.uniform(-60, 90)
    volume += rng.normal(0, 15, volume.shape).astype(np.float32)
    image = sitk.GetImageFromArray(volume.astype(np.int16))
    image.SetSpacing([0.8, 0.8, 2.5])
    image.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])  # the order of axes that MONAI Label's samples have
    sitk.WriteImage(image, str(folder / "studies" / "ct0.nii.gz"))
    return "ct0"


_SHAPES = ((-1, 1, 1), (1, -1, 1), (1, 1, -1))


def our_ct_app(folder: Path, image: str) -> Path:
    """Copy the benchmark's CT app and give it random weights, with a bias that lets it mark a tenth of this image."""
    app = folder / "our_ct"
    shutil.copytree(ROOT / "benchmarks/our_ct", app, ignore=shutil.ignore_patterns("__pycache__"))
    torch.manual_seed(0)
    network = CT.network().eval()
    prepared = CT.prepare({"source": read(folder / "studies" / f"{image}.nii.gz")})["image"]
    middle = prepared[(slice(None), *(slice(max(0, n // 2 - 24), n // 2 + 24) for n in prepared.shape[1:]))]
    with torch.inference_mode():
        logits = CT.inferer(middle[None], network)[0]
        network.get_parameter("final_conv.bias")[1] -= torch.quantile((logits[1] - logits[0]).flatten()[::4], 0.9)
    registry = Registry(app / "models")
    card = ModelCard(task=CT.name, preset=CT.preset_name, seed=0, key_metric="dice", notes="random weights")
    registry.promote(CT.name, registry.publish(network.state_dict(), card).version)
    return app


def stock_style_app(folder: Path, registry: Registry, names: list[str]) -> Path:
    """Copy the stock-style app and give it the weights that the registry serves."""
    app = folder / "stock_style"
    shutil.copytree(ROOT / "benchmarks/stock_style", app)
    (app / "model").mkdir()
    for name in names:
        served = registry.served(name)
        if served is None:
            raise FileNotFoundError(f"no weights of {name}")
        torch.save(served.load(), app / "model" / f"{name}.pt")
    return app
