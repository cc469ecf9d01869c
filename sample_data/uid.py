"""DICOM identifiers that depend on nothing but what they name."""

import hashlib
import uuid

from pydicom.uid import UID


def uid(*parts: object) -> UID:
    """Identifier below 2.25 (PS3.5, B.2), the same for the same parts on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:16]
    return UID(f"2.25.{uuid.UUID(bytes=digest, version=4).int}")
