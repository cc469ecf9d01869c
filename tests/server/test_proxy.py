"""The way to the DICOMweb server, with a real server at its end that records what arrives."""

import asyncio
import base64
import gzip
import socket
import threading
import time
from contextlib import asynccontextmanager, contextmanager

import psutil
import pytest
import requests
from fastapi import FastAPI

from hepatic.errors import BadInputError
from hepatic.pacs import spec as specs
from hepatic.pacs.spec import PacsSpec
from hepatic.settings import Settings
from server import upstream as upstreams
from server.failures import install_handlers
from server.gate import Gate
from server.monai_app import AppSpec
from server.routes import proxy
from server.running import running
from server.upstream import connected, upstream_spec
from tests.server.test_ohif import raw

MIB = 1 << 20
RELATED = 'multipart/related; type="application/dicom"; boundary=abc'


class Pacs:
    """An ASGI application: records requests, answers by the last part of the path."""

    def __init__(self):
        self.requests = []
        self.sent_bytes = 0

    @property
    def last(self):
        return self.requests[-1]

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        seen = {
            "method": scope["method"],
            "target": scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b""),
            "headers": {name.decode(): value.decode() for name, value in scope["headers"]},
            "bytes": 0,
        }
        self.requests.append(seen)
        while True:
            message = await receive()
            seen["bytes"] += len(message.get("body", b""))
            if not message.get("more_body"):
                break

        async def answer(status, headers, *chunks):
            raw_headers = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": status, "headers": raw_headers})
            gone = asyncio.create_task(receive())  # uvicorn goes on taking chunks when the other side has hung up
            for chunk in chunks:
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                self.sent_bytes += len(chunk)
            gone.cancel()
            await send({"type": "http.response.body", "body": b""})

        last = scope["path"].rpartition("/")[2]
        if last == "huge":
            await answer(200, {"content-type": RELATED}, *([b"x" * MIB] * 200))
        elif last == "zipped":
            body = gzip.compress(b'[{"00080005": {}}]')
            headers = {"content-type": "application/dicom+json", "content-encoding": "gzip"}
            await answer(200, {**headers, "content-length": str(len(body))}, body)
        elif last == "elsewhere":
            await answer(302, {"location": "http://127.0.0.1:1/secret"})
        elif last == "locked":
            await answer(401, {"www-authenticate": "Basic"}, b"who are you")
        elif last == "slow":
            await asyncio.sleep(3)
            await answer(200, {})
        elif last == "cut":
            await answer(200, {"content-length": "1000"}, b"short")
        elif last == "nothing":
            await answer(204, {})
        elif last == "part":
            await answer(206, {"content-range": "bytes 2-4/9", "content-length": "3"}, b"cde")
        else:
            told = {"set-cookie": "pacs=1", "server": "pacs", "access-control-allow-origin": "*", "connection": "close"}
            await answer(200, {"content-type": RELATED, "etag": '"1"', **told}, b"--abc\r\n\r\n--abc--")


@contextmanager
def proxied(spec, max_body_bytes=MIB):
    @asynccontextmanager
    async def lifespan(app):
        async with connected(spec) as app.state.upstream:
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(Gate, hosts={"127.0.0.1"}, origins=(), max_body_bytes=max_body_bytes)
    install_handlers(app)
    app.include_router(proxy.router)
    with running(app) as address:
        yield f"{address}/proxy/dicom"


@pytest.fixture(scope="module")
def pacs():
    return Pacs()


@pytest.fixture(scope="module")
def pacs_url(pacs):
    with running(pacs) as address:
        yield f"{address}/dicom-web"


@pytest.fixture(scope="module")
def url(pacs_url):
    spec = PacsSpec(pacs_url, "pacs-user", "pacs-secret", prefixes={"wado": "w"}, silence_s=1.0, takes_studies=True)
    with proxied(spec) as address:
        yield address


INSTANCE = "studies/1.2/series/3/instances/4"
QUERY = "PatientName=A%5EB*&00100020=%2a&x=a+b&&y='\"|"


@pytest.mark.parametrize(
    ("asked", "arrives"),
    [
        ("studies", "studies"),
        (f"qido/studies?{QUERY}", f"studies?{QUERY}"),
        ("qido/studies/1.2/series/3.4/metadata?", "w/studies/1.2/series/3.4/metadata"),
        (f"wado/{INSTANCE}/frames/1,2", f"w/{INSTANCE}/frames/1,2"),
        (f"wado/{INSTANCE}/frames/1%2C2", f"w/{INSTANCE}/frames/1%2C2"),
        ("wado?requestType=WADO&studyUID=1.2", "wado?requestType=WADO&studyUID=1.2"),
        ("studies/?limit=1", "studies/?limit=1"),
        ("studies?next=http://elsewhere/%0d%0aX:1&up=../..", "studies?next=http://elsewhere/%0d%0aX:1&up=../.."),
    ],
)  # fmt: skip
def test_what_is_asked_arrives_byte_for_byte(url, pacs, asked, arrives):
    assert raw(url, f"/proxy/dicom/{asked}")[0] == 200
    assert pacs.last["target"] == f"/dicom-web/{arrives}".encode()


@pytest.mark.parametrize(
    "path",
    [
        "", "..", "../secret", "studies/../../secret", "studies/..", "./studies", "%2e%2e/secret", "%2E%2e%2fsecret",
        "studies%2f1.2", "studies%5c1.2", "studies\\1.2", "studies/%252e%252e/x", "//elsewhere/x", "http://elsewhere/x",
        "http:%2f%2felsewhere", "studies%0d%0aHost:%20elsewhere", "studies%00", "studies//1", "studies/%ff",
        "wado/../x", "wado//x", "qido/%2e%2e/%2e%2e/tools/shutdown", "studies/%zz", "studies/a%20b", "studies/<x>",
    ],
)  # fmt: skip
def test_a_path_that_could_lead_elsewhere_leads_nowhere(url, pacs, path):
    before = len(pacs.requests)
    status, _, body = raw(url, f"/proxy/dicom/{path}")
    assert status in (404, 422)
    assert b"detail" in body
    assert len(pacs.requests) == before


def test_bytes_that_no_url_may_hold_do_not_arrive(url, pacs):
    before = len(pacs.requests)
    with socket.create_connection(("127.0.0.1", int(url.split(":")[2].partition("/")[0]))) as connection:
        connection.sendall(
            b"GET /proxy/dicom/studies?n=\xff\x01 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )
        assert connection.recv(100).startswith((b"HTTP/1.1 400", b"HTTP/1.1 422"))
    assert len(pacs.requests) == before


def test_the_clients_secrets_stay_here_and_the_servers_own_are_used(url, pacs):
    secrets = {"Authorization": "Bearer of-hepatic", "Cookie": "session=1", "X-Forwarded-For": "1.2.3.4", "TE": "x"}
    answer = requests.get(f"{url}/studies", headers={"Accept": RELATED, "Range": "bytes=2-4", **secrets}, timeout=10)
    seen = pacs.last["headers"]
    assert seen["authorization"] == "Basic " + base64.b64encode(b"pacs-user:pacs-secret").decode()
    assert (seen["accept"], seen["range"]) == (RELATED, "bytes=2-4")
    assert set(seen) <= {"host", "accept", "accept-encoding", "range", "user-agent", "connection", "authorization"}
    assert "pacs-secret" not in answer.text + str(answer.headers)


def test_a_token_is_used_where_one_is_set(pacs, pacs_url):
    with proxied(PacsSpec(pacs_url, "user", "password", token="of-the-pacs")) as address:
        requests.get(f"{address}/studies", timeout=10)
    assert pacs.last["headers"]["authorization"] == "Bearer of-the-pacs"
    assert "of-the-pacs" not in repr(PacsSpec(pacs_url, token="of-the-pacs"))


def test_of_the_answers_headers_those_of_the_content_come_back(url):
    answer = requests.get(f"{url}/studies", timeout=10)
    assert answer.headers["content-type"] == RELATED
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert not {"set-cookie", "access-control-allow-origin"} & set(answer.headers)
    assert answer.headers.get("server") != "pacs"


def test_a_compressed_answer_stays_as_it_is_with_its_length(url, pacs):
    answer = requests.get(f"{url}/zipped", headers={"Accept-Encoding": "gzip"}, timeout=10)
    assert answer.headers["content-encoding"] == "gzip"
    assert pacs.last["headers"]["accept-encoding"] == "gzip"
    assert answer.json() == [{"00080005": {}}]
    requests.get(f"{url}/studies", headers={"Accept-Encoding": None}, timeout=10)
    assert pacs.last["headers"]["accept-encoding"] == "identity"


def test_parts_and_empty_answers_keep_their_status(url):
    part = requests.get(f"{url}/part", headers={"Range": "bytes=2-4"}, timeout=10)
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"cde", "bytes 2-4/9")
    assert requests.get(f"{url}/nothing", timeout=10).status_code == 204


def test_200_mib_pass_through_without_being_held(url):
    process = psutil.Process()
    before, most, received = process.memory_info().rss, 0, 0
    with requests.get(f"{url}/wado/huge", stream=True, timeout=30) as answer:
        for chunk in answer.iter_content(MIB):
            received += len(chunk)
            most = max(most, process.memory_info().rss)
    assert received == 200 * MIB
    assert most - before < 32 * MIB  # both servers and the client are in this process


def test_a_client_that_does_not_read_stops_the_flow_and_one_that_goes_ends_it(url, pacs):
    pacs.sent_bytes = 0
    answer = requests.get(f"{url}/wado/huge", stream=True, timeout=30)
    time.sleep(0.5)
    assert pacs.sent_bytes < 40 * MIB  # the kernel's buffers hold some
    answer.close()
    time.sleep(0.3)
    assert pacs.sent_bytes < 60 * MIB
    assert requests.get(f"{url}/studies", timeout=10).status_code == 200


def test_what_is_sent_arrives_in_parts_with_its_boundary(pacs, pacs_url):
    with proxied(PacsSpec(pacs_url, takes_studies=True), max_body_bytes=300 * MIB) as address:
        process = psutil.Process()
        before = process.memory_info().rss
        parts = (b"y" * MIB for _ in range(100))
        answer = requests.post(f"{address}/stow/studies", data=parts, headers={"Content-Type": RELATED}, timeout=30)
        assert process.memory_info().rss - before < 32 * MIB
    assert (answer.status_code, pacs.last["bytes"]) == (200, 100 * MIB)
    assert pacs.last["headers"]["content-type"] == RELATED
    assert pacs.last["target"] == b"/dicom-web/studies"


@pytest.mark.parametrize("known", [True, False], ids=["told beforehand", "in parts"])
def test_more_than_an_upload_may_have_is_refused(url, known):
    body = b"y" * (2 * MIB)
    sent = body if known else iter([body[:MIB], body[MIB:]])
    answer = requests.post(f"{url}/stow/studies", data=sent, headers={"Content-Type": RELATED}, timeout=10)
    assert answer.status_code == 413
    assert "HEPATIC_MAX_UPLOAD_MIB" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["studies", "studies/1.2.3", "stow/studies/", "stow/studies/1.2", "wado/studies"])
def test_files_are_sent_to_studies(url, pacs, path):
    assert requests.post(f"{url}/{path}", data=b"x", headers={"Content-Type": RELATED}, timeout=10).status_code == 200
    assert (pacs.last["method"], pacs.last["bytes"]) == ("POST", 1)


def test_ohif_s_files_go_where_files_are_stored(pacs, pacs_url):
    """OHIF sends them to its WADO root, which a PACS may have elsewhere."""
    prefixes = {"wado": "rs/wado", "qido": "rs/qido", "stow": "rs/stow"}
    with proxied(PacsSpec(pacs_url, takes_studies=True, prefixes=prefixes)) as address:
        for path in ("wado/studies", "stow/studies"):
            requests.post(f"{address}/{path}", data=b"x", headers={"Content-Type": RELATED}, timeout=10)
            assert pacs.last["target"] == b"/dicom-web/rs/stow/studies"


@pytest.mark.parametrize(
    ("path", "content_type", "status"),
    [
        ("servers/other/stow", RELATED, 403),
        ("stow/servers/other/stow", RELATED, 403),
        ("studies/1.2/series/3", RELATED, 403),
        ("studies/1.2%2Fx", RELATED, 422),
        ("studies/all", RELATED, 403),
        ("wado/studies/1.2", RELATED, 403),
        ("wado/studies/1.2/series/3/rendered", RELATED, 403),
        ("qido/studies", RELATED, 403),
        ("stow/studies", "application/json", 400),
        ("studies", "text/plain; a=multipart/related", 400),
        ("studies", None, 400),
    ],
)
def test_nothing_else_is_sent_and_nowhere_else(url, pacs, path, content_type, status):
    before = len(pacs.requests)
    answer = requests.post(f"{url}/{path}", data=b"x", headers={"Content-Type": content_type}, timeout=10)
    assert answer.status_code == status
    assert "detail" in answer.json()
    assert len(pacs.requests) == before


@pytest.mark.parametrize("path", ["studies", "stow/studies", "wado/studies", "qido/studies"])
def test_nothing_is_sent_unless_it_is_allowed(pacs, pacs_url, path):
    before = len(pacs.requests)
    with proxied(PacsSpec(pacs_url)) as address:
        answer = requests.post(f"{address}/{path}", data=b"x", timeout=10)
    assert answer.status_code == 403
    assert "HEPATIC_DICOMWEB_STOW" in answer.json()["detail"]
    assert len(pacs.requests) == before


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("elsewhere", 502, "points elsewhere"),
        ("locked", 502, "refuses this server"),
        ("slow", 504, "said nothing for 1 s"),
    ],
)
def test_an_answer_of_no_use_is_told_in_a_sentence(url, path, status, said):
    answer = requests.get(f"{url}/{path}", timeout=10, allow_redirects=False)
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert not {"location", "www-authenticate"} & set(answer.headers)


def test_an_answer_that_breaks_off_is_not_passed_off_as_whole(url):
    with pytest.raises(requests.exceptions.RequestException):
        _ = requests.get(f"{url}/cut", timeout=10).content


@contextmanager
def one_answer(answer):
    """A socket that reads a request and says this."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(5)


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000])
def test_nonsense_is_a_bad_gateway(answer):
    with one_answer(answer) as nonsense, proxied(PacsSpec(nonsense)) as address:
        got = requests.get(f"{address}/studies", timeout=10)
    assert got.status_code == 502
    assert "127.0.0.1" not in got.text


def test_a_server_that_is_down_is_a_bad_gateway():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with proxied(PacsSpec(f"http://127.0.0.1:{port}", "u", "pacs-secret")) as address:
        answer = requests.get(f"{address}/studies", timeout=10)
    assert answer.status_code == 502
    assert "cannot be reached" in answer.json()["detail"]
    assert str(port) not in answer.text
    assert "pacs-secret" not in answer.text


def test_without_a_dicom_server_the_answer_says_how_to_name_one():
    with proxied(None) as address:
        answer = requests.get(f"{address}/qido/studies", timeout=10)
    assert answer.status_code == 404
    assert "HEPATIC_DICOMWEB_URL" in answer.json()["detail"]


# Which server it is


@pytest.fixture
def environment(monkeypatch):
    """Set HEPATIC_ and MONAI_LABEL_ settings."""
    from monailabel.config import settings as stock

    def use(*, stock_settings=None, **ours):
        chosen = Settings(**ours)
        for module in (upstreams, specs):
            monkeypatch.setattr(module, "settings", lambda: chosen)
        for name, value in (stock_settings or {}).items():
            monkeypatch.setattr(stock, name, value)

    return use


def test_a_served_dicomweb_url_is_the_one_unless_another_is_set(environment, tmp_path):
    environment()
    assert upstream_spec(AppSpec("app", str(tmp_path))) is None
    served = AppSpec("app", "https://pacs/dicom-web/")
    assert upstream_spec(served).url == "https://pacs/dicom-web"
    assert not upstream_spec(served).takes_studies
    environment(dicomweb_url="http://other/root")
    assert upstream_spec(served).url == upstream_spec(AppSpec("app", str(tmp_path))).url == "http://other/root"


def test_the_variables_of_monai_label_count_where_ours_say_nothing(environment, monkeypatch):
    monkeypatch.setenv("MONAI_LABEL_DICOMWEB_USERNAME", "reader")
    monkeypatch.setenv("MONAI_LABEL_DICOMWEB_PASSWORD", "secret")
    monkeypatch.setenv("MONAI_LABEL_DICOMWEB_PROXY_TIMEOUT", "7")
    monkeypatch.setenv("MONAI_LABEL_QIDO_PREFIX", "q/")
    environment()
    spec = upstream_spec(AppSpec("app", "http://pacs"))
    assert (spec.username, spec.password, spec.prefixes, spec.silence_s) == ("reader", "secret", {"qido": "q"}, 7.0)
    environment(dicomweb_username="ours", dicomweb_password="hidden", dicomweb_timeout_s=2)
    spec = upstream_spec(AppSpec("app", "http://pacs"))
    assert (spec.username, spec.password, spec.silence_s) == ("ours", "hidden", 2.0)
    assert "hidden" not in repr(spec)


def test_a_server_of_another_kind_is_not_asked_for_dicom(environment):
    environment(stock_settings={"MONAI_LABEL_DATASTORE": "xnat"})
    assert upstream_spec(AppSpec("app", "https://xnat.example")) is None


@pytest.mark.parametrize(
    "bad",
    [
        "ftp://pacs",
        "pacs:8042",
        "http://",
        "http://pacs/?a=b",
        "http://me:secret@pacs/x",
        "http://pacs:99999",
        "http://[::1",
        "http://pacs/h\u00f4tel",
        "http://pacs/a b",
        "http://pacs/a\r\nX: 1",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_at_the_start(environment, bad, tmp_path):
    environment(dicomweb_url=bad)
    with pytest.raises(BadInputError) as refused:
        upstream_spec(AppSpec("app", str(tmp_path)))
    assert "secret" not in str(refused.value)
