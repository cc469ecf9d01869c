"""Whatever fits the OpenAPI schema, and much that does not: no 500, and only answers that were declared.

``HEPATIC_SCHEMA_EXAMPLES`` (4) asks for more examples per route.
"""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import requests
import schemathesis
import SimpleITK
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import (
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.failures import FailureGroup

from server.app import create_app
from server.running import running

TINY_APP = Path(__file__).parent.parent / "tiny_app"
EXAMPLES = int(os.environ.get("HEPATIC_SCHEMA_EXAMPLES", "4"))
CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    studies = tmp_path_factory.mktemp("studies")
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.zeros((4, 8, 8), np.uint8)), str(studies / "case.nrrd"))
    with running(create_app(TINY_APP, studies, score_in_background=False, max_upload_mib=2)) as address:
        while requests.get(f"{address}/ready", timeout=10).status_code != 200:  # a worker that starts is no fault
            time.sleep(0.1)
        yield schemathesis.openapi.from_url(f"{address}/openapi.json")


def attempts(operation, method=GenerationMode.POSITIVE):
    """Call one route with many inputs; raise what fails."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # to make a failure smaller takes minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=method))
    def attempt(case):
        case.call_and_validate(checks=CHECKS, timeout=30)

    attempt()


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_was_declared(declared, mode):
    """Inputs that fit the schema, and inputs that do not."""
    failed = {}
    count = 0
    for found in declared.get_all_operations():
        operation = found.ok()
        if operation.path.endswith(("/events", "/reload")):  # an answer without an end; every worker started anew
            continue
        try:
            attempts(operation, mode)
            count += 1
        except Unsatisfiable:  # there is no wrong input for it
            continue
        except (Exception, FailureGroup) as failure:
            failed[operation.label] = str(failure)
    assert not failed, "\n\n".join(f"{label}: {told[:1500]}" for label, told in failed.items())
    assert count > 20
