"""Outlines on pictures: labelme and AUL, in folders of their shape."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.adapters.training_cases import cases_for
from hepatic.engine.label_boxes import read_lesions
from hepatic.errors import BadInputError
from hepatic.io.grid import grid_of
from hepatic.io.labelmap import read_labelmap
from hepatic.io.read import read
from infer_tasks.us_fll import TASK as US_FLL

SQUARE = [[10, 6], [30, 6], [30, 20], [10, 20]]
ALL = [[2, 2], [60, 2], [60, 40], [2, 40]]


def write_picture(path: Path, *, colour: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))
    Image.fromarray(np.stack([grey, grey // 2, grey], -1) if colour else grey).save(path, quality=95)
    return path


def write_json(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def labelme(image: str, *shapes, data=None, **more):
    drawn = [{"label": label, "shape_type": kind, "points": points} for label, kind, points in shapes]
    return {"version": "5.4.1", "imagePath": image, "imageData": data, "shapes": drawn, "flags": {}, **more}


def only(store):
    """The one image, its labelmap and its final label's info."""
    (image,) = store.images.all()
    label = store.labels.latest(image.id, "final")
    return image, read_labelmap(store.labels.path(label), like=grid_of(store.source(image.id))), label.info


class TestLabelme:
    def test_shapes_become_a_label_on_the_picture(self, bring, store, tmp_path: Path, dicom_errors) -> None:
        write_picture(tmp_path / "set/P7/scan.png")
        tumour, liver = ("Tumor", "polygon", SQUARE), ("liver", "rectangle", [ALL[2], ALL[0]])
        write_json(
            tmp_path / "set/P7/scan.json", labelme("scan.png", tumour, liver, flags={"hcc": True, "blurred": False})
        )
        (outcome,) = bring("labelme", tmp_path / "set").values()
        assert (outcome.image, outcome.label, outcome.boxes) == ("added", "added", 1)
        image, labels, info = only(store)
        assert (image.patient_id, image.modality, image.info["facts"]["classes"]) == (
            "P7",
            "US",
            ["hcc", "liver", "tumor"],
        )
        assert labels.array.shape == (1, 48, 64)
        tumour_value, liver_value = labels.names["tumor"], labels.names["liver"]
        assert labels.array[0, 12, 20] == tumour_value  # on top, though drawn first
        assert (labels.array == tumour_value).sum() == pytest.approx(21 * 15, rel=0.1)
        assert labels.array[0, 30, 40] == liver_value
        assert labels.array[0, 45, 62] == 0
        assert info["boxes_known"] == "complete"
        assert (read(store.source(image.id)).frames[0] == np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))).all()
        assert dicom_errors(store.files(image.id)[0]) == []

    def test_circles_and_pictures_inside(self, bring, store, tmp_path: Path) -> None:
        data = base64.b64encode(write_picture(tmp_path / "a.jpg", colour=True).read_bytes()).decode()
        write_json(tmp_path / "set/a.json", labelme("..\\a.jpg", ("lesion", "circle", [[30, 20], [30, 28]]), data=data))
        (outcome,) = bring("labelme", tmp_path / "set").values()
        assert outcome.boxes == 1
        image, labels, _ = only(store)
        assert (labels.array > 0).sum() == pytest.approx(np.pi * 64, rel=0.08)
        assert read(store.source(image.id)).frames.shape == (1, 48, 64, 3)

    def test_a_picture_elsewhere_is_not_taken(self, bring, tmp_path: Path) -> None:
        write_picture(tmp_path / "secret.png")
        write_json(tmp_path / "set/a.json", labelme("../secret.png", ("lesion", "polygon", SQUARE)))
        (outcome,) = bring("labelme", tmp_path / "set").values()
        assert outcome.image == "refused"
        assert "beside it" in outcome.why

    @pytest.mark.parametrize(
        "shape", [("lesion", "linestrip", SQUARE), ("lesion", "polygon", SQUARE[:2]), ("lesion", "polygon", "far")]
    )
    def test_a_label_that_is_none_leaves_the_picture_in(self, bring, tmp_path: Path, shape) -> None:
        write_picture(tmp_path / "set/a.png")
        write_json(tmp_path / "set/a.json", labelme("a.png", shape))
        (outcome,) = bring("labelme", tmp_path / "set").values()
        assert (outcome.image, outcome.label) == ("added", "refused")

    @pytest.mark.parametrize("shape", [None, 7, {"points": [[10**400, 0], [1, 1], [2, 0]]}])
    def test_a_shape_that_is_none_is_said_and_the_import_goes_on(self, bring, tmp_path: Path, shape) -> None:
        for name in ("a", "b"):
            write_picture(tmp_path / f"set/{name}.png")
        write_json(tmp_path / "set/a.json", {**labelme("a.png"), "shapes": [shape]})
        write_json(tmp_path / "set/b.json", labelme("b.png", ("lesion", "polygon", SQUARE)))
        outcomes = list(bring("labelme", tmp_path / "set").values())
        assert [(one.image, one.label) for one in outcomes] == [("added", "refused"), ("added", "added")]

    def test_a_label_that_is_no_text_is_kept_as_one(self, bring, store, tmp_path: Path) -> None:
        write_picture(tmp_path / "set/a.png")
        write_json(tmp_path / "set/a.json", labelme("a.png", ("cyst\ud800", "polygon", SQUARE)))
        bring("labelme", tmp_path / "set")
        assert "cyst?" in only(store)[1].names

    def test_a_photograph_is_turned_as_labelme_turns_it(self, bring, store, tmp_path: Path) -> None:
        path = write_picture(tmp_path / "set/a.png")
        with Image.open(path) as picture:
            exif = picture.getexif()
            exif[ExifTags.Base.Orientation] = 6  # lies on its side
            picture.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
        write_json(tmp_path / "set/a.json", labelme("a.png", ("lesion", "polygon", SQUARE)))
        (outcome,) = bring("labelme", tmp_path / "set").values()
        assert (outcome.label, outcome.boxes) == ("added", 1)
        image, labels, _ = only(store)
        assert (read(store.source(image.id)).frames[0] == np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))).all()
        assert labels.array[0, 12, 20]

    def test_other_json_files_are_passed_over(self, bring, tmp_path: Path) -> None:
        write_json(tmp_path / "set/package.json", {"name": "x"})
        (tmp_path / "set/broken.json").write_text("{")
        (tmp_path / "set/deep.json").write_text("[" * 100_000)
        with pytest.raises(BadInputError, match="labelme"):
            bring("labelme", tmp_path / "set")


class TestAul:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = tmp_path / "7272660"
        for kind in ("Normal", "Benign", "Malignant"):
            folder = root / kind / kind  # as the archives unpack
            write_picture(folder / "image/1.jpg")
            write_json(folder / "segmentation/outline/1.json", ALL)
            write_json(folder / "segmentation/liver/1.json", ALL)
            if kind != "Normal":
                write_json(folder / "segmentation/mass/1.json", SQUARE)
        write_picture(root / "Malignant/Malignant/image/229.jpg")
        write_json(root / "Malignant/Malignant/segmentation/outline/229.json", ALL)
        write_json(root / "Malignant/Malignant/segmentation/mass/229.json", SQUARE)
        return root

    def test_classes_patients_and_outlines_are_brought(self, bring, store, root: Path) -> None:
        outcomes = bring("aul", root)
        assert [(one.image, one.label) for one in outcomes.values()] == [("added", "added")] * 4
        assert sorted(one.boxes for one in outcomes.values()) == [0, 1, 1, 1]
        images = {image.patient_id: image for image in store.images.all()}
        assert set(images) == {"AUL-normal-1", "AUL-benign-1", "AUL-malignant-1", "AUL-malignant-229"}
        assert [images[name].info["facts"]["class"] for name in sorted(images)] == [
            "benign",
            "malignant",
            "malignant",
            "normal",
        ]
        assert len({image.study_uid for image in images.values()}) == 4

    def test_a_normal_liver_is_known_to_have_no_lesion(self, bring, store, root: Path) -> None:
        bring("aul", root)
        (image,) = [one for one in store.images.all() if "normal" in one.patient_id]
        label = store.labels.latest(image.id, "final")
        names = {entry["name"]: entry["idx"] for entry in label.info["label_info"]}
        lesions = read_lesions(store.labels.path(label), grid_of(store.source(image.id)), names)
        assert lesions.boxes.shape == (0, 6)
        assert lesions.liver is not None
        assert lesions.liver.sum() > 2000

    def test_benign_and_malignant_teach_that_and_no_type(self, bring, store, root: Path) -> None:
        bring("aul", root)
        datastore = HepaticDatastore(store.root, auto_rescan_seconds=None)
        cases = {case.patient_id: case for case in cases_for(US_FLL, datastore, coarse=True)}
        assert [cases[name].truth for name in sorted(cases)] == ["benign", "malignant", "malignant"]
        sample = cases["AUL-malignant-1"].sample(US_FLL)
        assert len(sample["boxes"]) == 1
        assert US_FLL.target(sample["truth"]).tolist() == [[1, 1, 0, 0, 0, 0, 0], [0] * 7]
        (malignant,) = [one.id for one in store.images.all() if one.patient_id == "AUL-malignant-1"]
        datastore.update_image_info(malignant, {"lesion_type": "hcc"})
        now = {case.patient_id: case.truth for case in cases_for(US_FLL, datastore, coarse=True)}
        assert now["AUL-malignant-1"] == "hcc", "a reader knows more"
        assert {case.patient_id for case in cases_for(US_FLL, datastore)} == {"AUL-malignant-1"}
        datastore.update_image_info(malignant, {"lesion_type": ""})
        left = {case.patient_id for case in cases_for(US_FLL, datastore, coarse=True)}
        assert left == cases.keys() - {"AUL-malignant-1"}, "nor does a class come back that a reader took back"
        datastore.store.close()

    def test_known_errata_are_mended(self, bring, store, root: Path) -> None:
        """In two images the outline of the liver was saved as that of the scan."""
        bring("aul", root)
        (image,) = [one for one in store.images.all() if one.patient_id == "AUL-malignant-229"]
        labels = read_labelmap(store.labels.path(store.labels.latest(image.id, "final")))
        assert (labels.array == labels.names["liver"]).sum() > 1500

    def test_a_mass_that_nobody_outlined_leaves_no_label(self, bring, root: Path) -> None:
        (root / "Benign/Benign/segmentation/mass/1.json").unlink()
        assert sorted(one.label for one in bring("aul", root).values()) == ["added", "added", "added", "none"]

    def test_another_folder_is_refused(self, bring, tmp_path: Path) -> None:
        with pytest.raises(BadInputError, match="Malignant"):
            bring("aul", tmp_path)
