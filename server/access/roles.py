"""What each route takes: one table, and who is not on it keeps out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Self

from hepatic.errors import BadInputError


class Role(IntEnum):
    """What somebody may do; each may do what those before it may."""

    NOBODY = 0
    READER = 1
    ANNOTATOR = 2
    REVIEWER = 3
    ADMIN = 4

    @property
    def word(self) -> str:
        """Its name as people write it."""
        return self.name.lower()

    @classmethod
    def named(cls, word: str) -> Self:
        """Return the role of that name.

        Raises:
            BadInputError: there is none.
        """
        for role in cls:
            if role and role.word == word.strip().lower():
                return role
        raise BadInputError(
            "the role", expected="reader, annotator, reviewer or admin", came=word, fix="Choose one of them."
        )


_TABLE: Mapping[Role, tuple[str, ...]] = {
    # Asked before anybody can be logged in. None of them tells anything about studies; /ready names what is missing
    # to the load balancers and supervisors that ask, and those have no place to keep a token.
    Role.NOBODY: (
        "GET /health",
        "GET /ready",
        "GET /favicon.ico",
        "GET /auth/",
        "POST /auth/token",
        "GET /login",
        "POST /login",
        "POST /logout",
    ),
    Role.READER: (
        "GET /",
        "GET /docs",
        "GET /openapi.json",
        "GET /static/{path}",
        "GET /ohif/{path}",
        "GET /auth/token/valid",
        "GET /info/",
        "GET /metrics",  # names of models and numbers of images: Prometheus can send a reader's token
        "POST /infer/{model}",  # with save_label, an annotator's
        "GET /datastore/",
        "GET /datastore/dataset",
        "GET /datastore/image",
        "GET /datastore/image/info",
        "GET /datastore/label",
        "GET /datastore/label/info",
        "GET /train/",
        "GET /scoring/",
        "GET /batch/infer",
        "GET /batch/infer/",
        "GET /jobs",
        "GET /jobs/events",
        "GET /jobs/{job}",
        "GET /jobs/{job}/events",
        "GET /model/info/{model}",
        "GET /qa",
        "GET /qa/dashboard",
        "GET /qa/web/{file}",
        "GET /qa/api/v1/studies/{study}/layout",
        "GET /qa/api/v1/studies/{study}/candidates/{candidate}/card.png",
        "GET /qa/api/v1/studies/{study}/candidates/{candidate}/card.dcm",
        "GET /qa/api/v1/studies/{study}/stack.png",
        "GET /qa/api/v1/queue",
        "GET /qa/api/v1/studies/{study}",
        "POST /qa/api/v1/lease",
        "POST /qa/api/v1/lease/{lease}/renew",
        "DELETE /qa/api/v1/lease/{lease}",
        "POST /qa/api/v1/events",  # with boxes, an annotator's
        "GET /qa/api/v1/progress",  # names of other readers are told to reviewers
        "GET /cases",
        "GET /cases/{image}",
        "GET /cases/web/{file}",
        "GET /cases/api/v1/images",
        "GET /cases/api/v1/images/{image}",
        "GET /cases/api/v1/images/{image}/eligibility",
        "GET /cases/api/v1/images/{image}/frames/{frame}.png",
        "GET /cases/api/v1/images/{image}/models/{model}",
        "GET /cases/api/v1/images/{image}/models/{model}/attention.png",
        "GET /cases/api/v1/images/{image}/models/{model}/curve.png",
        "GET /pacs/",
        "GET /quarantine",
        "GET /quarantine/web/{file}",
        "GET /quarantine/api/v1/images",
        "GET /quarantine/api/v1/images/{image}",
        "GET /quarantine/api/v1/images/{image}/proposal.png",
        "GET /proxy/dicom/{path}",
        "GET /proxy/dicom/wado/{path}",
        "GET /proxy/dicom/qido/{path}",
        "GET /proxy/dicom/stow/{path}",
    ),
    Role.ANNOTATOR: (
        "POST /activelearning/{strategy}",
        "PUT /datastore/",
        "PUT /datastore/image",
        "PUT /datastore/image/info",
        "PUT /datastore/label",
        "PUT /datastore/label/info",
        "PUT /datastore/updatelabelinfo",
        "GET /qa/api/v1/studies/{study}/boxes",
        "PUT /cases/api/v1/images/{image}/reading",
        "DELETE /cases/api/v1/images/{image}/reading",
        "PUT /session/",
        "GET /session/{session}",
        "DELETE /session/{session}",
        "POST /proxy/dicom/{path}",
        "POST /proxy/dicom/wado/{path}",
        "POST /proxy/dicom/qido/{path}",
        "POST /proxy/dicom/stow/{path}",
    ),
    Role.REVIEWER: (
        "POST /train/",
        "POST /train/{model}",
        "DELETE /train/",
        "POST /batch/infer/{model}",
        "DELETE /batch/infer",
        "DELETE /batch/infer/",
        "POST /scoring/",
        "POST /scoring/{method}",
        "DELETE /scoring/",
        "DELETE /jobs/{job}",
        "POST /jobs/{job}/retry",
        "DELETE /datastore/label",
        "PUT /quarantine/api/v1/images/{image}/approval",
        "DELETE /quarantine/api/v1/images/{image}/approval",
        "POST /pacs/retry",
        "POST /pacs/send",
        "GET /model/{model}",
        "POST /qa/api/v1/propose",
        "POST /qa/api/v1/train",
        "GET /qa/api/v1/snapshots",
        "POST /qa/api/v1/snapshots",
        "GET /qa/api/v1/export",
        "GET /qa/api/v1/adjudication",
        "POST /qa/api/v1/adjudication",
        "POST /qa/api/v1/batch-reject",
        "DELETE /qa/api/v1/batch-reject/{batch}",
        "GET /qa/api/v1/known",
        "POST /qa/api/v1/known",
        "PUT /qa/api/v1/known/{study}",
    ),
    Role.ADMIN: (
        "DELETE /datastore/",
        "DELETE /datastore/image",
        "PUT /model/{model}",
        "DELETE /model/{model}",
        "POST /reload",
        "POST /reload/",
        "GET /logs/",
        "GET /logs/gpu",
        "GET /audit",
        "GET /deidentify/{pseudonym}",
    ),
}

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API token (hep_...) or a token of the issuer"},
    "session": {"type": "apiKey", "in": "cookie", "name": "hepatic_session", "description": "of a browser, by /login"},
}
_ANSWERS = {"401": "Log in first", "403": "That takes another role", "429": "Too often; see Retry-After"}
_PARAMETER = re.compile(r"\{[^}]*\}")


def _key(method: str, template: str) -> str:
    return f"{'GET' if method == 'HEAD' else method} {_PARAMETER.sub('{}', template)}"


_NEEDED = {_key(*row.split(" ", 1)): role for role, rows in _TABLE.items() for row in rows}


def is_listed(method: str, template: str) -> bool:
    """Whether the table says what a route takes."""
    return _key(method, template) in _NEEDED


def needed(method: str, template: str) -> Role:
    """Return the role a route takes: an admin's, where the table does not list it.

    Args:
        method: HEAD counts as GET.
        template: its path, such as ``/jobs/{id}``; how the parameters are called does not matter.
    """
    return _NEEDED.get(_key(method, template), Role.ADMIN)


def declared(schema: dict[str, Any]) -> dict[str, Any]:
    """Say in an OpenAPI schema how to log in, and which role each operation takes (``x-role``)."""
    schema.setdefault("components", {})["securitySchemes"] = _SCHEMES
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            role = needed(method.upper(), path)
            if role is not Role.NOBODY:
                operation["security"] = [{scheme: []} for scheme in _SCHEMES]
                operation["x-role"] = role.word
                for status, told in _ANSWERS.items():
                    operation["responses"].setdefault(status, {"description": told})
    return schema
