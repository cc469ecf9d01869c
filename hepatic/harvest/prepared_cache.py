"""Prepared studies on disk: one folder each, named by what it was made from, written as a whole and checked."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zlib_ng import zlib_ng

from hepatic.errors import BadInputError, NotFoundError
from hepatic.geometry import Grid
from hepatic.harvest.series import Series
from hepatic.harvest.study import Phase, PhaseVolume, PreparedStudy
from hepatic.io.content import content_hash
from hepatic.settings import settings
from hepatic.store.disk import TEMPORARY, make_folder, remove_stale, storage, sync_folder

logger = logging.getLogger(__name__)

FORMAT = 1
_ABOUT = "study.json"
_LIVER = "liver"
_CONTENT = re.compile(r"[0-9a-f]{64}")
_MIB = 1 << 20
_STALE_SECONDS = 3600.0


def content_of(series: Sequence[Series], made_by: str) -> str:
    """Return the name of what is made from these series: a SHA-256 that changes when any byte of them does.

    Args:
        series: of one study, in any order.
        made_by: changes when the models or settings behind it do.
    """
    lines = sorted(f"{one.image_id} {one.patient_id} {content_hash(one.source)} {one.description}" for one in series)
    return hashlib.sha256("\n".join([f"{FORMAT} {made_by}", series[0].study_uid, *lines]).encode()).hexdigest()


def save_prepared(cache: Path, study: PreparedStudy) -> None:
    """Write a study below ``cache``; nothing half-written is ever there under its name. Old ones make room.

    Raises:
        StorageError: the disk is full or cannot be written.
    """
    target = _folder(cache, study.content)
    temporary = cache / f"{TEMPORARY}{uuid.uuid4().hex}"
    with storage("keep a prepared study"):
        make_folder(cache)
        try:
            temporary.mkdir()
            _write(temporary, study)
            sync_folder(temporary)
            with suppress(OSError):  # another process has just written the same
                temporary.rename(target)
            sync_folder(cache)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    make_room(cache, keep=study.content)


def load_prepared(cache: Path, content: str) -> PreparedStudy:
    """Read a study; its pictures are mapped into memory, read-only, and read from disk where they are looked at.

    Raises:
        NotFoundError: it is not there, was dropped to make room, or is damaged (and then removed): prepare it again.
    """
    folder = _folder(cache, content)
    try:
        study = _read(folder)
        os.utime(folder)  # the one looked at last is dropped last
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("Prepared study %s… is damaged and dropped: %s", content[:12], error)
        shutil.rmtree(folder, ignore_errors=True)
    else:
        return study
    raise NotFoundError(
        f"prepared study {content[:12]}…", expected="a study in the cache", came="none", fix="Propose the study again."
    )


def make_room(cache: Path, *, keep: str = "", limit_mib: int | None = None) -> int:
    """Drop the studies that were not looked at for longest until the rest fit; return how many.

    What a killed process left half-written goes, too, once nobody has written to it for an hour.

    Args:
        cache: folder of prepared studies.
        keep: content of one that stays whatever its size.
        limit_mib: for all together; ``settings().studies_cache_mib`` unless given.
    """
    remove_stale(cache, older_than_s=_STALE_SECONDS)
    limit = (settings().studies_cache_mib if limit_mib is None else limit_mib) * _MIB
    entries = []
    for folder in cache.iterdir():
        if _CONTENT.fullmatch(folder.name):
            with suppress(FileNotFoundError):
                size = sum(file.stat().st_size for file in folder.iterdir())
                entries.append((folder.name != keep, -folder.stat().st_mtime_ns, size, folder))
    dropped = total = 0
    for droppable, _, size, folder in sorted(entries, key=lambda entry: entry[:3]):
        total += size
        if droppable and total > limit:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size
            dropped += 1
    return dropped


def _folder(cache: Path, content: str) -> Path:
    if not _CONTENT.fullmatch(content):
        raise BadInputError(
            "content of a prepared study",
            expected="64 hexadecimal digits",
            came=repr(content)[:80],
            fix="Take it from the proposed study.",
        )
    return cache / content


def _write(folder: Path, study: PreparedStudy) -> None:
    packed = np.packbits(study.liver)
    arrays: dict[str, NDArray[Any]] = {_LIVER: packed, **{p.value: v.hu for p, v in study.phases.items()}}
    about = {
        "format": FORMAT,
        "study_uid": study.study_uid,
        "patient_id": study.patient_id,
        "reference": study.reference,
        "size": study.grid.size,
        "affine": study.grid.affine.tolist(),
        "phases": {
            p: {"image_id": v.image_id, "told_by": v.told_by, "registered": v.registered}
            for p, v in study.phases.items()
        },
        "warnings": study.warnings,
        "content": study.content,
        "crc32": {name: _crc32(array) for name, array in arrays.items()},
    }
    for name, array in arrays.items():
        with (folder / f"{name}.npy").open("xb") as stream:
            np.save(stream, np.ascontiguousarray(array), allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
    with (folder / _ABOUT).open("x", encoding="utf-8") as text:
        json.dump(about, text, indent=1)
        text.flush()
        os.fsync(text.fileno())


def _read(folder: Path) -> PreparedStudy:
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    if about["format"] != FORMAT or about["content"] != folder.name:
        raise ValueError("it is another study, or of another version")
    i, j, k = (int(count) for count in about["size"])
    grid = Grid((i, j, k), np.array(about["affine"], np.float64).reshape(4, 4))
    phases = {}
    for name, told in about["phases"].items():
        hu = _array(folder, name, about["crc32"], grid.shape, np.dtype(np.int16))
        phases[Phase(name)] = PhaseVolume(Phase(name), told["image_id"], hu, told["told_by"], told["registered"])
    voxels = i * j * k
    packed = _array(folder, _LIVER, about["crc32"], (-(-voxels // 8),), np.dtype(np.uint8))
    return PreparedStudy(
        study_uid=about["study_uid"],
        patient_id=about["patient_id"],
        reference=Phase(about["reference"]),
        grid=grid,
        phases=phases,
        liver=np.unpackbits(packed, count=voxels).reshape(grid.shape).view(bool),
        warnings=tuple(about["warnings"]),
        content=about["content"],
    )


def _array(folder: Path, name: str, sums: dict[str, int], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    array: NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    if array.shape != shape or array.dtype != dtype or _crc32(array) != sums[name]:
        raise ValueError(f"{name} is not what was written")
    return array


def _crc32(array: NDArray[Any]) -> int:
    return int(zlib_ng.crc32(np.ascontiguousarray(array).view(np.uint8).data))
