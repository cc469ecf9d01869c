"""A small DICOMweb server that can be slow, stopped, cut short, locked, or lie.

It speaks as much of PS3.18 as a PACS must, and answers 400 to a search for an attribute it does not know.
"""

import asyncio
import io
import json
import socket
import threading
import time
from contextlib import contextmanager

import pydicom
import uvicorn
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

LEVELS = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID", "instance": "SOPInstanceUID"}
FIELDS = {
    "study": ("StudyDate", "PatientID", "StudyInstanceUID", "StudyDescription"),
    "series": (
        "StudyDate",
        "PatientID",
        "StudyInstanceUID",
        "Modality",
        "SeriesDescription",
        "SeriesInstanceUID",
    ),
    "instance": ("SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "NumberOfFrames"),
}
BOUNDARY = b"0123456789abcdef"


class FakePacs:
    """Holds instances in memory and serves them; every attribute may be changed while it runs.

    Attributes:
        instances: the DICOM files by SOPInstanceUID.
        listed: further results of searches for series, in DICOM JSON: series of which there are no files.
        odd: values that are told instead of what is there, by UID of a series or an instance, then by keyword.
        trouble: what goes wrong, by what is asked: ``{"search" | "instances" | "metadata" | "file" | "store": kind}``;
            under a SeriesInstanceUID, by the search for the instances of that series alone; under a SOPInstanceUID,
            by storing that instance.
        asked: paths with query strings, in order.
        received: authorization headers, in order.
        limit: how many results it gives at most, whatever is asked; None for as many as are asked for.
        counts: whether it tells NumberOfSeriesRelatedInstances.
        slow_s: how long ``slow`` takes.
    """

    def __init__(self):
        self.instances = {}
        self.listed = []
        self.odd = {}
        self.trouble = {}
        self.asked = []
        self.received = []
        self.limit = None
        self.counts = True
        self.slow_s = 10.0
        self.in_flight = self.most_in_flight = 0
        self._lock = threading.Lock()
        self._forever = 0

    def take(self, file):
        """Take in a DICOM file: bytes, a path, or a dataset."""
        if isinstance(file, pydicom.Dataset):
            stream = io.BytesIO()
            pydicom.dcmwrite(stream, file, enforce_file_format=True)
            file = stream.getvalue()
        elif not isinstance(file, bytes):
            file = file.read_bytes()
        dataset = pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True)
        self.instances[str(dataset.SOPInstanceUID)] = (file, dataset)
        return str(dataset.SOPInstanceUID)

    def datasets(self, **wanted):
        return [
            dataset
            for _, dataset in list(self.instances.values())
            if all(not value or str(dataset.get(keyword, "")) == value for keyword, value in wanted.items())
        ]

    @property
    def app(self):
        study, series = "/dicom-web/studies/{StudyInstanceUID}", "/series/{SeriesInstanceUID}"
        get = ["GET"]
        return Starlette(
            routes=[
                Route("/dicom-web/studies", self.studies, methods=get),
                Route("/dicom-web/studies", self.store, methods=["POST"]),
                Route("/dicom-web/series", self.series, methods=get),
                Route(f"{study}/series", self.series, methods=get),
                Route(f"{study}{series}/instances", self.instance_list, methods=get),
                Route(f"{study}{series}/metadata", self.metadata, methods=get),
                Route(f"{study}{series}", self.file, methods=get),
                Route(f"{study}{series}/instances/{{SOPInstanceUID}}/metadata", self.metadata, methods=get),
                Route(f"{study}{series}/instances/{{SOPInstanceUID}}", self.file, methods=get),
            ]
        )

    # What is asked

    async def studies(self, request):
        return await self._search(request, "study")

    async def series(self, request):
        return await self._search(request, "series")

    async def instance_list(self, request):
        return await self._search(request, "instance")

    async def metadata(self, request):
        found = self.datasets(**request.path_params)
        if not found:
            return await self._say(request, "metadata", Response(status_code=404))
        body = json.dumps([self._told(without_pixels(dataset), str(dataset.SOPInstanceUID)) for dataset in found])
        return await self._say(request, "metadata", Response(body, media_type="application/dicom+json"))

    async def file(self, request):
        found = self.datasets(**request.path_params)
        if not found:
            return await self._say(request, "file", Response(status_code=404))
        trouble = self._trouble(request, "file")
        if trouble == "another":
            asked = {str(dataset.SOPInstanceUID) for dataset in found}
            found = [dataset for dataset in self.datasets() if str(dataset.SOPInstanceUID) not in asked][:1]
        files = [self.instances[str(dataset.SOPInstanceUID)][0] for dataset in found]
        if trouble == "half":
            files = [file[: len(file) // 2] for file in files]
        if trouble == "plain":
            return await self._say(request, "file", Response(files[0], media_type="application/octet-stream"))
        body = b"".join(b"\r\n--%s\r\nContent-Type: application/dicom\r\n\r\n%s" % (BOUNDARY, file) for file in files)
        related = f'multipart/related; type="application/dicom"; boundary="{BOUNDARY.decode()}"'
        return await self._say(request, "file", Response(body + b"\r\n--%s--\r\n" % BOUNDARY, media_type=related))

    async def store(self, request):
        body = await request.body()
        boundary = request.headers["content-type"].partition('boundary="')[2].rstrip('"').encode()
        refused, stored = [], []
        for part in body.split(b"\r\n--" + boundary)[1:-1]:
            file = part.partition(b"\r\n\r\n")[2]
            dataset = pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True)
            if str(dataset.SOPInstanceUID) in self.trouble:
                return await self._say(request, str(dataset.SOPInstanceUID), Response())
            if self.trouble.get("store") == "refused" or (self.trouble.get("store") == "first" and not refused):
                refused.append(str(dataset.SOPInstanceUID))
            else:
                stored.append(self.take(file))
        told = {}
        if stored:
            told["00081199"] = {"vr": "SQ", "Value": [_reference(uid) for uid in stored]}
        if refused:
            reason = {"00081197": {"vr": "US", "Value": [0xA700]}}
            told["00081198"] = {"vr": "SQ", "Value": [{**_reference(uid), **reason} for uid in refused]}
        status = 200 if not refused else 202 if stored else 409
        body = b"" if self.trouble.get("store") == "says nothing" else json.dumps(told).encode()
        return await self._say(request, "store", Response(body, status, media_type="application/dicom+json"))

    # How it answers

    async def _search(self, request, level):
        query = dict(request.query_params)
        limit, offset = int(query.pop("limit", 0)), int(query.pop("offset", 0))
        fields = [*FIELDS[level], *request.query_params.getlist("includefield")]
        query.pop("includefield", None)
        query = {keyword_for_tag(k) if k.isdigit() else k: value for k, value in query.items()}
        if unknown := [keyword for keyword in query if keyword not in {*FIELDS["study"], *fields}]:
            return Response(f"unknown: {unknown}", 400)
        results, seen = [], set()
        for dataset in self.datasets(**request.path_params):
            uid = str(dataset.get(LEVELS[level]))
            if uid in seen or not _is_asked_for(dataset, query):
                continue
            seen.add(uid)
            said = pydicom.Dataset()
            for keyword in fields:
                if keyword in dataset:
                    said[keyword] = dataset[keyword]
            told = said.to_json_dict()
            if level == "series" and self.counts:
                n = len(self.datasets(SeriesInstanceUID=uid))
                told["00201209"] = {"vr": "IS", "Value": [n + 7 if self.trouble.get("search") == "wrong count" else n]}
            results.append(self._told(told, uid))
        if level == "series":
            wanted = {**request.path_params, **query}
            results += [one for one in self.listed if _is_asked_for(pydicom.Dataset.from_json(one), wanted)]
        series = request.path_params.get("SeriesInstanceUID")
        what = "search" if level != "instance" else series if series in self.trouble else "instances"
        if self.trouble.get("search") == "endless":
            self._forever += 1
            results, offset = [_series_of(f"1.2.3.{self._forever}.{n}") for n in range(20)], 0
        if self.trouble.get("search") != "no paging":
            results = results[offset : offset + min(limit or len(results), self.limit or len(results))]
        if not results:
            return await self._say(request, what, Response(status_code=204))
        return await self._say(request, what, Response(json.dumps(results), media_type="application/dicom+json"))

    def _told(self, attributes, uid):
        odd = {
            f"{tag_for_keyword(keyword):08X}": {"vr": dictionary_VR(keyword), "Value": values}
            for keyword, values in self.odd.get(uid, {}).items()
        }
        return {**attributes, **odd}

    def _trouble(self, request, what):
        return self.trouble.get(what) or self.trouble.get(request.url.path.rpartition("/")[2])

    async def _say(self, request: Request, what: str, answer: Response):
        self.asked.append(
            request.url.path.removeprefix("/dicom-web") + (f"?{request.url.query}" if request.url.query else "")
        )
        self.received.append(request.headers.get("authorization", ""))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0.005)
            match self._trouble(request, what):
                case "slow":
                    await asyncio.sleep(self.slow_s)
                case "html":
                    return Response("<html>Please log in</html>", media_type="text/html")
                case "truncated":
                    return _Cut(answer)
                case "locked":
                    return Response("who are you", 401, {"WWW-Authenticate": "Basic"})
                case "elsewhere":
                    return Response(status_code=302, headers={"Location": "http://127.0.0.1:1/"})
                case "gone":
                    return Response(status_code=404)
                case "failing":
                    return Response("stack trace", 500)
                case "numbers":
                    return Response("[1, 2, 3]", media_type="application/dicom+json")
            return answer
        finally:
            self.in_flight -= 1


class _Cut(Response):
    """Promises the whole body and hangs up in its middle."""

    def __init__(self, answer):
        self._answer = answer

    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": self._answer.raw_headers})
        body = self._answer.body
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        raise ConnectionAbortedError


def series_in_json(uid, *, study, patient, modality="CT", instances=40, description=""):
    """A series as a search lists it, for one of which there is no file."""
    said = pydicom.Dataset()
    said.StudyInstanceUID, said.SeriesInstanceUID, said.PatientID, said.Modality = study, uid, patient, modality
    said.SeriesDescription, said.NumberOfSeriesRelatedInstances, said.StudyDate = description, instances, "20260101"
    return said.to_json_dict()


def without_pixels(dataset):
    return {tag: value for tag, value in dataset.to_json_dict().items() if tag != "7FE00010"}


def _series_of(uid):
    return series_in_json(uid, study="1.2", patient="P")


def _reference(uid):
    return {"00081155": {"vr": "UI", "Value": [uid]}}


def _is_asked_for(dataset, wanted):
    return all(_matches(dataset, *one) for one in wanted.items())


def _matches(dataset, keyword, wanted):
    value = str(dataset.get(keyword, ""))
    if keyword == "StudyDate" and "-" in wanted:
        first, _, last = wanted.partition("-")
        return (first or "0") <= value <= (last or "9")
    return value.startswith(wanted[:-1]) if wanted.endswith("*") else value == wanted


@contextmanager
def serving(pacs, port=0):
    """Serve it, and yield its DICOMweb root."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        config = uvicorn.Config(pacs.app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/dicom-web"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(timeout=10)
