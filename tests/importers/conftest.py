"""Tiny data sets in the shape of the published ones, and the studies they are imported into."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from hepatic.importers.keep import keep
from hepatic.importers.kinds import IMPORTERS
from hepatic.io.header import header
from hepatic.io.refusal import NotAnImageError
from hepatic.store.folder import FolderStore

RAS = np.diag([-0.8, -0.7, 2.5, 1.0])
RAS[:3, 3] = [10, 20, 30]


def write_nifti(path: Path, array, *, affine=RAS) -> Path:
    """Write an array of shape (k, j, i)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.asarray(array).transpose(2, 1, 0), affine), path)
    return path


def scan(value=0):
    """A CT of 8 slices of 12 x 16 pixels, air in front."""
    made = np.full((8, 12, 16), value, np.int16)
    made[:, 0] = -1000
    return made


def mask():
    """A liver with two lesions."""
    labels = np.zeros((8, 12, 16), np.uint8)
    labels[1:7, 2:10, 2:14] = 1
    labels[2:4, 3:6, 4:8] = 2
    labels[5:6, 7:9, 10:12] = 2
    return labels


@pytest.fixture
def store(tmp_path):
    made = FolderStore(tmp_path / "studies", header=header, not_images=(NotAnImageError,))
    yield made
    made.close()


@pytest.fixture
def bring(store):
    """Import a folder; returns the outcome by the name of the case."""

    def run(kind, path):
        importer = IMPORTERS[kind]
        return {case.name: keep(store, importer.data_set, case) for case in importer.cases(path)}

    return run
