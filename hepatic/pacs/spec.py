"""Where the DICOMweb server is, and how it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from hepatic.errors import BadInputError
from hepatic.settings import settings


@dataclass(frozen=True)
class PacsSpec:
    """Where the DICOMweb server is and how to ask it. Can be sent to another process.

    Args:
        url: its root, such as ``http://pacs:8042/dicom-web``.
        username: for basic authentication; empty for none.
        password: for basic authentication.
        token: sent as a bearer token instead.
        prefixes: what comes between root and path, by ``wado``, ``qido`` and ``stow``.
        silence_s: how long it may say nothing.
        takes_studies: whether anything may be sent to it (STOW).

    Raises:
        BadInputError: the URL cannot be used.
    """

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    silence_s: float = 30.0
    takes_studies: bool = False

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            sound = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            parts, sound = urlsplit(""), False
        sound = sound and parts.scheme in ("http", "https") and not (parts.query or parts.fragment)
        if not (sound and self.url.isascii() and self.url.isprintable() and " " not in self.url):
            raise BadInputError(
                "the DICOMweb server's URL",
                expected="http://HOST:PORT/ROOT or https://",
                came="something else",
                fix="Set HEPATIC_DICOMWEB_URL to the URL before /studies.",
            )
        if parts.username or parts.password:
            raise BadInputError(
                "the DICOMweb server's URL",
                expected="no name and password in it",
                came="some",
                fix="Set HEPATIC_DICOMWEB_USERNAME and HEPATIC_DICOMWEB_PASSWORD instead.",
            )


def pacs_spec(url: str) -> PacsSpec:
    """Return the DICOMweb server at a URL, asked as the settings say.

    Raises:
        BadInputError: the URL cannot be used.
    """
    chosen = settings()
    prefixes = {
        "wado": chosen.dicomweb_wado_prefix,
        "qido": chosen.dicomweb_qido_prefix,
        "stow": chosen.dicomweb_stow_prefix,
    }
    return PacsSpec(
        url.rstrip("/"),
        username=chosen.dicomweb_username,
        password=chosen.dicomweb_password.get_secret_value(),
        token=chosen.dicomweb_token.get_secret_value(),
        prefixes={name: prefix.strip("/") for name, prefix in prefixes.items() if prefix.strip("/")},
        silence_s=chosen.dicomweb_timeout_s,
        takes_studies=chosen.dicomweb_stow,
    )
