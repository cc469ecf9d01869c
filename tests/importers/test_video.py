"""Videos as cines."""

from pathlib import Path

import av
import numpy as np
import pydicom
import pytest

from hepatic.errors import BadInputError
from hepatic.importers.video import read_video
from hepatic.io.burnt_in import burnt_in
from hepatic.io.dicom import read_header
from hepatic.io.read import read
from hepatic.io.ultrasound import Ultrasound
from tests.dicom_validator import complaints

SHAPE = (48, 64)


def frames(count: int, *, colour: bool = False):
    """A bright block that wanders over a grey wedge."""
    made = np.repeat(np.linspace(0, 200, SHAPE[1])[None, None], count, 0).repeat(SHAPE[0], 1).astype(np.uint8)
    for number, frame in enumerate(made):
        frame[8:24, 4 * number : 4 * number + 16] = 255
    made = np.repeat(made[..., None], 3, -1)
    if colour:
        made[..., 2] = 0
    return made


def write_video(path: Path, pictures, *, codec="mpeg4", times=None, pixels="yuv420p") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = pictures.shape[2], pictures.shape[1], pixels
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number if times is None else times[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_frames_and_times_come_through(tmp_path: Path) -> None:
    shown, times_s, codec = read_video(write_video(tmp_path / "a.avi", frames(6)))
    assert shown.shape == (6, *SHAPE, 3)
    assert np.abs(shown.astype(int) - frames(6)).mean() < 5
    assert times_s == pytest.approx(np.arange(6) / 10)
    assert codec == "mpeg4"


def test_uneven_times_come_through(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames(5), times=[0, 1, 2, 12, 22])
    assert read_video(path)[1] == pytest.approx([0, 0.1, 0.2, 1.2, 2.2], abs=0.01)


def test_a_folder_of_patients_is_imported(bring, store, tmp_path: Path, dicom_errors) -> None:
    root = tmp_path / "clips"
    write_video(root / "P1/arterial.mp4", frames(6))
    write_video(root / "P1/late.mp4", frames(4, colour=True))
    write_video(root / "alone.mkv", frames(5), times=[0, 1, 2, 12, 22])
    (root / "notes.txt").write_text("no video")
    outcomes = bring("video", root)
    assert [one.image for one in outcomes.values()] == ["added"] * 3
    images = {image.description: image for image in store.images.all()}
    assert {name: image.patient_id for name, image in images.items()} == {
        "arterial": "P1",
        "late": "P1",
        "alone": "alone",
    }
    assert images["arterial"].study_uid == images["late"].study_uid != images["alone"].study_uid
    assert all((image.modality, image.kind) == ("US", "cine") for image in images.values())
    cines = {name: read(store.source(image.id)) for name, image in images.items()}
    assert [cines[name].frames.shape for name in ("arterial", "late")] == [(6, *SHAPE), (4, *SHAPE, 3)]
    assert Ultrasound.of(cines["alone"]).times_s == pytest.approx([0, 0.1, 0.2, 1.2, 2.2], abs=0.01)
    for image in images.values():
        (file,) = store.files(image.id)
        assert burnt_in(read_header(file)) == "unknown"
        assert dicom_errors(file) == []


@pytest.mark.parametrize(
    ("name", "codec", "method"),
    [
        ("a.mp4", "h264", "ISO_14496_10"),
        ("a.mov", "mpeg4", None),
        ("a.webm", "libvpx-vp9", None),
        ("a.wmv", "wmv2", None),
    ],
)
def test_how_it_was_compressed_is_said_where_dicom_has_a_term_for_it(
    bring, store, tmp_path: Path, tool, name, codec, method
) -> None:
    write_video(tmp_path / "clips" / name, frames(4), codec=codec)
    bring("video", tmp_path / "clips")
    (image,) = store.images.all()
    (file,) = store.files(image.id)
    ds = pydicom.dcmread(file)
    assert (ds.LossyImageCompression, ds.get("LossyImageCompressionMethod")) == ("01", method)
    assert ds.LossyImageCompressionRatio > 1
    assert not [line for line in complaints(tool, file) if "Lossy" in line]


def test_a_second_import_adds_nothing(bring, tmp_path: Path) -> None:
    write_video(tmp_path / "clips/a.mp4", frames(3))
    bring("video", tmp_path / "clips")
    assert [one.image for one in bring("video", tmp_path / "clips").values()] == ["there"]
    assert [one.image for one in bring("video", tmp_path / "clips/a.mp4").values()] == ["there"]


def test_what_is_no_video_is_left_out_with_the_reason(bring, tmp_path: Path) -> None:
    whole = write_video(tmp_path / "clips/good.mp4", frames(3))
    (tmp_path / "clips/broken.mp4").write_bytes(whole.read_bytes()[:200])
    (tmp_path / "clips/text.mp4").write_text("#EXTM3U\n#EXTINF:1,\ngood.mp4\n#EXT-X-ENDLIST\n")
    outcomes = {one.why[:12]: one.image for one in bring("video", tmp_path / "clips").values()}
    assert outcomes == {"broken.mp4: ": "refused", "": "added", "text.mp4: ex": "refused"}


def test_a_huge_video_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames(6))
    with pytest.raises(BadInputError, match="pixels over all frames"):
        read_video(path, max_pixels=5 * SHAPE[0] * SHAPE[1])


def test_a_folder_without_videos_says_what_is_expected(bring, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="video files"):
        bring("video", tmp_path)
