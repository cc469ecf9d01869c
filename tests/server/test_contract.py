"""The whole contract is served: what the stock server has, what the clients ask for, what the documentation lists."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
import torch
from monai.transforms import Flipd
from starlette.routing import Match

from hepatic.adapters import compat

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


def test_the_faults_of_stock_classes_that_the_page_tells_of_are_still_there():
    compat.install()
    from monailabel.tasks.infer.basic_infer import BasicInferTask
    from monailabel.transform.writer import DetectionWriter

    flip, data = Flipd(keys="image"), {"image": torch.zeros(1, 2, 2), "pred": torch.zeros(1, 2, 2)}
    for names in (["Flipd"], [Flipd]):
        with pytest.raises(TypeError):
            BasicInferTask.run_invert_transforms(SimpleNamespace(input_key="image"), data, [flip], names)
    found = {"box": torch.zeros(1, 6), "label": torch.zeros(1), "score": torch.ones(1), "image_path": "a.nrrd"}
    file, params = DetectionWriter()(found)
    written = Path(file).read_text()
    Path(file).unlink()
    assert "score" not in params
    assert "score" not in written
