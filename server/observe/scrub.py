"""Texts made fit for a log: without names of people and images, folders of this machine, and what opens doors."""

from __future__ import annotations

import re

from server.hiding import HIDING
from server.observe.names import NAMES

_TOKEN = re.compile(
    r"\bhep_[\w-]+"  # ours
    r"|\beyJ[\w-]+\.[\w-]*(?:\.[\w-]*)*"  # a JSON web token
    r"|(?i:(?<=bearer )|(?<=basic ))[\w.~+/=-]{6,}"
)
_SECRET = re.compile(
    r"(?i)\b((?:access_|id_|refresh_)?token|password|secret|cookie|authorization)(['\"]?\s*[=:]\s*)\S+"
)
_QUERY = re.compile(r"\?[^\s\"'<>?]*=[^\s\"'<>]*")
_PERSON = re.compile(r"[^\W\d_][\w'.-]{0,64}(?: [^\W\d_][\w'.-]{0,64}){0,5}\^[\w^'.-]*")
_FIELD = re.compile(
    r"(?i)\b(patient'?s?[ _]?(?:name|id|birth[ _]?date|birth[ _]?time|address|sex|age)|other ?patient ?ids?)"
    r"(['\"]?\s{0,64}(?:[A-Z]{2}\b)?\s{0,64}[:=]\s*)(\"[^\"\n]*\"|'[^'\n]*'|[^,;\n}\])]+)"
)
_UID = re.compile(r"(?<![\w.])[0-2](?:\.(?:0|[1-9]\d*)){5,}(?![\w.]*[A-Za-z_])")
_FILE = re.compile(
    r"(?<![^\s/\\:'\"<>|,;()=\[\]{}])(?:[A-Z\u00c0-\u00de][\w'.-]* ){0,3}[^\s/\\:'\"<>|,;()=\[\]{}]+"
    r"\.(?:seg\.nrrd|nii\.gz|nii|nrrd|dicom|dcm|ima|mha|mhd|mrk\.json|zip|tar|gz|tgz|jpe?g|png|tiff?)\b",
    re.IGNORECASE,
)
_OURS = re.compile(r"\.(?:py|pyx|so|html|js|css|json|txt|safetensors|log|db|sqlite|lock)$")

_MOST = 8 << 10
_WORD = re.compile(r"[^\s/\\]{256,}")  # longer than the name of a file can be


def scrubbed(text: str) -> str:
    """Return a text without tokens, query strings, patients' names and ids, names of images, and paths.

    A name becomes a hash that is always the same, so that lines about one image can be found. What a rule does not know
    to be a name stays: log identifiers of your own making, not what a file says.

    What a client sends may get here, and no other thread runs meanwhile: of a long text only the beginning and the end
    are kept, and of a word longer than any name nothing.
    """
    text = _without_persons(text)
    text = HIDING.without_paths(text, last=_last)
    text = _FILE.sub(_file, text)
    text = _UID.sub(lambda found: NAMES.hidden(found[0]), text)
    return NAMES.without(text)


def for_clients(text: str) -> str:
    """Return a text without tokens, patients' names and ids where they are told as such, and paths.

    Names of images stay: who may read it may list them.
    """
    return _without_persons(HIDING.without_paths(text))


def _without_persons(text: str) -> str:
    if len(text) > _MOST:
        text = _cut(text)
    text = _TOKEN.sub("(token)", text)
    text = _SECRET.sub(r"\1\2(secret)", text)
    text = _QUERY.sub("?...", text)
    text = _FIELD.sub(r"\1\2(patient)", text)
    text = _WORD.sub("\u2026", text)
    return _PERSON.sub("(person)", text)


def _cut(text: str) -> str:
    """Return the first words and the last lines of a text, so that no name is cut in two."""
    first, last = text[: _MOST // 2], text[-_MOST // 2 :].partition("\n")[2]
    return first.rpartition("\n" if "\n" in first else " ")[0] + f"\n\u2026\n{last}"


def _last(name: str) -> str:
    """What is left of a path: source files are told, others may be called after a patient."""
    whole = name.rstrip(".")  # a sentence may end behind it
    return name if _OURS.search(whole) else NAMES.hidden(whole) + name[len(whole) :]


def _file(found: re.Match[str]) -> str:
    NAMES.remember(found[0])  # a log line often has the id beside the name
    return NAMES.hidden(found[0])
