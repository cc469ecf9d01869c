"""The client 3D Slicer's MONAI Label extension uses, out of the installed wheel, unmodified."""

import importlib.util
import sys
import sysconfig
from pathlib import Path

import pytest
import requests

from server.access.roles import Role

both_with_and_without_a_login = pytest.mark.parametrize(
    "auth", [False, True], ids=["open", "login"], indirect=True, scope="session"
)


def slicer_client_class():
    """Load ``MONAILabelClient``."""
    folder = Path(sysconfig.get_path("data")) / "monailabel/plugins/slicer/MONAILabel/MONAILabelLib"
    spec = importlib.util.spec_from_file_location("slicer_client", folder / "client.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["slicer_client"] = module
    spec.loader.exec_module(module)
    return module.MONAILabelClient


def secret_of(app, role):
    """The secret of a new token for a running app; empty where it asks for no login."""
    access = app.state.access
    return access.tokens.create("reader-1", Role.named(role), expires=None)[1] if access.required else ""


def connected(server, folder, secret=""):
    """3D Slicer's client, logged in as its module does it if there is a secret to type into the dialog."""
    client = slicer_client_class()(server, str(folder), "reader-1")
    if secret:
        assert client.auth_enabled()
        client.update_auth(client.auth_token("reader-1", secret))
    assert client.auth_valid_token()
    return client


def web(app):
    """``requests``, with an admin's token where the app asks for a login."""
    session = requests.Session()
    secret = secret_of(app, "admin")
    if secret:
        session.headers["Authorization"] = f"Bearer {secret}"
    return session
