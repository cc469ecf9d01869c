"""A DICOMweb server as our code asks it: search (QIDO-RS), fetch (WADO-RS), send (STOW-RS). PS3.18."""

from __future__ import annotations

import io
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom.dataset import Dataset

from hepatic.errors import BadInputError, HepaticError, NotFoundError
from hepatic.pacs.attributes import Attributes, text
from hepatic.pacs.error import failed, nonsense
from hepatic.pacs.parts import write_parts
from hepatic.pacs.session import PacsSession, chunks
from hepatic.pacs.spec import PacsSpec
from hepatic.pacs.stow import Stored, read_answer, write_body

logging.getLogger("dicomweb_client").setLevel(logging.WARNING)  # it tells the UIDs of everything it is asked for

_PAGE = 1000
_MOST = 500_000
_LARGEST_INSTANCE_MIB = 4096
_IN_MEMORY_BYTES = 32 << 20
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_NO_DICOM_JSON = (
    requests.RequestException,
    ArithmeticError,
    AttributeError,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
)
_LONGEST_UID = 128  # twice what DICOM allows


class PacsClient:
    """Asks one DICOMweb server; threads may share it.

    Every method raises PacsError where there is no answer or none of use, and NotFoundError where the server says that
    there is no such thing.

    Args:
        spec: which server.
        page: how many results are asked for at a time.
    """

    def __init__(self, spec: PacsSpec, *, page: int = _PAGE) -> None:
        self.spec, self._page = spec, page
        self._session = PacsSession(spec)
        self._web = DICOMwebClient(
            spec.url,
            session=self._session,
            qido_url_prefix=spec.prefixes.get("qido"),
            wado_url_prefix=spec.prefixes.get("wado"),
            stow_url_prefix=spec.prefixes.get("stow"),
            permissive_uid=True,  # what the server lists it must be asked for; everything else is checked here
            timeout=spec.silence_s,
        )
        self._web.set_http_retry_params(retry=False)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    # Search

    def studies(self, filters: Mapping[str, str] | None = None, *, fields: Sequence[str] = ()) -> list[Attributes]:
        """Return the studies that match.

        Args:
            filters: values by keyword; what they may be is in PS3.4 C.2.2.2 (``*``, date ranges).
            fields: keywords of attributes that are asked for besides those that every server gives.
        """
        return self._paged(
            lambda offset: self._web.search_for_studies(
                limit=self._page, offset=offset, fields=fields or None, search_filters=dict(filters or {})
            ),
            "StudyInstanceUID",
        )

    def series(
        self, filters: Mapping[str, str] | None = None, *, study_uid: str | None = None, fields: Sequence[str] = ()
    ) -> list[Attributes]:
        """Return the series that match, of all studies or of one."""
        _check_uids(study_uid)
        return self._paged(
            lambda offset: self._web.search_for_series(
                study_uid, limit=self._page, offset=offset, fields=fields or None, search_filters=dict(filters or {})
            ),
            "SeriesInstanceUID",
        )

    def instances(
        self,
        study_uid: str,
        series_uid: str,
        *,
        filters: Mapping[str, str] | None = None,
        fields: Sequence[str] = (),
    ) -> list[Attributes]:
        """Return the instances of a series that match."""
        _check_uids(study_uid, series_uid)
        return self._paged(
            lambda offset: self._web.search_for_instances(
                study_uid,
                series_uid,
                limit=self._page,
                offset=offset,
                fields=fields or None,
                search_filters=dict(filters or {}),
            ),
            "SOPInstanceUID",
        )

    def has_instance(self, study_uid: str, series_uid: str, sop_uid: str) -> bool:
        """Return whether the server has an instance; nothing is fetched."""
        _check_uids(sop_uid)
        try:
            found = self.instances(study_uid, series_uid, filters={"SOPInstanceUID": sop_uid})
        except NotFoundError:
            return False
        return any(text(one, "SOPInstanceUID") == sop_uid for one in found)

    # Fetch

    def metadata(self, study_uid: str, series_uid: str, sop_uid: str | None = None) -> list[Dataset]:
        """Return the attributes of the instances of a series, or of one, without their pixels."""
        found = self.attributes(study_uid, series_uid, sop_uid)
        with _answered():
            return [Dataset.from_json(dict(one), bulk_data_uri_handler=lambda tag, vr, uri: None) for one in found]

    def attributes(self, study_uid: str, series_uid: str, sop_uid: str | None = None) -> list[Attributes]:
        """Return the same as the server tells them; any of them may be odd."""
        _check_uids(study_uid, series_uid, sop_uid)
        with _answered():
            told = (
                self._web.retrieve_series_metadata(study_uid, series_uid)
                if sop_uid is None
                else self._web.retrieve_instance_metadata(study_uid, series_uid, sop_uid)
            )
            return _objects(told if isinstance(told, list) else [told])

    def instance(self, study_uid: str, series_uid: str, sop_uid: str) -> bytes:
        """Return an instance as the DICOM file the server has."""
        file = io.BytesIO()
        self.save_instance(study_uid, series_uid, sop_uid, file)
        return file.getvalue()

    def save_instance(
        self,
        study_uid: str,
        series_uid: str,
        sop_uid: str,
        file: BinaryIO,
        *,
        at_most_bytes: int = _LARGEST_INSTANCE_MIB << 20,
    ) -> None:
        """Write an instance into an open file, as it comes."""
        _check_uids(study_uid, series_uid, sop_uid)
        path = f"studies/{study_uid}/series/{series_uid}/instances/{sop_uid}"
        parts = self._fetch(path, at_most_bytes, lambda: file, lambda _: None)
        if parts != 1:
            raise nonsense(f"{parts} files came instead of one")

    def save_series(
        self,
        study_uid: str,
        series_uid: str,
        begin: Callable[[], BinaryIO],
        end: Callable[[BinaryIO], None],
        *,
        at_most_bytes: int,
    ) -> int:
        """Write all instances of a series into files, in one answer; return how many came.

        Args:
            begin: opens the file for the next one.
            end: called with that file when it is complete.
        """
        _check_uids(study_uid, series_uid)
        return self._fetch(f"studies/{study_uid}/series/{series_uid}", at_most_bytes, begin, end)

    # Send

    def store(self, instances: Iterable[Dataset | Path], *, study_uid: str | None = None) -> Stored:
        """Send instances in one request (STOW-RS) and return what became of each.

        An instance that is there already counts as stored. The caller sees to it that anything may be sent.

        Args:
            instances: datasets with file meta information, or DICOM files.
            study_uid: the study they all belong to.

        Raises:
            PacsError: the server did not say what became of them; it may have stored some.
        """
        _check_uids(study_uid)
        boundary = uuid.uuid4().hex
        with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as body:
            sent = write_body(instances, boundary, body)
            if not sent:
                return Stored((), {})
            body.seek(0)
            answer = self._session.post(
                self._url("stow", "studies" if study_uid is None else f"studies/{study_uid}"),
                data=body,
                headers={
                    "Content-Type": f'multipart/related; type="application/dicom"; boundary="{boundary}"',
                    "Accept": "application/dicom+json",
                },
            )
        return self._stored(answer, sent)

    def _stored(self, answer: requests.Response, sent: Mapping[str, tuple[str, str]]) -> Stored:
        stored, failures = read_answer(answer.content)
        if answer.status_code >= 400 and not failures:
            raise failed(answer.status_code)
        for uid in sent:
            if uid not in failures and uid not in stored and not self.has_instance(*sent[uid], uid):
                failures[uid] = "it does not say so, and it is not there"
        return Stored(
            tuple(uid for uid in sent if uid not in failures), {u: failures[u] for u in sent if u in failures}
        )

    def _paged(self, ask: Callable[[int], Sequence[Attributes]], key: str) -> list[Attributes]:
        """Ask page after page until one brings nothing new: servers cut pages short, or take no notice of them."""
        found: dict[str, Attributes] = {}
        offset = 0
        while True:
            with _answered():
                try:
                    page = _objects(ask(offset))
                except NotFoundError:
                    if offset:  # past the end, as some servers see it
                        return list(found.values())
                    raise
            new = {uid: one for one in page if _is_uid(uid := text(one, key)) and uid not in found}
            if page and not new and not found:
                raise nonsense(f"it lists objects without {key}")
            found |= new
            offset += len(page)
            if not new or len(page) > self._page:
                return list(found.values())
            if len(found) > _MOST:
                raise nonsense(f"it lists more than {_MOST} objects; narrow HEPATIC_DICOMWEB_FILTER")

    def _fetch(
        self, path: str, at_most_bytes: int, begin: Callable[[], BinaryIO], end: Callable[[BinaryIO], None]
    ) -> int:
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        answer = self._session.get(self._url("wado", path), headers={"Accept": accept}, stream=True)
        with closing(answer):
            body = chunks(answer, at_most_bytes=at_most_bytes, silence_s=self.spec.silence_s)
            return write_parts(answer.headers.get("Content-Type", ""), body, begin, end)

    def _url(self, operation: str, path: str) -> str:
        return "/".join(filter(None, (self.spec.url, self.spec.prefixes.get(operation), path)))


def _objects(told: Sequence[object]) -> list[Attributes]:
    objects = [one for one in told if isinstance(one, Mapping)]
    if len(objects) != len(told):
        raise nonsense("it lists something else than DICOM objects")
    return objects


@contextmanager
def _answered() -> Iterator[None]:
    """Turn what a parser says of an answer into what a person can read."""
    try:
        yield
    except HepaticError:
        raise
    except _NO_DICOM_JSON as failure:
        raise nonsense("it is no DICOM JSON") from failure


def _is_uid(text: str) -> bool:
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def _check_uids(*uids: str | None) -> None:
    for uid in uids:
        if uid is not None and not _is_uid(uid):
            raise BadInputError(
                "the UID",
                expected="digits and dots",
                came=f"{len(uid)} characters that are not",
                fix="Use the UID as the PACS lists it.",
            )
