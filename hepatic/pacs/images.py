"""The images that a series is: all of a CT series, each run of XA, each cine and still of ultrasound."""

from __future__ import annotations

import time
from itertools import islice

from hepatic.errors import BadInputError, NotFoundError
from hepatic.pacs.attributes import Attributes, number, text
from hepatic.pacs.client import PacsClient
from hepatic.store.listing import Listed, Listing
from hepatic.store.names import safe_id

IMAGES = ("CT", "XA", "US")
"""Modalities whose series are images."""

_CINES = ("XA", "US")
_FIELDS = ("NumberOfFrames", "Rows", "Columns", "InstanceNumber")
_MULTIFRAME = ("1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.12.2", "1.2.840.10008.5.1.4.1.1.3.1")


class SeriesImages:
    """Asks a server what it must be asked to know the images of a series.

    Args:
        client: asks the server.
        listing: the index, whose images keep their ids.
    """

    def __init__(self, client: PacsClient, listing: Listing) -> None:
        self._client, self._listing = client, listing

    def of(self, series: Attributes) -> list[Listed]:
        """Return the images of a series; none where it is of another modality, or gone.

        Args:
            series: as the server lists it.

        Raises:
            PacsError: the server does not say.
        """
        modality, uid = text(series, "Modality"), text(series, "SeriesInstanceUID")
        if modality not in IMAGES or not text(series, "StudyInstanceUID"):
            return []
        count = number(series, "NumberOfSeriesRelatedInstances")
        if modality not in _CINES:
            return [_listed(series, safe_id(uid), count=count, size=(0, 0, count))]
        study = text(series, "StudyInstanceUID")
        try:
            instances = self._client.instances(study, uid, fields=_FIELDS)
        except BadInputError:  # gone in the meantime, or its UIDs are none
            return []
        instances.sort(key=lambda one: (number(one, "InstanceNumber"), text(one, "SOPInstanceUID")))
        known, plain = self._listing.of_series(uid), safe_id(uid)
        ids = {sop: id for id, sop in known.items() if id != plain}
        if known.get(plain):  # also where it is not listed: the labels of a cine never become those of another
            ids[known[plain]] = plain
        else:
            new = (sop for one in instances if (sop := text(one, "SOPInstanceUID")) not in ids)
            ids |= dict.fromkeys(islice(new, 1), plain)
        images = []
        for one in instances:
            sop = text(one, "SOPInstanceUID")
            frames = number(one, "NumberOfFrames") or self._frames(study, uid, one)
            size = (number(one, "Columns"), number(one, "Rows"), frames)
            id = ids.get(sop) or safe_id(plain, unique=sop)
            images.append(_listed(series, id, count=1, size=size, instance=sop))
        return images

    def _frames(self, study: str, series: str, instance: Attributes) -> int:
        """Return the number of frames of an instance whose server did not list it."""
        if text(instance, "SOPClassUID") not in _MULTIFRAME:
            return 1
        try:
            found = self._client.attributes(study, series, text(instance, "SOPInstanceUID"))
        except NotFoundError:
            return 1
        return number(found[0], "NumberOfFrames") or 1 if found else 1


def _listed(series: Attributes, id: str, *, count: int, size: tuple[int, int, int], instance: str = "") -> Listed:
    study, uid = text(series, "StudyInstanceUID"), text(series, "SeriesInstanceUID")
    last = f"{instance}.dcm" if instance else f"{uid}.dcm" if count == 1 else uid
    return Listed(
        id=id,
        path=f"{text(series, 'StudyDate') or '0'}/{study}/{uid}/{last}",
        modality=text(series, "Modality"),
        patient_id=text(series, "PatientID"),
        study_uid=study,
        series_uid=uid,
        instance_uid=instance,
        kind="cine" if instance else "volume",
        size=size,
        description=text(series, "SeriesDescription"),
        file_count=count or 2,  # nobody said; more than one until it is fetched
        stamp=time.time_ns(),
    )
