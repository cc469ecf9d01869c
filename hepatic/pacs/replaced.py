"""Series whose instances were replaced by as many others, which the server's list of series does not tell."""

from __future__ import annotations

import math
import time
from pathlib import Path

from hepatic.errors import BadInputError
from hepatic.pacs.attributes import text
from hepatic.pacs.cache import ImageCache
from hepatic.pacs.catalogue import Catalogue
from hepatic.pacs.client import PacsClient
from hepatic.pacs.error import PacsDownError, PacsError
from hepatic.store.images import Image, Images
from hepatic.store.listing import Listing

_AGAIN_S = 600.0
"""A series is compared again after this time."""
_AT_ONCE = 20


class Replaced:
    """Compares what was fetched with what the server has now, by the instances' UIDs; nothing is fetched.

    What is known to have changed since it was fetched is not compared.

    Args:
        client: asks the server.
        catalogue: is told which series to read again.
        images: the index.
        listing: says what has changed.
        cache: what was fetched.
    """

    def __init__(
        self, client: PacsClient, catalogue: Catalogue, images: Images, listing: Listing, cache: ImageCache
    ) -> None:
        self._client, self._catalogue = client, catalogue
        self._images, self._listing, self._cache = images, listing, cache
        self._compared: dict[str, float] = {}

    def look(self, *, all_of_them: bool = False) -> None:
        """Compare the series that were compared longest ago: a few of them, or all."""
        now = time.monotonic()
        there = self._cache.images()
        folders = {id: folder for id, folder in there if self._cache.has(id, self._listing.stamp(id))}
        kept: dict[str, list[tuple[Image, Path]]] = {}
        for image in self._images.all(folders):
            if now - self._compared.get(image.series_uid, -math.inf) >= _AGAIN_S:
                kept.setdefault(image.series_uid, []).append((image, folders[image.id]))
        due = sorted(kept, key=lambda uid: self._compared.get(uid, -math.inf))
        for series_uid in due if all_of_them else due[:_AT_ONCE]:
            try:
                if self._differs(kept[series_uid]):
                    self._catalogue.doubt(series_uid)
            except PacsDownError:
                return
            except (PacsError, BadInputError):  # whoever asks for the image is told
                pass
            self._compared[series_uid] = now

    def _differs(self, kept: list[tuple[Image, Path]]) -> bool:
        series = kept[0][0]
        listed = {text(one, "SOPInstanceUID") for one in self._client.instances(series.study_uid, series.series_uid)}
        here = {file.stem for _, folder in kept for file in folder.glob("*.dcm")}
        is_part = bool(series.instance_uid)
        return bool(listed) and not (here <= listed if is_part else here == listed)
