"""The MONAI Label app that is served, in the server's own process: asked cheap questions."""

from __future__ import annotations

import copy
import logging
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread

from hepatic.errors import NotFoundError
from hepatic.store.names import safe_id
from server.monai_app import AppSpec, Role, load_app
from server.names import is_path_like
from server.observe.names import NAMES
from server.plain import plain

logger = logging.getLogger(__name__)

_INFO_WAIT_S = 0.02
_LOCATORS = 16
"""Threads that look where images lie, and may have to wait for another server, apart from those that answer."""
_DOWNLOADS = 64
"""Locks that images of a remote datastore share while they are downloaded."""


class Host:
    """The app in the server's own process, for what is cheap: info, datastore, next sample.

    Args:
        spec: which app.
        role: what this process is.
        attach: called with the app's datastore before anything is asked of it: now, and at each reload.
    """

    def __init__(
        self, spec: AppSpec, role: Role = "server", *, attach: Callable[[Any], None] = lambda datastore: None
    ) -> None:
        self.spec, self._attach = spec, attach
        self.app = load_app(spec, role)
        attach(self.datastore)
        self._lock = _lock_for(self.datastore)
        self._downloads = tuple(threading.Lock() for _ in range(_DOWNLOADS))
        self._locators = CapacityLimiter(_LOCATORS)
        self._told: dict[str, Any] | None = None

    def start(self) -> None:
        """Tell the app that it is being served."""
        logging.getLogger(
            "timeloop"
        ).disabled = True  # the stock base class starts one with nothing to do, and it says so
        self.app.server_mode(True)
        try:
            self.app.on_init_complete()
        except Exception:
            logger.exception("the app's on_init_complete failed; serving goes on")

    def reload(self) -> None:
        """Import and build the app again, and go on with that one; if it fails, with the one there is.

        Raises:
            Exception: whatever kept it from being built.
        """
        app = load_app(self.spec, "server")
        self._attach(app.datastore())
        before = self.datastore
        self.app = app
        self._lock, self._told = _lock_for(self.datastore), None
        self.start()
        watching = getattr(before, "_observer", None)  # of the stock datastore, which never ends it
        if watching is not None:
            watching.stop()

    @property
    def datastore(self) -> Any:
        """The app's ``Datastore``."""
        return self.app.datastore()

    @contextmanager
    def _locating(self, image_id: str) -> Iterator[Any]:
        """Hold one image of the datastore: a remote one downloads it when asked where it lies, and only once."""
        with self._downloads[zlib.crc32(image_id.encode()) % _DOWNLOADS] if self.spec.is_remote else self._lock:
            yield self.datastore

    @contextmanager
    def storing(self) -> Iterator[Any]:
        """Hold the datastore: the stock one is not made for threads; our own needs no lock."""
        with self._lock:
            yield self.datastore

    def info(self) -> dict[str, Any]:
        """Return the app's own info, fit for JSON; what it last was while the datastore is busy with something slow."""
        lock = self._lock
        if isinstance(lock, nullcontext):
            return dict(plain(self.app.info()))
        if not lock.acquire(timeout=-1 if self._told is None else _INFO_WAIT_S):
            return copy.deepcopy(self._told or {})
        try:
            self._told = dict(plain(self.app.info()))
        finally:
            lock.release()
        return copy.deepcopy(self._told)

    def next_sample(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the app hands out next; an image elsewhere is not downloaded for it.

        Args:
            asked: the strategy, checked to be one of ``strategies``, and its options.
        """
        from monailabel.interfaces.app import MONAILabelApp

        if is_shared(self.datastore) and type(self.app).next_sample is MONAILabelApp.next_sample:
            return dict(self.strategies[asked["strategy"]](dict(asked), self.datastore) or {})
        return dict(self.app.next_sample(dict(asked)) or {})

    @property
    def models(self) -> Mapping[str, Any]:
        """Inference tasks by name."""
        return dict(getattr(self.app, "_infers", {}))

    @property
    def trainers(self) -> Mapping[str, Any]:
        """Training tasks by name."""
        return dict(getattr(self.app, "_trainers", {}))

    @property
    def strategies(self) -> Mapping[str, Any]:
        """Active learning strategies by name."""
        return dict(getattr(self.app, "_strategies", {}))

    @property
    def scoring_methods(self) -> Mapping[str, Any]:
        """Scoring methods by name."""
        return dict(getattr(self.app, "_scoring_methods", {}))

    def image_id(self, asked: str) -> str:
        """Return the datastore's id of the image a client asked for.

        A client names an image by its id, never by a path. An id that was made safe when the image was uploaded is
        found by the name the client gave it, too.

        Raises:
            NotFoundError: no image has it.
        """
        if asked:
            NAMES.remember(asked)
            if not is_path_like(asked) and self._has(asked):
                return asked
            if is_path_like(asked):
                with self.storing() as datastore:
                    if asked in datastore.list_images():
                        return asked
            if safe_id(asked) != asked and self._has(safe_id(asked)):
                return safe_id(asked)
        raise NotFoundError(
            "the image",
            expected="the id of an image in the datastore",
            came="an id that is not there" if asked else "no id",
            fix="Fetch the next sample, or upload the image first.",
        )

    def image_path(self, image_id: str) -> Path:
        """Return where the image with this id lies; a folder where it is a DICOM series of several files."""
        return Path(self._image_uri(image_id))

    async def located(self, image_id: str) -> Path:
        """Return the same, without keeping anybody else waiting while an image is downloaded."""
        return await to_thread.run_sync(self.image_path, image_id, limiter=self._locators)

    def label(self, asked: str, tag: str) -> tuple[str, Path]:
        """Return the datastore's id of a label, and its file.

        Args:
            asked: the label's id, which is the image's in most datastores.
            tag: the label's tag, already checked to be a plain name.

        Raises:
            NotFoundError: there is none.
        """
        for label_id in dict.fromkeys((asked, safe_id(asked))):
            if is_path_like(label_id):
                continue
            with self.storing() as datastore:
                try:
                    uri = datastore.get_label_uri(label_id, tag)
                except Exception as missing:
                    if not _says_missing(missing):
                        raise
                    continue
            if uri and Path(uri).is_file():
                return label_id, Path(uri)
        raise NotFoundError(
            "the label",
            expected=f"a label with tag '{tag}' for this image",
            came="none",
            fix="Save one first, or ask for another tag.",
        )

    def _has(self, image_id: str) -> bool:
        if is_shared(self.datastore):
            return bool(self.datastore.has_image(image_id))
        return bool(self._image_uri(image_id))

    def _image_uri(self, image_id: str) -> str:
        with self._locating(image_id) as datastore:
            try:
                uri = datastore.get_image_uri(image_id)
            except Exception as missing:
                if not _says_missing(missing):
                    raise
                return ""
        return str(uri) if uri and Path(uri).exists() else ""


def _lock_for(datastore: Any) -> threading.RLock | nullcontext[None]:
    return nullcontext() if is_shared(datastore) else threading.RLock()


def is_shared(datastore: Any) -> bool:
    """Whether a datastore may be used by several threads and processes at once; our own may."""
    return type(datastore).__module__.partition(".")[0] == "hepatic"


def _says_missing(failure: Exception) -> bool:
    return isinstance(failure, NotFoundError | KeyError | FileNotFoundError) or type(failure).__name__ in (
        "ImageNotFoundException",
        "LabelNotFoundException",
    )
