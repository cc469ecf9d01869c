"""The MONAI Label app that is served: found, imported, built, and asked cheap questions."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import logging
import os
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from anyio import CapacityLimiter, to_thread

from hepatic.adapters import compat
from hepatic.errors import BadInputError, NotFoundError
from hepatic.settings import is_url, settings
from hepatic.store.names import safe_id
from server import stock_datastore
from server.names import is_path_like
from server.observe.names import NAMES
from server.plain import plain

logger = logging.getLogger(__name__)

_INFO_WAIT_S = 0.02
_LOCATORS = 16
"""Threads that look where images lie, and may have to wait for another server, apart from those that answer."""
_DOWNLOADS = 64
"""Locks that images of a remote datastore share while they are downloaded."""

Role = Literal["server", "worker", "training"]
"""The server watches the studies for changes; a worker leaves it to the server to write down what it finds."""


@dataclass(frozen=True)
class AppSpec:
    """What it takes to build an app, in any process. Paths are absolute once constructed.

    Args:
        app_dir: folder with ``main.py``.
        studies: folder of the studies, or the URL of a DICOMweb server.
        conf: what ``--conf`` said.
    """

    app_dir: str
    studies: str
    conf: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "app_dir", str(Path(self.app_dir).absolute()))
        if not self.is_remote:
            object.__setattr__(self, "studies", str(Path(self.studies).absolute()))
        object.__setattr__(self, "conf", {str(key): str(value) for key, value in self.conf.items()})

    @property
    def is_remote(self) -> bool:
        """Whether the studies are on another server."""
        return is_url(self.studies)

    @property
    def is_bounded(self) -> bool:
        """Whether all the studies are for this server: a folder's are, a PACS's where a filter says which."""
        return not self.is_remote or bool(settings().dicomweb_filter)

    @property
    def data_dir(self) -> Path:
        """Folder for what the server writes: logs, sessions, trainings."""
        return settings().data_dir(self.studies)


def load_app(spec: AppSpec, role: Role) -> Any:
    """Import the app and build it.

    Args:
        spec: which app, and over which studies.
        role: what this process is.

    Returns:
        The instance of the app's ``MONAILabelApp``.

    Raises:
        BadInputError: there is no ``main.py``, or no app in it.
    """
    compat.install()
    stock_datastore.install()
    from monailabel.config import settings as stock

    stock.MONAI_LABEL_APP_DIR = spec.app_dir
    stock.MONAI_LABEL_STUDIES = spec.studies
    stock.MONAI_LABEL_APP_CONF = dict(spec.conf)
    stock.MONAI_LABEL_AUTO_UPDATE_SCORING = False  # would post to port 8000 of this machine; server/scoring.py does it
    stock.MONAI_LABEL_DICOMWEB_USERNAME = settings().dicomweb_username
    stock.MONAI_LABEL_DICOMWEB_PASSWORD = settings().dicomweb_password.get_secret_value()
    stock.MONAI_LABEL_SESSIONS = False  # server/sessions.py keeps them
    chosen = type(stock)()  # what the environment says; an app loaded before may have been given another role
    stock.MONAI_LABEL_DATASTORE_AUTO_RELOAD = chosen.MONAI_LABEL_DATASTORE_AUTO_RELOAD and role == "server"
    stock.MONAI_LABEL_DATASTORE_READ_ONLY = chosen.MONAI_LABEL_DATASTORE_READ_ONLY or role == "worker"
    if not spec.is_remote:
        Path(spec.studies).mkdir(parents=True, exist_ok=True)
    app_class = _app_class(_import_main(Path(spec.app_dir)))
    app = app_class(app_dir=spec.app_dir, studies=spec.studies, conf=dict(spec.conf))
    stock_datastore.watch(app.datastore())
    return app


def check_app_dir(app_dir: Path) -> None:
    """Raise NotFoundError unless there is a ``main.py`` in the folder."""
    if not (app_dir / "main.py").is_file():
        raise NotFoundError(
            "the app's folder", expected="a main.py in it", came=app_dir.name or ".", fix="Name another with --app."
        )


def _import_main(app_dir: Path) -> ModuleType:
    check_app_dir(app_dir)
    main = app_dir / "main.py"
    name = "monailabel_app_" + hashlib.sha256(str(main).encode()).hexdigest()[:12]
    module_spec = importlib.util.spec_from_file_location(name, main)
    if module_spec is None or module_spec.loader is None:
        raise BadInputError("main.py", expected="a Python module", came="something else", fix="Look at the file.")
    module = importlib.util.module_from_spec(module_spec)
    again = name in sys.modules
    before = {known: sys.modules.pop(known) for known in _of_apps(app_dir, again=again)}
    importlib.invalidate_caches()
    sys.modules[name] = module  # so that classes defined there can be pickled
    sys.path.insert(0, str(app_dir))  # foreign apps import their `lib` folder
    try:
        module_spec.loader.exec_module(module)
    except BaseException:
        for new in _of_apps(app_dir, again=True):
            del sys.modules[new]
        sys.modules.update(before)
        raise
    finally:
        sys.path.remove(str(app_dir))
    if str(app_dir) not in sys.path:
        sys.path.append(str(app_dir))  # what they import only when it is used; last, so that it hides nothing
    return module


def _of_apps(app_dir: Path, *, again: bool) -> list[str]:
    """Names of the modules to forget before an app is imported: any app's ``lib``; if it is imported again, its own.

    Ours brings tasks from outside of its folder.
    """
    inside = str(app_dir) + os.sep
    return [
        name
        for name, module in list(sys.modules.items())  # others import meanwhile
        if name.partition(".")[0] in ("lib", *(("infer_tasks", "train_tasks") if again else ()))
        or (again and str(getattr(module, "__file__", None) or "").startswith(inside))
    ]


def _app_class(module: ModuleType) -> Any:
    from monailabel.interfaces.app import MONAILabelApp

    apps = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, MONAILabelApp) and value is not MONAILabelApp
    ]
    own = [app for app in apps if app.__module__ == module.__name__] or apps
    leaves = [app for app in own if not any(other is not app and issubclass(other, app) for other in own)]
    if len(leaves) != 1:
        raise BadInputError(
            "main.py",
            expected="exactly one subclass of MONAILabelApp",
            came=", ".join(app.__name__ for app in leaves) or "none",
            fix="Define the app there, and nothing else.",
        )
    return leaves[0]


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
