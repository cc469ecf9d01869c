"""The viewer of the monailabel wheel, and MONAI Label's few static files, over real HTTP."""

import re
import socket
from urllib.parse import urlsplit

import pytest
import requests

from server.routes import ohif
from server.routes.static import Tree, monailabel_static

ROOT = monailabel_static()
VIEWER = ROOT / "ohif"
TRAVERSALS = [
    "../app.py", "..", "../", "./index.html", "assets/../index.html", "assets/../../favicon.ico", "..%2f..%2fapp.py",
    "..%2F..%2Fohif.py", "%2e%2e/%2e%2e/app.py", "%2e%2e%2fapp.py", "..%252fapp.py", "%252e%252e%252fapp.py",
    "..%5c..%5capp.py", "..\\app.py", "/etc/passwd", "%2fetc%2fpasswd", "//etc/passwd", "C:%5cWindows%5cwin.ini",
    "C:/Windows/win.ini", "index.html%00.js", "%00", "assets//favicon.ico", ".gitignore", "a%0d%0ab", "index.html/..",
]  # fmt: skip


def raw(server, path, method="GET"):
    """Status, headers and body of a request whose path nobody tidied up."""
    host, port = urlsplit(server).hostname, urlsplit(server).port
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode("latin-1").lower(), body


@pytest.mark.parametrize(
    "page",
    ["", "index.html", "monai-label?StudyInstanceUIDs=1.2", "monai-label/?StudyInstanceUIDs=1.2", "viewer/dicomweb"],
)
def test_every_page_of_the_viewer_is_its_first_page(server, page):
    answer = requests.get(f"{server}/ohif/{page}", timeout=10)
    assert answer.status_code == 200
    assert answer.content == (VIEWER / "index.html").read_bytes()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("pattern", "media_type", "hashed"),
    [
        ("app.bundle.*.js", "text/javascript; charset=utf-8", True),
        ("app.bundle.css", "text/css; charset=utf-8", False),
        ("*.wasm", "application/wasm", True),
        ("manifest.json", "application/json", False),
        ("*.svg", "image/svg+xml", False),
        ("silent-refresh.html", "text/html; charset=utf-8", False),
        ("assets/*.png", "image/png", False),
    ],
)
def test_a_file_of_the_viewer_is_served_as_it_is(server, pattern, media_type, hashed):
    file = sorted(VIEWER.glob(pattern))[0]
    answer = requests.get(f"{server}/ohif/{file.relative_to(VIEWER).as_posix()}", timeout=30)
    assert answer.status_code == 200
    assert answer.content == file.read_bytes()
    assert answer.headers["content-type"] == media_type
    assert int(answer.headers["content-length"]) == file.stat().st_size
    assert ("immutable" in answer.headers["cache-control"]) == hashed
    assert (answer.headers["cache-control"] == "no-cache") != hashed
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_its_settings_are_ours_and_say_that_nothing_may_be_sent_where_nothing_may(server):
    answer = requests.get(f"{server}/ohif/app-config.js", timeout=10)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert "dicomUploadEnabled: false" in answer.text
    assert set(re.findall(r"Root: '([^']*)'", answer.text)) == {"/proxy/dicom/qido", "/proxy/dicom/wado"}


def test_what_its_settings_import_is_here(server):
    loaded, found = set(), ["app-config.js"]
    while found:
        name = found.pop()
        answer = requests.get(f"{server}/ohif/{name}", timeout=10)
        assert answer.status_code == 200, name
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        loaded.add(name)
        found += set(re.findall(r"(?:from |import\()'(?:/ohif|\.)/([^']+)'", answer.text)) - loaded
    assert loaded == {"app-config.js", "hepatic.js", "labels.js", "panel.js", "series.js"}


def test_what_the_first_page_loads_from_here_is_here(server):
    page = requests.get(f"{server}/ohif/", timeout=10).text
    for link in re.findall(r'<(?:script|link)[^>]*?(?:src|href)="(/[^"]+)"', page):
        answer = requests.head(server + link, timeout=10)
        assert answer.status_code == 200
        assert not answer.headers["content-type"].startswith("text/html")


def test_the_viewer_loads_nothing_from_elsewhere_and_only_its_own_pages_may_run_scripts(server):
    policy = requests.get(f"{server}/ohif/", timeout=10).headers["content-security-policy"]
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    allowed = {source for sources in rules.values() for source in sources if not source.startswith("'sha256-")}
    assert allowed == {"'none'", "'self'", "'unsafe-inline'", "'unsafe-eval'", "'wasm-unsafe-eval'", "blob:", "data:"}
    assert rules["default-src"] == ["'none'"]
    assert "'unsafe-inline'" not in rules["script-src"]
    assert sum(source.startswith("'sha256-") for source in rules["script-src"]) == 2
    for page in ("/", "/docs", "/static/favicon.ico"):
        assert "script-src" not in requests.get(server + page, timeout=10).headers["content-security-policy"]


@pytest.mark.parametrize("folder", ["/ohif/", "/static/"])
@pytest.mark.parametrize("path", TRAVERSALS)
def test_a_path_out_of_the_folder_leads_nowhere(server, folder, path):
    status, head, body = raw(server, folder + path)
    assert status == 404
    assert "application/json" in head
    assert b"detail" in body
    assert b"site-packages" not in body


@pytest.mark.parametrize(
    "path", ["/ohif/gone.js", "/ohif/assets/gone.png", "/static/gone", "/static/", "/static/ohif/"]
)
def test_a_missing_asset_is_missing(server, path):
    assert raw(server, path)[0] == 404


@pytest.mark.parametrize("path", ["/ohif/assets", "/ohif/assets/"])
def test_a_folder_is_not_listed(server, path):
    assert raw(server, path)[2] == (VIEWER / "index.html").read_bytes()


def test_a_name_too_long_for_a_file_is_a_page(server):
    assert raw(server, "/ohif/" + "a" * 5000)[0] == 200


def test_a_file_the_browser_has_is_not_sent_again(server):
    url = f"{server}/ohif/app.bundle.css"
    etag = requests.get(url, timeout=10).headers["etag"]
    again = requests.get(url, headers={"If-None-Match": etag}, timeout=10)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


def test_head_tells_the_length_and_sends_nothing(server):
    status, head, body = raw(server, "/ohif/app.bundle.css", "HEAD")
    assert (status, body) == (200, b"")
    assert f"content-length: {(VIEWER / 'app.bundle.css').stat().st_size}" in head


def test_the_static_files_are_there_and_the_viewer_is_not_there_twice(server):
    answer = requests.get(f"{server}/static/favicon.ico", timeout=10)
    assert answer.content == (ROOT / "favicon.ico").read_bytes()
    assert answer.headers["content-type"] == "image/x-icon"
    assert requests.get(f"{server}/static/ohif/index.html", timeout=10).status_code == 404


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret.js").write_text("secret")
    (root / "own.js").write_text("own")
    (root / "file.js").symlink_to(outside / "secret.js")
    (root / "folder").symlink_to(outside)
    (root / "same.js").symlink_to(root / "own.js")
    tree = Tree(root)
    assert tree.find("file.js") is None
    assert tree.find("folder/secret.js") is None
    assert tree.find("own.js") == root / "own.js"
    assert tree.find("same.js") == root / "same.js"


@pytest.mark.parametrize("none", [lambda: None, lambda: Tree(VIEWER / "gone")], ids=["no wheel", "no viewer in it"])
def test_without_a_viewer_the_answer_says_what_to_install(server, monkeypatch, none):
    monkeypatch.setattr(ohif, "_tree", none)
    answer = requests.get(f"{server}/ohif/monai-label", timeout=10)
    assert answer.status_code == 404
    assert "Install monailabel from its wheel" in answer.json()["detail"]
