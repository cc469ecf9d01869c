"""What is sent in a STOW-RS request, and what its answer says. PS3.18 10.5."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pydicom
from pydicom.dataset import Dataset

from hepatic.pacs.attributes import Attributes, number, text

_REASONS = {
    0x0110: "processing failure",
    0x0111: "it is there already",
    0x0122: "this kind of object is not stored there",
    0x0124: "not authorised",
    0xA700: "out of resources",
    0xA900: "not what its SOP class asks for",
    0xC000: "cannot be understood there",
}


@dataclass(frozen=True)
class Stored:
    """What became of instances that were sent.

    Attributes:
        uids: SOPInstanceUIDs of those that the server has now.
        failed: why it did not take the others, by SOPInstanceUID.
    """

    uids: tuple[str, ...]
    failed: Mapping[str, str]


def write_body(instances: Iterable[Dataset | Path], boundary: str, body: IO[bytes]) -> dict[str, tuple[str, str]]:
    """Write a multipart body; return the UIDs of study and series by SOPInstanceUID."""
    sent = {}
    for one in instances:
        dataset = pydicom.dcmread(one, stop_before_pixels=True) if isinstance(one, Path) else one
        sent[str(dataset.SOPInstanceUID)] = (str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID))
        body.write(f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode())
        if isinstance(one, Path):
            with one.open("rb") as file:
                shutil.copyfileobj(file, body)
        else:
            whole = copy(one)
            whole.preamble = getattr(one, "preamble", None) or bytes(128)  # without it, it cannot be read back
            pydicom.dcmwrite(body, whole)
    body.write(f"\r\n--{boundary}--\r\n".encode())
    return sent


def read_answer(answer: bytes) -> tuple[list[str], dict[str, str]]:
    """Return the SOPInstanceUIDs that an answer says are stored, and why others are not, by SOPInstanceUID."""
    told = _json_object(answer)
    failures = {text(item, "ReferencedSOPInstanceUID"): _reason(item) for item in _items(told, "00081198")}
    return [text(item, "ReferencedSOPInstanceUID") for item in _items(told, "00081199")], failures


def _json_object(answer: bytes) -> Attributes:
    """Return what a STOW answers with, nothing where it is no JSON: the status says enough then."""
    try:
        told = json.loads(answer or b"{}")
    except ValueError:
        return {}
    told = told[0] if isinstance(told, list) and told else told
    return told if isinstance(told, Mapping) else {}


def _items(told: Attributes, tag: str) -> list[Attributes]:
    element = told.get(tag)
    items = element.get("Value") if isinstance(element, Mapping) else None
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _reason(item: Attributes) -> str:
    code = number(item, "FailureReason")
    return _REASONS.get(code) or _REASONS.get(code & 0xF000 or code) or f"failure reason {code:04X}"
