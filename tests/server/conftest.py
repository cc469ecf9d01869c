"""A running server over the foreign app, and the client that 3D Slicer uses."""

import logging
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from server.app import create_app
from server.commands.options import TERMINAL
from server.running import running
from tests.slicer import connected, secret_of

FOREIGN_APP = Path(__file__).parent.parent / "foreign_app"


def write_image(path, seed=0):
    array = np.random.default_rng(seed).integers(0, 100, (6, 24, 32)).astype(np.int16)
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing((0.7, 0.7, 3.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    SimpleITK.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="session")
def flags(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flags")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOREIGN_FLAGS", str(folder))
        yield folder


@pytest.fixture(scope="session")
def auth(request):
    """Whether the server asks for a login; not unless a test is parametrised with it."""
    return getattr(request, "param", False)


@pytest.fixture(scope="session")
def studies(tmp_path_factory, auth):
    folder = tmp_path_factory.mktemp("studies")
    for number in range(4):
        write_image(folder / f"case{number}.nrrd", number)
    return folder


@pytest.fixture(scope="session")
def app(studies, flags, auth):
    return create_app(FOREIGN_APP, studies, queue_limit=4, score_in_background=False, max_upload_mib=2, auth=auth)


@pytest.fixture(scope="session")
def server(app):
    with running(app) as address:
        yield address


@pytest.fixture(scope="session")
def services(app, server):
    return app.state.services


@pytest.fixture
def slicer(server, tmp_path, app):
    return connected(server, tmp_path, secret_of(app, "annotator"))


@pytest.fixture
def new_image(tmp_path):
    return write_image(tmp_path / "new volume.nrrd", 99)


@pytest.fixture(scope="session")
def inspector(services):
    return services.inspector


@pytest.fixture
def handed_over(monkeypatch):
    """Let ``hepatic serve`` end where it would listen; what it hands to the web server comes into this list."""
    from server.running import Server

    configs = []

    def run(server):
        configs.append(server.config)
        server.started = True

    monkeypatch.setattr(Server, "run", run)
    return configs


@pytest.fixture(autouse=True)
def _terminal():
    """Take off what a command left on the logging: it would write into what later commands say."""
    yield
    for handler in [handler for handler in logging.root.handlers if handler.name == TERMINAL]:
        logging.root.removeHandler(handler)
