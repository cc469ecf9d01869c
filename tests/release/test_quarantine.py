"""What may leave a store: burnt-in text keeps a picture in until somebody looked."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from hepatic.adapters.datastore import HepaticDatastore
from hepatic.errors import BadInputError, ConflictError, NotFoundError
from hepatic.io.burnt_in import propose_mask
from hepatic.io.header import header
from hepatic.io.markups import encode_rois
from hepatic.io.read import read
from hepatic.io.refusal import NotAnImageError
from hepatic.release.quarantine import HeldError, Quarantine
from hepatic.store.folder import FolderStore
from sample_data import us
from sample_data.us.still import screen_of
from sample_data.us.us_image import Series, us_still
from server.cli import app
from tests.io.conftest import XA, dicom_dataset


@pytest.fixture(scope="module")
def picture():
    """A screen with a lesion, and where its banner is."""
    return screen_of(us.simulate(124, kind="cyst", size="tiny"), patient_id="US00124")


@pytest.fixture
def studies(tmp_path: Path, picture) -> Path:
    """Stills that say YES, nothing and NO to burnt-in text, and an angiography that says nothing."""
    folder = tmp_path / "studies"
    folder.mkdir()
    for number, said in enumerate(("YES", "", "NO")):
        ds = us_still(picture, Series(("test", number), "US00124", number + 1, said, "100200"))
        ds.BurnedInAnnotation = said
        if not said:
            del ds.BurnedInAnnotation
        ds.save_as(folder / f"{said.lower() or 'silent'}.dcm", enforce_file_format=True)
    run = dicom_dataset(np.zeros((3, 20, 30), np.uint8), sop_class=XA, SeriesInstanceUID="1.2.3.4")
    run.save_as(folder / "run.dcm", enforce_file_format=True)
    return folder


@pytest.fixture
def store(studies: Path):
    made = FolderStore(studies, header=header, not_images=(NotAnImageError,))
    made.rescan()
    yield made
    made.close()


def ids(store: FolderStore) -> dict[str, str]:
    return {Path(image.path).stem: image.id for image in store.images.all()}


def test_pictures_that_say_yes_or_nothing_are_held(store: FolderStore) -> None:
    quarantine, named = Quarantine(store), ids(store)
    held = {one.image_id: (one.said, one.state) for one in quarantine.held()}
    assert held == {named["yes"]: ("yes", "held"), named["silent"]: ("unknown", "held")}
    for name in ("no", "run"):
        assert quarantine.files(named[name]) == store.files(named[name])
    with pytest.raises(HeldError, match="burnt in"):
        quarantine.files(named["yes"])


def test_an_approved_picture_leaves_without_its_text(store: FolderStore, picture) -> None:
    quarantine, image_id = Quarantine(store), ids(store)["yes"]
    proposal = quarantine.propose(image_id)
    assert (proposal.picture == picture.pixels[0]).all()
    made = quarantine.approve(image_id, by="Dr. K", boxes=[(90, 60, 110, 70)])
    assert (made.by, made.as_is, made.boxes) == ("Dr. K", False, ((90, 60, 110, 70),))
    (file,) = quarantine.files(image_id)
    left, top, right, bottom = picture.banner
    shown = read(file).frames[0]
    assert (shown[top:bottom, left:right] == 0).all()
    assert (shown[60:70, 90:110] == 0).all()
    assert shown[~propose_mask(picture.pixels)].mean() > 40
    assert store.files(image_id) != [file]
    assert (read(store.files(image_id)[0]).frames == picture.pixels).all()
    assert quarantine.held()[0].approval == made or quarantine.held()[1].approval == made


def test_an_approval_survives_a_restart_and_ends_with_the_file(store: FolderStore, studies: Path, picture) -> None:
    image_id = ids(store)["yes"]
    Quarantine(store).approve(image_id, by="Dr. K")
    again = FolderStore(studies, header=header, not_images=(NotAnImageError,))
    assert Quarantine(again).files(image_id)
    ds = pydicom.dcmread(studies / "yes.dcm")
    ds.PixelData = bytes(255 - value for value in ds.PixelData)
    ds.save_as(studies / "yes.dcm")
    again.rescan()
    with pytest.raises(HeldError):
        Quarantine(again).files(image_id)
    again.close()


def test_an_approval_can_be_withdrawn_and_given_again(store: FolderStore) -> None:
    quarantine, image_id = Quarantine(store), ids(store)["silent"]
    quarantine.approve(image_id, by="Dr. K", as_is=True)
    assert quarantine.files(image_id) == store.files(image_id)
    quarantine.withdraw(image_id, by="Dr. L")
    with pytest.raises(HeldError):
        quarantine.files(image_id)
    with pytest.raises(NotFoundError):
        quarantine.withdraw(image_id, by="Dr. L")
    quarantine.approve(image_id, by="Dr. L")
    assert quarantine.files(image_id) != store.files(image_id)
    assert len(list((store.data / "release").glob("*/*/approval.json"))) == 3


def test_what_cannot_be_approved_is_explained(store: FolderStore) -> None:
    quarantine, named = Quarantine(store), ids(store)
    with pytest.raises(ConflictError, match="may leave"):
        quarantine.approve(named["no"], by="Dr. K")
    with pytest.raises(BadInputError, match="who looked"):
        quarantine.approve(named["yes"], by=" ")
    with pytest.raises(BadInputError, match="the box"):
        quarantine.approve(named["yes"], by="Dr. K", boxes=[(0, 0, 9999, 5)])
    with pytest.raises(HeldError):
        quarantine.files(named["yes"])
    assert not list((store.data / "release").glob("*/*/approval.json"))


def _without(copy: Path, record: Path) -> None:
    copy.unlink()


def _changed(copy: Path, record: Path) -> None:
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")


def _one_more(copy: Path, record: Path) -> None:
    copy.with_name("more.dcm").write_bytes(copy.read_bytes())


def _broken_record(copy: Path, record: Path) -> None:
    record.write_text("{")


def _other_record(copy: Path, record: Path) -> None:
    record.write_text(json.dumps({**json.loads(record.read_text()), "boxes": 7}))


def _record_gone(copy: Path, record: Path) -> None:
    record.unlink()


@pytest.mark.parametrize("damage", [_without, _changed, _one_more, _broken_record, _other_record, _record_gone])
def test_an_approval_whose_copies_or_record_were_damaged_is_held_and_says_so(store: FolderStore, damage) -> None:
    quarantine, named = Quarantine(store), ids(store)
    for name in ("yes", "silent"):
        quarantine.approve(named[name], by="Dr. K")
    (copy,) = quarantine.files(named["yes"])
    damage(copy, copy.with_name("approval.json"))
    with pytest.raises(HeldError, match=r"damaged.* approve it again"):
        quarantine.files(named["yes"])
    assert {one.image_id: one.state for one in quarantine.held()} == {named["yes"]: "held", named["silent"]: "approved"}
    quarantine.approve(named["yes"], by="Dr. K")
    assert len(quarantine.files(named["yes"])) == 1


@pytest.mark.parametrize("by", ["", "Dr.\x00K", "Dr.\nK", "Dr. \u202eK"])
def test_who_approves_or_withdraws_has_a_name_of_one_line(store: FolderStore, by: str) -> None:
    quarantine, image_id = Quarantine(store), ids(store)["yes"]
    with pytest.raises(BadInputError, match="who looked"):
        quarantine.approve(image_id, by=by)
    quarantine.approve(image_id, by="Dr. K")
    with pytest.raises(BadInputError, match="who looked"):
        quarantine.withdraw(image_id, by=by)
    assert quarantine.files(image_id)


def test_the_dataset_archive_takes_only_what_may_leave(studies: Path, store: FolderStore, tmp_path: Path) -> None:
    datastore = HepaticDatastore(studies, auto_rescan_seconds=None)
    named = ids(store)
    label = tmp_path / "label.json"
    label.write_bytes(encode_rois([]))
    for name in ("yes", "silent", "no"):
        datastore.save_label(named[name], str(label), "final", {})
    Quarantine(store).approve(named["yes"], by="Dr. K")
    with zipfile.ZipFile(datastore.get_dataset_archive(None)) as archive:
        names = archive.namelist()
        assert {f"image/{named[name]}.dcm" for name in ("yes", "no")} <= set(names)
        assert not any(named["silent"] in name for name in names)
        assert "quarantine" in json.loads(archive.read("left_out.json"))[named["silent"]]
        left = pydicom.dcmread(archive.open(f"image/{named['yes']}.dcm"))
    assert left.BurnedInAnnotation == "NO"


def test_an_archive_of_held_pictures_alone_says_why(studies: Path, store: FolderStore, tmp_path: Path) -> None:
    datastore = HepaticDatastore(studies, auto_rescan_seconds=None)
    label = tmp_path / "label.json"
    label.write_bytes(encode_rois([]))
    datastore.save_label(ids(store)["yes"], str(label), "final", {})
    with pytest.raises(ConflictError, match="hepatic quarantine"):
        datastore.get_dataset_archive(None)


def test_the_command_lists_shows_and_approves(studies: Path, store: FolderStore, tmp_path: Path) -> None:
    image_id = ids(store)["yes"]

    def hepatic(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["quarantine", *arguments, "--studies", str(studies)], env={"COLUMNS": "200"})
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.stdout

    assert image_id in hepatic("list")
    assert "would be black" in hepatic("show", image_id, "--out", str(tmp_path / "proposal.png"))
    assert (tmp_path / "proposal.png").stat().st_size > 1000
    assert "may leave" in hepatic("approve", image_id, "--by", "Dr. K", "--box", "0,0,20,20")
    assert image_id not in hepatic("list")
    assert "Dr. K" in hepatic("list", "--all")
    assert "held again" in hepatic("withdraw", image_id, "--by", "Dr. K")
    assert image_id in hepatic("list")
    with pytest.raises(BadInputError, match="LEFT,TOP"):
        hepatic("approve", image_id, "--by", "Dr. K", "--box", "1,2,3")


@pytest.mark.parametrize(
    "environment", [{"COLUMNS": "80", "FORCE_COLOR": "1"}, {"COLUMNS": None}], ids=["narrow", "piped"]
)
def test_the_list_can_be_read_in_a_narrow_terminal_and_in_a_pipe(
    studies: Path, store: FolderStore, environment
) -> None:
    named = ids(store)
    Quarantine(store).approve(named["silent"], by="Dr. K", as_is=True)
    shown = CliRunner().invoke(app, ["quarantine", "list", "--all", "--studies", str(studies)], env=environment)
    rows = [line.split("│")[1:-1] for line in shown.stdout.splitlines() if line.startswith("│")]
    image, _, said, state = (" ".join("".join(cell).split()) for cell in zip(*rows, strict=True))
    assert named["yes"] in image.replace(" ", "")
    assert named["silent"] in image.replace(" ", "")
    assert {"yes", "unknown"} == set(said.split())
    assert {"held", "approved", "Dr.", "nothing"} < set(state.split())
