"""When studies were made, from the headers of their images: what tells two studies of one patient apart."""

from __future__ import annotations

import re
from contextlib import suppress

from hepatic.errors import HepaticError
from hepatic.io.header import header
from hepatic.store.store import Store
from server.host import Host, is_shared

_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")


class StudyDates:
    """The study dates of images; a header is read once.

    Args:
        host: the app, whose datastore has the images.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._known: dict[str, str] = {}

    def of(self, image_id: str) -> str:
        """Return the date of an image's study, YYYY-MM-DD; empty where nobody knows."""
        if image_id not in self._known:
            self._known[image_id] = self._read(image_id)
        return self._known[image_id]

    def _read(self, image_id: str) -> str:
        if not is_shared(self._host.datastore):
            return ""
        with suppress(HepaticError, OSError):
            store: Store = self._host.datastore.store
            date = store.study_date(image_id)
            if not date and store.is_here(image_id):
                date = header(store.files(image_id)[0]).study_date or ""
            found = _DATE.fullmatch(date)
            return "-".join(found.groups()) if found else ""
        return ""
