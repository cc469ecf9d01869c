"""Uploads read before they are taken in, in a process with limits of time and memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hepatic.errors import BadInputError
from hepatic.release.option import Option
from hepatic.settings import settings
from server.executor import Executor
from server.intake import inspection
from server.intake.archive import Limits
from server.slot import LocalSlot, WorkerLostError, WorkTimeoutError

logger = logging.getLogger(__name__)

_WAITING = 16
"""Uploads that may wait: each holds a thread of the server, which has 40 of them for everything."""

_T = TypeVar("_T")


class Inspector:
    """Processes that decode what clients send, so that the server's own never does.

    They stay warm; one that runs too long or crashes is killed and replaced, and its upload is refused.

    Args:
        slots: how many; by default as the settings say, and so on below.
        memory_mib: for one upload, beyond what the process takes anyway.
        seconds: for one upload, of processor time and of the clock.
    """

    def __init__(
        self, *, slots: int | None = None, memory_mib: int | None = None, seconds: float | None = None
    ) -> None:
        chosen = settings()
        self._seconds = seconds or chosen.inspect_seconds
        self._limits = Limits(chosen.max_archive_files, chosen.max_archive_mib << 20)
        set_up = (memory_mib or chosen.inspect_mib, self._seconds)
        self._executor = Executor(
            lambda: LocalSlot(inspection.prepare, set_up), slots=slots or chosen.inspectors, queue_limit=_WAITING
        )

    def image(self, *files: Path) -> None:
        """Read an image: one file, or the slices of one DICOM series, all of one format and named so.

        Raises:
            BadInputError: it is not what it seems, broken, or beyond the limits.
            QueueFullError: too many uploads are waiting.
        """
        self._ask(inspection.inspect_image, files)

    def deidentify(self, files: Sequence[Path], data: Path, options: Collection[Option]) -> None:
        """Take the patient out of an image's files (``inspection.deidentify_image``); raises as ``image``."""
        self._ask(inspection.deidentify_image, files, data, options)

    def label(self, file: Path, image: Path | None = None) -> None:
        """Read a label, and see that it lies on its image (a file, or the folder of a series) where that is given.

        Raises: as ``image``.
        """
        self._ask(inspection.inspect_label, file, image)

    def weights(self, file: Path) -> None:
        """Check that a file holds tensors and nothing else; raises as ``image``."""
        self._ask(inspection.inspect_weights, file)

    def packed_model(self, archive: Path, folder: Path) -> tuple[Path, list[Path]]:
        """Unpack a model's card and its weights into an empty folder; raises as ``image``."""
        found: tuple[Path, list[Path]] = self._ask(inspection.unpack_model, archive, folder, self._limits)
        return found

    def unpack(self, archive: Path, folder: Path) -> list[Path]:
        """Unpack an archive with one image into an empty folder, read it, and return its files; raises as ``image``."""
        files: list[Path] = self._ask(inspection.unpack_image, archive, folder, self._limits)
        return files

    def close(self) -> None:
        """End the processes."""
        self._executor.close()

    def _ask(self, work: Callable[..., _T], *args: Any) -> _T:
        future = self._executor.submit(work, *args, retries=0, timeout_s=self._seconds)
        try:
            result: _T = future.result()
        except WorkTimeoutError as error:
            raise BadInputError(
                "the upload",
                expected=f"a file that is read within {self._seconds:g} s",
                came="one that takes longer",
                fix="Crop or split it, or raise HEPATIC_INSPECT_SECONDS.",
            ) from error
        except WorkerLostError as error:
            logger.warning("an upload ended the process that read it: %s", error)
            raise BadInputError(
                "the upload",
                expected="a file that can be read within the limits of time and memory",
                came="one that ended the process that read it",
                fix="Export it again; the server's log says more.",
            ) from error
        return result
