"""Uploads on their way in lie in the scratch folder, and nowhere else."""

import tempfile
import threading

import requests
from fastapi.routing import APIRoute

from server.app import _ROUTERS
from server.intake.spool import SpoolingRoute


def test_every_route_that_takes_files_spools_them():
    taking = [
        route
        for router in _ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        and any("UploadFile" in str(field.field_info.annotation) for field in route.dependant.body_params)
    ]
    assert len(taking) >= 5
    assert all(isinstance(route, SpoolingRoute) for route in taking)


def test_a_large_upload_waits_in_the_scratch_folder(server, services, monkeypatch):
    folders = []
    halfway, go_on = threading.Event(), threading.Event()
    real = tempfile.TemporaryFile

    def noted(*args, **options):
        folders.append(options.get("dir"))
        return real(*args, **options)

    monkeypatch.setattr(tempfile, "TemporaryFile", noted)

    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="x.nrrd"\r\n\r\n'
        yield bytes(3 << 19)
        halfway.set()
        go_on.wait(10)
        yield b"\r\n--b--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=b"}
    sending = threading.Thread(
        target=lambda: requests.put(f"{server}/session/", data=body(), headers=headers, timeout=20)
    )
    sending.start()
    assert halfway.wait(10)
    assert requests.get(f"{server}/info/", timeout=5).ok  # a slow upload keeps nobody waiting
    go_on.set()
    sending.join()
    assert folders == [str(services.scratch.dir)]


def test_a_request_of_a_thousand_files_is_refused_whole(server, services):
    files = [("files", (f"{number}.dcm", b"x")) for number in range(1000)]
    answer = requests.put(f"{server}/session/", files=files, timeout=30)
    assert answer.status_code == 400
    assert "Too many files" in answer.json()["detail"]
    assert [path for path in services.scratch.dir.iterdir() if path.is_file()] == []
