"""A server over a PACS, for as long as a ``with`` block lasts."""

from contextlib import contextmanager
from pathlib import Path

import pytest

from hepatic.settings import settings
from server.app import create_app
from server.running import running

APP = Path(__file__).parent.parent / "pacs_app"


@contextmanager
def served(studies, data, *, app=APP, **chosen):
    """Serve studies, and yield the server's address.

    Args:
        studies: a DICOMweb root or a folder.
        data: the data folder.
        app: the app that is served.
        chosen: settings of DICOMweb, such as ``timeout_s``.
    """
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HEPATIC_DICOMWEB_DATA_DIR", str(data))
        for name, value in {"poll_s": 0.2, **chosen}.items():
            environment.setenv(f"HEPATIC_DICOMWEB_{name.upper()}", str(value))
        settings.cache_clear()
        try:
            with running(create_app(app, studies, score_in_background=False)) as address:
                yield address
        finally:
            settings.cache_clear()
