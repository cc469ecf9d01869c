"""The MONAI Label app that is served: found, imported, built."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from hepatic.adapters import compat
from hepatic.errors import BadInputError, NotFoundError
from hepatic.settings import is_url, settings
from server import stock_datastore

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
