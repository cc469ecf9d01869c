"""What an inspector does: read files that clients sent, in a process that may not grow and may not linger.

Top-level functions, for ``server.slot``; the process imports ``hepatic.io`` and neither the app nor torch.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from safetensors import SafetensorError, safe_open

from hepatic.errors import BadInputError
from hepatic.io.format import format_of
from hepatic.io.grid import grid_of
from hepatic.io.labelmap import read_labelmap
from hepatic.io.nrrd import read_nrrd_header
from hepatic.io.read import read
from hepatic.io.refusal import NotAnImageError
from hepatic.release.option import Option
from hepatic.store.disk import storage
from server.intake.archive import Limits, unpack

if sys.platform != "win32":
    import resource

_SUFFIXES = {
    ".nii.gz": "a gzipped NIfTI image",
    ".nii": "a NIfTI image that is not gzipped",
    ".nrrd": "an NRRD image",
    ".dcm": "a DICOM image",
}
_OTHER_NAMES = {".dicom": ".dcm", ".ima": ".dcm", ".seg.nrrd": ".nrrd"}
_LARGEST_JSON_BYTES = 16 << 20

_memory_mib = 0
_cpu_s = 0.0


def prepare(memory_mib: int, cpu_s: float) -> None:
    """Limit this process; the set-up of a slot.

    Args:
        memory_mib: beyond what is mapped now.
        cpu_s: for one piece of work.
    """
    global _memory_mib, _cpu_s
    _memory_mib, _cpu_s = memory_mib, cpu_s
    if sys.platform != "win32":
        most = psutil.Process().memory_info().vms + (memory_mib << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not leave a patient's image on the disk


def inspect_image(files: Sequence[Path]) -> None:
    """Read one image, header and pixels.

    Args:
        files: one file, or the slices of one DICOM series; their suffixes say what they should be.

    Raises:
        BadInputError: it is not what its name says, cannot be read, or needs more memory than there may be.
    """
    with _limited("the image file"):
        for file in files:
            _check_content(file)
        read(files[0] if len(files) == 1 else files)


def inspect_label(file: Path, image: Path | None) -> None:
    """Read a label.

    Args:
        file: its suffix says what it should be.
        image: the image it must lie on, a file or the folder of a series; None where that is not known.

    Raises:
        BadInputError: not a label, not on the image, or needs more memory than there may be.
    """
    with _limited("the label file"):
        if file.suffix == ".json":
            _check_json(file)
            return
        _check_content(file)
        read_labelmap(file, like=None if image is None else grid_of(image))


def inspect_weights(file: Path) -> None:
    """Check that a file holds tensors and nothing else.

    Raises:
        BadInputError: its header does not describe its contents byte by byte, or it is another kind of file.
    """
    with _limited("the weights"):
        if not _holds_tensors(file):
            raise BadInputError(
                "the weights", expected="a safetensors file", came="something else", fix="Save them with safetensors."
            )


def unpack_model(archive: Path, folder: Path, limits: Limits) -> tuple[Path, list[Path]]:
    """Unpack a model: its card, and one or more files of weights that hold tensors and nothing else.

    Args:
        archive: a zip.
        folder: an empty one.
        limits: of what comes out.

    Returns:
        The card, JSON whose contents nobody has looked at, and the weights.

    Raises:
        BadInputError: an archive that is refused (``server.intake.archive``), or with something else in it.
        StorageError: it cannot be written.
    """
    with _limited("the packed model"):
        files = unpack(archive, folder, limits)
        weights = [file for file in files if _holds_tensors(file)]
        cards = [file for file in files if file not in weights]
        if len(cards) != 1 or not weights or cards[0].stat().st_size > _LARGEST_JSON_BYTES:
            raise BadInputError(
                "the packed model",
                expected="a card and safetensors files",
                came="other files",
                fix="Download it again.",
            )
        return cards[0], weights


def _holds_tensors(file: Path) -> bool:
    try:
        with safe_open(file, framework="numpy") as tensors:
            return len(tensors.keys()) > 0
    except SafetensorError:
        return False


def unpack_image(archive: Path, folder: Path, limits: Limits) -> list[Path]:
    """Unpack an archive that holds one image, and read it.

    What else lies in it (a DICOMDIR, a viewer, a report) is left out.

    Args:
        archive: its suffix says what it should be.
        folder: an empty one.
        limits: of what comes out.

    Returns:
        The image's files in the folder, with the suffix of their content.

    Raises:
        BadInputError: an archive that is refused (``server.intake.archive``), no image, several, or a broken one.
        StorageError: it cannot be written.
    """
    with _limited("the archive"):
        files = []
        for path in unpack(archive, folder, limits):
            try:
                named = path.with_name(path.name + _suffix_of_content(path))
            except NotAnImageError:
                path.unlink()
                continue
            path.rename(named)
            files.append(named)
        if not files:
            raise NotAnImageError(
                "the archive", expected="one image, or the files of one DICOM series", came="none", fix="Pack them."
            )
        for file in files:
            _check_content(file)
        read(files[0] if len(files) == 1 else files)
        return files


def deidentify_image(files: Sequence[Path], data: Path, options: Collection[Option]) -> None:
    """Take the patient out of the files of an image, in place.

    Args:
        files: as ``inspect_image`` has read them.
        data: the data folder, which has the key.
        options: of the profile.

    Raises:
        BadInputError: one cannot be written again.
        StorageError: the disk is full or cannot be written.
    """
    from hepatic.release.deidentify import Deidentifier
    from hepatic.release.files import deidentify_file, write_voxels
    from hepatic.release.pseudonyms import Pseudonyms

    with _limited("the image file"), storage("de-identify the upload"):
        by = Deidentifier(Pseudonyms.of(data), frozenset(options))
        for file in files:
            if format_of(file) == "dicom":
                deidentify_file(file, file, by)
            else:
                written = file.with_name(f"voxels-{file.name}")
                write_voxels(file, written)
                written.replace(file)


@contextmanager
def _limited(what: str) -> Iterator[None]:
    """Limit the time of this piece of work; name the file for the client, who knows nothing of the name it has here."""
    _allow_time()
    try:
        yield
    except MemoryError as error:
        raise _too_large(what) from error
    except BadInputError as error:
        if isinstance(error.__cause__, MemoryError):
            raise _too_large(what) from error
        raise BadInputError(what, expected=error.expected, came=error.came, fix=error.fix) from error


def _allow_time() -> None:
    if sys.platform != "win32" and _cpu_s:
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + _cpu_s), hard))


def _check_content(file: Path) -> None:
    """Refuse a file that is not what its name says, and an NRRD that takes its pixels from another file."""
    suffix = next((s for s in (*_OTHER_NAMES, *_SUFFIXES) if file.name.endswith(s)), "")
    suffix = _OTHER_NAMES.get(suffix, suffix)
    found = _suffix_of_content(file)
    if found != suffix:
        raise BadInputError(
            file.name,
            expected=f"{_SUFFIXES.get(suffix, 'an image')}, as its name says",
            came=_SUFFIXES[found],
            fix="Give the file the suffix of its format.",
        )
    if found == ".nrrd" and read_nrrd_header(file).data != file:
        raise BadInputError(
            file.name, expected="an NRRD file with its pixels", came="a header only", fix="Save it as one .nrrd file."
        )


def _suffix_of_content(file: Path) -> str:
    match format_of(file):
        case "dicom":
            return ".dcm"
        case "nrrd":
            return ".nrrd"
        case "nifti":
            with file.open("rb") as stream:
                return ".nii.gz" if stream.read(2) == b"\x1f\x8b" else ".nii"


def _check_json(file: Path) -> None:
    value = None
    if file.stat().st_size <= _LARGEST_JSON_BYTES:
        with suppress(ValueError, RecursionError):
            value = json.loads(file.read_bytes())
    if not isinstance(value, dict):
        raise BadInputError(file.name, expected="a JSON object", came="something else", fix="Save the markups again.")


def _too_large(what: str) -> BadInputError:
    return BadInputError(
        what,
        expected=f"one that is read with {_memory_mib} MiB of memory",
        came="one that needs more",
        fix="Crop or split it, or raise HEPATIC_INSPECT_MIB.",
    )
