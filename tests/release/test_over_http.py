"""The dataset as a client downloads it: held pictures stay in, approved ones leave masked."""

import io
import json
import zipfile
from pathlib import Path

import httpx
import pydicom

from hepatic.io.header import header
from hepatic.io.refusal import NotAnImageError
from hepatic.release.quarantine import Quarantine
from hepatic.store.folder import FolderStore
from sample_data import us
from server.app import create_app
from server.running import running

TINY_APP = Path(__file__).parent.parent / "tiny_app"


def test_a_held_picture_is_refused_until_it_is_approved(tmp_path: Path) -> None:
    us.write_us(tmp_path, 2, seed=5, size="tiny", kind="cyst")
    studies = tmp_path / "studies"
    store = FolderStore(studies, header=header, not_images=(NotAnImageError,))
    store.rescan()
    label = tmp_path / "label.json"
    label.write_text("{}")
    first, second = (image.id for image in store.images.all())
    for image_id in (first, second):
        store.labels.save(image_id, "final", label)
    app = create_app(TINY_APP, studies, score_in_background=False, auth=False)
    with running(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        refused = client.get("/datastore/dataset")
        assert refused.status_code == 409
        assert "hepatic quarantine approve" in refused.json()["detail"]
        Quarantine(store).approve(first, by="Dr. K")
        answer = client.get("/datastore/dataset")
        assert answer.status_code == 200
        shown = client.get("/datastore/image", params={"image": second})
        assert shown.status_code == 200  # reading is no export
    store.close()
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        pictures = [name for name in archive.namelist() if name.startswith("image/")]
        assert pictures == [f"image/{first}.dcm"]
        assert pydicom.dcmread(archive.open(pictures[0])).BurnedInAnnotation == "NO"
        assert list(json.loads(archive.read("left_out.json"))) == [second]
