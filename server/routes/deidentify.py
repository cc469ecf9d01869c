"""``/deidentify``: who is who."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request

from hepatic.release.pseudonyms import Pseudonyms
from server.access.noting import note
from server.services import ServicesDep

router = APIRouter(tags=["Others"])


@router.get("/deidentify/{pseudonym}", summary="Whom a PatientID or StudyInstanceUID stands for that left")
def lookup(request: Request, services: ServicesDep, pseudonym: str) -> dict[str, str]:
    """For admins; that it was asked is in the audit log."""
    note(request.state, "request")
    return asdict(Pseudonyms.of(services.spec.data_dir).lookup(pseudonym))
