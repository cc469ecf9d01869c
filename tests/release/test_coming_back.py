"""What has left without its patients comes back with its labels, by the import of DICOM folders."""

import numpy as np
import pytest

from hepatic.importers.dicom import DATA_SET, cases
from hepatic.importers.keep import keep
from hepatic.io.grid import grid_of
from hepatic.io.header import header
from hepatic.io.image import Labelmap
from hepatic.io.labelmap import read_labelmap, write_labelmap
from hepatic.io.refusal import NotAnImageError
from hepatic.release.leaving import Leaving
from hepatic.release.quarantine import Quarantine
from hepatic.store.folder import FolderStore
from sample_data import us
from tests.importers.dicom_files import write_ct
from tests.runs import write_run


@pytest.fixture
def studies(tmp_path):
    """Make a store in a folder of the name."""
    made = []

    def make(name):
        (tmp_path / name).mkdir(exist_ok=True)
        made.append(FolderStore(tmp_path / name, header=header, not_images=(NotAnImageError,)))
        made[-1].rescan()
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_labels_of_scans_runs_and_stills_come_back(tmp_path, studies) -> None:
    write_ct(tmp_path / "site" / "ct")
    write_run(tmp_path / "site" / "run.dcm", frames=4)
    us.write_us(tmp_path / "site", 1, seed=5, size="tiny", kind="cyst")
    site, drawn = studies("site"), {}
    for image in site.images.all():
        grid = grid_of(site.source(image.id))
        array = np.zeros(grid.shape, np.uint8)
        array[-1, 2:9, 3:11], array[-1, 4:6, 5:8] = 1, 2
        label = tmp_path / "label.seg.nrrd"
        write_labelmap(label, Labelmap(array, grid, {"liver": 1, "tumour": 2}))
        site.labels.save(image.id, "final", label, author="Hanselmayer")
        if image.modality == "US":  # pictures with a rim of text are held
            Quarantine(site).approve(image.id, by="Dr. K")
        drawn[image.modality] = array
    (tmp_path / "out").mkdir()
    leaving = Leaving(site)
    for case in site.labelled_cases("final"):
        leaving.export(site.images.get(case.image_id), tmp_path / "out", label=case)

    other = studies("other")
    outcomes = [keep(other, DATA_SET, case) for case in cases(tmp_path / "out")]
    assert [(one.image, one.label, one.why) for one in outcomes] == [("added", "added", "")] * 3
    found = {other.images.get(case.image_id).modality: case for case in other.labelled_cases("final")}
    assert found.keys() == drawn.keys() == {"CT", "XA", "US"}
    for modality, array in drawn.items():
        labels = read_labelmap(found[modality].label, like=grid_of(found[modality].source))
        np.testing.assert_array_equal(labels.array, array)
        assert labels.names == {"liver": 1, "tumour": 2}
