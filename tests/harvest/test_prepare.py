import os
import shutil
import time
import weakref
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from hepatic.errors import BadInputError, NotFoundError
from hepatic.harvest.prepare import prepare_study
from hepatic.harvest.prepared_cache import load_prepared, make_room
from hepatic.harvest.series import Series
from hepatic.harvest.study import Phase
from hepatic.registration import register as registering
from hepatic.store.disk import TEMPORARY
from sample_data.ct.flaws import Flaws
from sample_data.ct.study import simulate
from sample_data.ct.write import write_study

NC, ARTERIAL, VENOUS, DELAYED = Phase


@pytest.fixture(scope="module")
def phantom():
    return simulate(503)


@pytest.fixture(scope="module")
def written(phantom, tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("phantom"), phantom)


@pytest.fixture
def folders(written, tmp_path):
    """Copies of the four series that a test may spoil."""
    return {Phase(p): shutil.copytree(folder, tmp_path / "series" / p) for p, folder in written.series.items()}


def series(folders, *phases, study="1.2.3"):
    chosen = phases or tuple(folders)
    return [
        Series(f"image-{p}", folders[p], pydicom.dcmread(next(folders[p].iterdir())).SeriesDescription, study, "P1")
        for p in chosen
    ]


def in_place(folder, change):
    for file in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(file)
        change(dataset)
        dataset.save_as(file)


@pytest.fixture
def prepare(phantom, tmp_path):
    def call(given, **options):
        options = {"methods": (), "find_phase": None, "find_liver": lambda _: phantom["venous"].liver} | options
        return prepare_study(given, cache=tmp_path / "cache", **options)

    return call


def test_four_phases_come_to_lie_on_the_venous_grid_closer_to_it_than_they_were_scanned(prepare, folders, phantom):
    study = prepare(series(folders), methods=("convexadam",))
    assert list(study.phases) == list(Phase)
    assert study.reference is VENOUS
    assert study.warnings == ()
    assert study.grid.matches(phantom.grid)
    assert np.array_equal(study.phases[VENOUS].hu, phantom["venous"].hu)
    assert study.phases[VENOUS].registered == "reference"
    liver = phantom["venous"].liver
    edge = np.pad(np.diff(liver.astype(np.int8), axis=0) != 0, ((1, 0), (0, 0), (0, 0)))
    for phase in (NC, ARTERIAL, DELAYED):
        assert study.phases[phase].registered == "convexadam"
        still = np.corrcoef(phantom[phase].hu[edge], phantom["venous"].hu[edge])[0, 1]
        carried = np.corrcoef(study.phases[phase].hu[edge], phantom["venous"].hu[edge])[0, 1]
        assert carried > still


def test_a_study_is_prepared_once_and_then_read_from_the_cache(prepare, folders):
    looks = []

    def find_liver(volume):
        looks.append(volume)
        return np.ones(volume.grid.shape, bool)

    first, again = (prepare(series(folders), find_liver=find_liver) for _ in range(2))
    assert len(looks) == 1
    assert again.content == first.content
    assert again.warnings == first.warnings
    assert all(np.array_equal(again.phases[p].hu, first.phases[p].hu) for p in Phase)
    prepare(series(folders), find_liver=find_liver, made_by="another model")
    in_place(folders[NC], lambda ds: setattr(ds, "PixelData", bytes(len(ds.PixelData))[:-2] + b"\x01\x08"))
    prepare(series(folders), find_liver=find_liver)
    assert len(looks) == 3


def test_what_was_kept_is_told_apart_from_what_was_spoilt(prepare, folders, tmp_path):
    study = prepare(series(folders))
    loaded = load_prepared(tmp_path / "cache", study.content)
    assert np.array_equal(loaded.liver, study.liver)
    assert loaded.phases[DELAYED].image_id == "image-delayed"
    file = tmp_path / "cache" / study.content / "nc.npy"
    data = bytearray(file.read_bytes())
    data[-9] ^= 1
    file.write_bytes(data)
    with pytest.raises(NotFoundError, match="Propose the study again"):
        load_prepared(tmp_path / "cache", study.content)
    assert prepare(series(folders)).content == study.content


@pytest.mark.parametrize("content", ["../../etc", "", "A" * 64, "0" * 63])
def test_the_cache_takes_no_path_for_a_name(tmp_path, content):
    with pytest.raises(BadInputError):
        load_prepared(tmp_path, content)


def test_the_study_looked_at_last_is_dropped_last(prepare, folders, tmp_path):
    kept, dropped = (prepare(series(folders), made_by=name).content for name in ("a", "b"))
    load_prepared(tmp_path / "cache", kept)
    assert make_room(tmp_path / "cache", limit_mib=2) == 1
    assert load_prepared(tmp_path / "cache", kept)
    with pytest.raises(NotFoundError):
        load_prepared(tmp_path / "cache", dropped)


def test_what_a_killed_process_left_half_written_goes_and_what_is_being_written_stays(prepare, folders, tmp_path):
    left, busy = (tmp_path / "cache" / f"{TEMPORARY}{name}" for name in ("left", "busy"))
    for folder in (left, busy):
        folder.mkdir(parents=True)
        (folder / "nc.npy").write_bytes(b"half")
    os.utime(left, (time.time() - 7200,) * 2)
    study = prepare(series(folders, VENOUS))
    assert sorted(folder.name for folder in (tmp_path / "cache").iterdir()) == sorted([busy.name, study.content])


def test_one_phase_only_is_used_and_said(prepare, folders):
    study = prepare(series(folders, ARTERIAL))
    assert list(study.phases) == [ARTERIAL]
    assert study.reference is ARTERIAL
    assert any("Only one phase" in warning for warning in study.warnings)
    assert any("no venous phase" in warning for warning in study.warnings)


def test_of_two_venous_series_the_one_with_more_slices_is_taken(prepare, folders, tmp_path):
    shorter = shutil.copytree(folders[VENOUS], tmp_path / "series" / "venous2")
    for file in sorted(shorter.iterdir(), key=lambda f: pydicom.dcmread(f).InstanceNumber)[-4:]:
        file.unlink()
    in_place(shorter, lambda ds: setattr(ds, "SeriesInstanceUID", ds.SeriesInstanceUID + ".9"))
    both = [Series("short", shorter, "Portal venous thin", "1.2.3", "P1"), *series(folders)]
    study = prepare(both)
    assert study.phases[VENOUS].image_id == "image-venous"
    (told,) = [warning for warning in study.warnings if "left out" in warning]
    assert "'Portal venous thin' (20 slices" in told
    assert "(24 slices" in told
    assert "is the venous phase, too" in told


def test_of_many_series_no_more_pictures_are_held_than_there_are_phases_and_the_one_looked_at(prepare, folders):
    pictures, held = [], []

    def find_phase(volume):
        pictures.append(weakref.ref(volume.array))
        held.append(sum(picture() is not None for picture in pictures))
        return dict.fromkeys(Phase, 0.25)

    many = [replace(one, image_id=f"{one.image_id}-{n}") for n in range(3) for one in series(folders)]
    assert set(prepare(many, find_phase=find_phase).phases) == set(Phase)
    assert len(held) == 12
    assert max(held) <= len(Phase) + 1


def remove_a_slice(folder):
    sorted(folder.iterdir(), key=lambda f: pydicom.dcmread(f).InstanceNumber)[10].unlink()


def repeat_a_slice(folder):
    dataset = pydicom.dcmread(sorted(folder.iterdir())[5])
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID + ".9"
    dataset.save_as(folder / "again.dcm")


def tilt(folder):
    def change(dataset):
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y + 0.3 * dataset.InstanceNumber, z]

    in_place(folder, change)


def make_mr(folder):
    def change(dataset):
        dataset.Modality = "MR"

    in_place(folder, change)


def make_localiser(folder):
    in_place(folder, lambda ds: setattr(ds, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]))


def keep_five(folder):
    for file in sorted(folder.iterdir(), key=lambda f: pydicom.dcmread(f).InstanceNumber)[5:]:
        file.unlink()


def stand_it_up(folder):
    in_place(folder, lambda ds: setattr(ds, "ImageOrientationPatient", [1, 0, 0, 0, 0, -1]))

    def change(dataset):
        dataset.ImagePositionPatient = [-100, 6.0 * dataset.InstanceNumber, 100]

    in_place(folder, change)


def empty_it(folder):
    in_place(folder, lambda ds: setattr(ds, "PixelData", bytes(len(ds.PixelData))))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (remove_a_slice, "a slice is missing"),
        (repeat_a_slice, "two slices in the same place"),
        (tilt, "gantry tilt"),
        (make_mr, "modality MR"),
        (make_localiser, "a localiser"),
        (keep_five, "8 slices or more, but found 5"),
        (stand_it_up, "axial slices"),
        (empty_it, "a picture in HU"),
        (lambda folder: shutil.rmtree(folder) or folder.mkdir(), "left out"),
    ],
)
def test_a_series_that_cannot_be_used_is_left_out_with_its_reason(prepare, folders, spoil, said):
    given = series(folders)
    spoil(folders[ARTERIAL])
    study = prepare(given)
    assert list(study.phases) == [NC, VENOUS, DELAYED]
    (warning,) = [warning for warning in study.warnings if "left out" in warning]
    assert warning.startswith("Series 'Late arterial 5.0 B30f' is left out")
    assert said in warning


def test_a_study_without_any_usable_series_is_refused_with_every_reason(prepare, folders):
    make_mr(folders[NC])
    tilt(folders[VENOUS])
    with pytest.raises(BadInputError) as refused:
        prepare(series(folders, NC, VENOUS))
    assert "modality MR" in str(refused.value)
    assert "gantry tilt" in str(refused.value)


def test_series_of_two_studies_are_refused(prepare, folders):
    one, other = series(folders, NC, VENOUS)
    with pytest.raises(BadInputError, match="of 2 studies"):
        prepare([one, replace(other, study_uid="9.9")])


def test_a_phase_that_shows_another_part_of_the_body_is_left_out(prepare, folders):
    def lower(dataset):
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, z - 400]

    in_place(folders[DELAYED], lower)
    study = prepare(series(folders))
    assert DELAYED not in study.phases
    assert "The delayed phase is left out: it shows 0% of the liver." in study.warnings


def test_a_phase_with_another_frame_of_reference_is_used_only_if_it_can_be_registered(prepare, folders):
    in_place(folders[ARTERIAL], lambda ds: setattr(ds, "FrameOfReferenceUID", "2.25.7"))
    kept = prepare(series(folders, ARTERIAL, VENOUS), methods=("convexadam",))
    assert kept.phases[ARTERIAL].registered == "convexadam"
    assert any("rests on the registration alone" in warning for warning in kept.warnings)
    dropped = prepare(series(folders, ARTERIAL, VENOUS))
    assert ARTERIAL not in dropped.phases
    assert any("could not be registered" in warning for warning in dropped.warnings)


def test_a_phase_with_thicker_slices_is_interpolated_and_that_is_said(prepare, folders):
    for file in folders[DELAYED].iterdir():
        if pydicom.dcmread(file).InstanceNumber % 2:
            file.unlink()
    in_place(folders[DELAYED], lambda ds: setattr(ds, "SpacingBetweenSlices", 2 * ds.SpacingBetweenSlices))
    study = prepare(series(folders))
    assert study.phases[DELAYED].hu.shape == study.grid.shape
    assert any("between them it is interpolated" in warning for warning in study.warnings)


def test_swapped_series_numbers_and_misleading_names_do_not_change_the_phases(prepare, phantom, tmp_path):
    order = {"nc": 2, "arterial": 4, "venous": 3, "delayed": 5}
    written = write_study(tmp_path / "bad", phantom, Flaws(order=order, naming="misleading"))
    study = prepare(series({Phase(p): folder for p, folder in written.series.items()}))
    assert {p: v.image_id for p, v in study.phases.items()} == {p: f"image-{p}" for p in Phase}


def test_where_nothing_tells_the_phase_the_largest_series_is_taken_as_venous_and_the_rest_left_out(prepare, folders):
    def forget(dataset):
        dataset.SeriesDescription = "Abdomen"
        del dataset.AcquisitionTime

    for phase in (ARTERIAL, VENOUS):
        in_place(folders[phase], forget)
    study = prepare(series(folders, ARTERIAL, VENOUS))
    assert list(study.phases) == [VENOUS]
    assert any("taken as the venous one" in warning for warning in study.warnings)
    assert any("left out: nothing tells its phase" in warning for warning in study.warnings)


def test_what_the_picture_says_is_reported_beside_the_tags(prepare, folders, phantom):
    means = {phase: phantom[phase].hu[phantom["venous"].liver].mean() for phase in Phase}

    def find_phase(volume):
        mean = volume.array[phantom["venous"].liver].mean()
        return {p: float(abs(mean - means[p]) < 0.5) for p in Phase}

    assert {v.told_by for v in prepare(series(folders), find_phase=find_phase).phases.values()} == {"picture+tags"}


def test_without_a_liver_the_whole_body_is_used_and_said(prepare, folders, phantom):
    study = prepare(series(folders, VENOUS), find_liver=lambda volume: np.zeros(volume.grid.shape, bool))
    assert study.liver[phantom["venous"].liver].mean() > 0.999
    assert not study.liver.all()
    assert np.median(study.phases[VENOUS].hu[study.liver]) > -200
    assert any("No liver was found (0 ml)" in warning for warning in study.warnings)
    assert np.array_equal(prepare(series(folders, VENOUS), find_liver=None, made_by="none").liver, study.liver)


def test_a_shorter_phase_is_used_where_no_liver_says_what_it_must_show(prepare, folders):
    for file in sorted(folders[NC].iterdir(), key=lambda f: pydicom.dcmread(f).InstanceNumber)[10:]:
        file.unlink()
    study = prepare(series(folders, NC, VENOUS), find_liver=None)
    assert set(study.phases) == {NC, VENOUS}
    assert not any("of the liver" in warning for warning in study.warnings)


def test_a_registration_that_is_given_up_is_said_and_the_phase_stays_where_it_was_scanned(
    prepare, folders, phantom, monkeypatch
):
    def broken(pair):
        raise RuntimeError("no overlap")

    monkeypatch.setitem(registering.METHODS, "convexadam", broken)
    study = prepare(series(folders, NC, VENOUS), methods=("convexadam",))
    assert study.phases[NC].registered == "none"
    assert np.array_equal(study.phases[NC].hu, phantom["nc"].hu)
    assert any("registration by convexadam was given up" in warning for warning in study.warnings)
    assert any("stays where it was scanned" in warning for warning in study.warnings)


def test_a_series_that_lies_the_other_way_round_in_its_file_stands_upright(prepare, phantom, tmp_path):
    mirrored = sitk.GetImageFromArray(np.ascontiguousarray(phantom["venous"].hu[:, ::-1, ::-1]))
    mirrored.SetSpacing(phantom.grid.spacing)
    far = phantom.grid.affine @ [phantom.grid.size[0] - 1, phantom.grid.size[1] - 1, 0, 1]
    mirrored.SetOrigin(far[:3].tolist())
    mirrored.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    sitk.WriteImage(mirrored, str(tmp_path / "venous.nii.gz"))
    study = prepare([Series("a", tmp_path / "venous.nii.gz", "portal venous", "1.2.3", "P1")])
    assert study.grid.matches(phantom.grid, tolerance_mm=0.01)
    assert np.array_equal(study.phases[VENOUS].hu, phantom["venous"].hu)


def test_each_stage_reports_its_time(prepare, folders):
    seconds = {}
    prepare(series(folders), on_stage=lambda stage, s: seconds.update({stage: seconds.get(stage, 0) + s}))
    assert set(seconds) == {"read", "phase", "liver", "register", "write"}
    assert all(s >= 0 for s in seconds.values())
