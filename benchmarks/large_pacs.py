"""What a PACS of 5,000 series costs: start-up, and what viewers ask all the time, while it is asked for new series.

    python -m benchmarks.large_pacs
    python -m benchmarks.large_pacs --series 1000 --requests 50

A server in its own process, as ``hepatic serve --studies http://...`` starts it, over a DICOMweb server that only
lists: four CT phases a study, paged. It is polled every second (30 s by default), so that requests meet polls. Requests
come one after the other over one connection. No image can be fetched, so that fetching ahead fails at once.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
import uvicorn
from pydicom.dataset import Dataset
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.large_store import serving, shown, times_ms

LIMIT_MS = 50.0
POLL_S = 1.0


def series(count: int) -> list[str]:
    """Return series as a search answers with, in DICOM JSON."""
    listed = []
    for n in range(count):
        one = Dataset()
        one.Modality, one.PatientID, one.StudyDate = "CT", f"P{n // 8:05d}", "20260101"
        one.StudyInstanceUID, one.SeriesInstanceUID = f"1.2.3.{n // 4}", f"1.2.4.{n}"
        one.SeriesDescription = ("native", "arterial", "portal venous", "delayed")[n % 4]
        one.NumberOfSeriesRelatedInstances = 300
        listed.append(json.dumps(one.to_json_dict()))
    return listed


@contextmanager
def pacs(count: int) -> Iterator[str]:
    """Serve a list of series, and yield the DICOMweb root."""
    listed = series(count)

    async def search(request: Request) -> Response:
        limit, offset = (int(request.query_params.get(name, 0)) for name in ("limit", "offset"))
        found = listed[offset : offset + (limit or count)] if request.query_params.get("Modality") == "CT" else []
        if not found:
            return Response(status_code=204)
        return Response(f"[{','.join(found)}]", media_type="application/dicom+json")

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(Starlette(routes=[Route("/dicom-web/series", search)]), log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/dicom-web"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(timeout=10)


def measure(count: int, folder: Path, asked: int) -> dict[str, list[float]]:
    """Measure a PACS of so many series; milliseconds by what was done."""
    os.environ |= {"HEPATIC_DICOMWEB_DATA_DIR": str(folder / "data"), "HEPATIC_DICOMWEB_POLL_S": str(POLL_S)}
    found: dict[str, list[float]] = {}
    with pacs(count) as url, serving(url, log=folder / "log.txt") as (address, ready_s):
        found["start, nothing listed: until ready"] = [1000 * ready_s]
        started = time.perf_counter()
        while requests.get(f"{address}/datastore/", timeout=60).json()["total"] != count:
            time.sleep(0.05)
        found["... until all are listed"] = [1000 * (ready_s + time.perf_counter() - started)]
        session = requests.Session()
        session.get(f"{address}/info/", timeout=60)
        found["GET /info/"] = times_ms(lambda _: session.get(f"{address}/info/", timeout=60), asked)
        for strategy in ("first", "random"):
            address_of = f"{address}/activelearning/{strategy}"

            def next_sample(_: int, url: str = address_of) -> requests.Response:
                return session.post(url, json={}, timeout=60)

            found[f"POST /activelearning/{strategy}"] = times_ms(next_sample, asked)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=5000)
    parser.add_argument("--requests", type=int, default=200, help="of each kind")
    parser.add_argument("--quick", action="store_true", help="tiny: does it run?")
    chosen = parser.parse_args(arguments)
    if chosen.quick:
        chosen.series, chosen.requests = 100, 20
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="large-pacs-") as folder:
        found = measure(chosen.series, Path(folder), chosen.requests)
    table = Table(title=f"median / 95th percentile of {chosen.requests} requests", title_justify="left")
    table.add_column("")
    table.add_column(f"{chosen.series:,} series in the PACS", justify="right")
    for what, taken in found.items():
        table.add_row(what, shown(taken))
    console.print(table)
    slow = [what for what, taken in found.items() if len(taken) > 1 and _p95(taken) > LIMIT_MS]
    console.print(f"95th percentile above {LIMIT_MS:g} ms: {', '.join(slow) or 'none'}")


def _p95(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=20)[-1]


if __name__ == "__main__":
    main()
