"""The whole contract is served: what the stock server has, what the clients ask for, what the documentation lists."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from starlette.routing import Match

ROOT = Path(__file__).parents[2]
DOCUMENTED = [
    tuple(route.split(" "))
    for line in (ROOT / "docs" / "contract.md").read_text().splitlines()
    if line.startswith("| `") and "/" in line
    for route in re.findall(r"`((?:GET|PUT|POST|HEAD|DELETE) /[^`]*)`", line.split(" | ")[0])
]
NOT_SERVED = {("POST", "/infer/wsi_v2/{}")}


def plain(path):
    return re.sub(r"\{[^}]*\}", "{}", path)


@pytest.fixture(scope="module")
def stock_routes():
    """The operations in the OpenAPI schema of the stock server."""
    code = (
        "from hepatic.adapters import compat; compat.install()\n"
        "import json, monailabel.app as stock\n"
        "print(json.dumps([[m.upper(), p] for p, ms in stock.app.openapi()['paths'].items() for m in ms]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return {(method, plain(path)) for method, path in json.loads(done.stdout.splitlines()[-1])}


def test_every_route_of_the_stock_server_is_documented_and_served(stock_routes):
    assert len(stock_routes) > 25
    assert stock_routes - {(method, plain(path)) for method, path in DOCUMENTED} == NOT_SERVED


@pytest.mark.parametrize(("method", "path"), DOCUMENTED, ids=[" ".join(route) for route in DOCUMENTED])
def test_a_documented_route_is_served(app, method, path):
    asked = {"type": "http", "method": method, "path": re.sub(r"\{\w+\}", "x", path), "root_path": "", "headers": []}
    assert any(route.matches(asked)[0] is Match.FULL for route in app.routes)
    assert not any(route.matches({**asked, "path": "/nowhere/x"})[0] is Match.FULL for route in app.routes)


def test_every_operation_says_what_it_does(server):
    schema = requests.get(f"{server}/openapi.json", timeout=30).json()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), f"{method} {path}"
            assert len(operation["summary"]) < 80
