"""Video files of ultrasound: each becomes a cine with the times of its frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import av
import av.logging
import numpy as np
from numpy.typing import NDArray

from hepatic.errors import BadInputError
from hepatic.importers.case import Case, DataSet, study_uid_of
from hepatic.importers.folder import files_below, nothing_found, patient_of
from hepatic.importers.us_dicom import Origin, series_uid_of, write_us
from hepatic.io.refusal import refusing
from hepatic.io.size import check_size

DATA_SET = DataSet("video", "not stated", "not stated")
SHAPE = (
    "video files (.mp4, .avi, .mov, .mkv, .wmv, .mpg, .webm), in a folder for each patient if there are several of one"
)

_SUFFIXES = (".mp4", ".m4v", ".avi", ".mov", ".mkv", ".wmv", ".mpg", ".mpeg", ".webm")
_CONTAINERS = {"mov", "mp4", "avi", "matroska", "webm", "asf", "mpeg", "mpegts", "mpegvideo"}
_COMPRESSION = {"h264": "ISO_14496_10", "hevc": "ISO_23008_2", "mpeg2video": "ISO_13818_2", "mjpeg": "ISO_10918_1"}
_LOSSLESS = {"rawvideo", "ffv1", "huffyuv", "ffvhuff", "utvideo"}

av.logging.set_level(av.logging.FATAL)


def cases(root: Path) -> Sequence[Case]:
    """Return the videos below a folder, or the one file.

    Raises:
        BadInputError: there is none.
    """
    base = root.parent if root.is_file() else root
    files = [root] if root.is_file() else files_below(root)
    made = [_case(base, path) for path in files if path.suffix.lower() in _SUFFIXES]
    return made or nothing_found(root, SHAPE)


def _case(root: Path, path: Path) -> Case:
    where = path.relative_to(root).as_posix()
    patient, uid = patient_of(root, path), series_uid_of("video", root.name, where)
    return Case(
        name=uid,
        origin=where,
        patient_id=patient,
        study_uid=study_uid_of("video", root.name, patient),
        description=path.stem,
        modality="US",
        image=_image(path, uid, patient, study_uid_of("video", root.name, patient)),
        facts={"file": where},
    )


def _image(path: Path, uid: str, patient: str, study_uid: str) -> Callable[[Path], Sequence[Path]]:
    def write(scratch: Path) -> Sequence[Path]:
        frames, times_s, codec = read_video(path)
        compression = None if codec in _LOSSLESS else _COMPRESSION.get(codec, "")
        target = scratch / "cine.dcm"
        origin = Origin(patient, study_uid, uid, path.stem, compression)
        write_us(target, frames, origin, times_s, came_bytes=path.stat().st_size)
        return [target]

    return write


def read_video(path: Path, *, max_pixels: int | None = None) -> tuple[NDArray[np.uint8], NDArray[np.float64], str]:
    """Decode a video.

    Times are those of the frames; where the file does not have them, in equal steps of its average rate.

    Args:
        path: the file; what it refers to beside it is not followed.
        max_pixels: most pixels over all frames; None takes ``settings().max_pixels``.

    Returns:
        (F, H, W, 3) in RGB, (F,) seconds from the first frame, and the codec.

    Raises:
        BadInputError: not a video, broken, or larger than that.
    """
    with refusing(path, expected="a video"), av.open(str(path), options={"protocol_whitelist": "file"}) as container:
        if not set(container.format.name.split(",")) & _CONTAINERS or not container.streams.video:
            raise BadInputError(
                path.name, expected=SHAPE, came=f"{container.format.name} without a video", fix="Leave it out."
            )
        stream = container.streams.video[0]
        size = (stream.width, stream.height, max(1, stream.frames))
        check_size(path.name, size, max_pixels=max_pixels)
        step_s = float(1 / stream.average_rate) if stream.average_rate else 0.04
        frames: list[NDArray[np.uint8]] = []
        times: list[float] = []
        for frame in container.decode(stream):
            check_size(path.name, (frame.width, frame.height, len(frames) + 1), max_pixels=max_pixels)
            frames.append(frame.to_ndarray(format="rgb24").view(np.uint8))
            times.append(frame.time if frame.time is not None else len(times) * step_s)
        if not frames or len({frame.shape for frame in frames}) > 1:
            came = "none" if not frames else "frames of several sizes"
            raise BadInputError(path.name, expected="frames of one size", came=came, fix="Convert the video.")
        since = np.array(times, np.float64) - times[0]
        if len(since) > 1 and not (np.diff(since) > 0).all():
            since = np.arange(len(frames), dtype=np.float64) * step_s
        return np.stack(frames), since, stream.codec_context.name
