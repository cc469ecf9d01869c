"""Names that clients send, accepted or refused: upload names, plain names. What the store keeps has its names there."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PureWindowsPath

from hepatic.errors import BadInputError, NotFoundError

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,127}")


def is_path_like(name: str) -> bool:
    """Whether joining this to a folder could lead anywhere but into that folder."""
    return name in ("", ".", "..") or any(character in name for character in "/\\\0")


def check_listed(what: str, name: str, there: Collection[str], *, fix: str) -> None:
    """Raise NotFoundError unless a name is one of those that ``GET /info/`` lists.

    Args:
        what: of which sort it is, such as ``the model``.
        name: what the client said.
        there: the names of that sort.
        fix: what to do.
    """
    if name not in there:
        raise NotFoundError(
            what,
            expected=", ".join(sorted(there)) or f"a {what.split()[-1]}",
            came="a name that is not among them",
            fix=fix,
        )


def suffix_of(client_path: str, accepted: tuple[str, ...], what: str) -> str:
    """Return the suffix of an uploaded file's name, one of those accepted.

    Raises:
        BadInputError: it is none of them.
    """
    name = PureWindowsPath(client_path).name.lower()
    for suffix in sorted(accepted, key=len, reverse=True):
        if name.endswith(suffix):
            return suffix
    ending = "." + name.rpartition(".")[2] if "." in name else "no suffix"
    raise BadInputError(
        what,
        expected="one of " + " ".join(accepted),
        came=ending[:20],
        fix="Save it in one of these formats.",
    )


def is_plain(name: str) -> bool:
    """Whether a name is harmless wherever it is used: no separators, no leading dot."""
    return bool(_PLAIN.fullmatch(name)) and ".." not in name
