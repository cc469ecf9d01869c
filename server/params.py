"""The ``params`` of a request: parsed, and without what would change which file, model or path is used."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

from hepatic.errors import BadInputError
from hepatic.store.names import LABEL_SUFFIXES, check_tag
from server.access.user import User
from server.names import is_path_like, is_plain

logger = logging.getLogger(__name__)

_DECIDED_BY_SERVER = frozenset(
    {
        "image", "images", "image_id", "image_path", "model", "session", "session_id", "strategy", "method",
        "save_label", "label_tag", "file", "description", "local_rank", "run_id", "studies", "app_dir", "conf", "env",
        "result_write_to_file", "snapshot", "imagenet",
    }
)  # fmt: skip
_PATH_LIKE = re.compile(r"(^|_)(path|dir|dirs|folder|file|files|filename|url|uri)$")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,2})?")
_PLAIN_VALUES = frozenset({"name", "result_dtype", "logging", "gpus"})
_RESULT_SUFFIXES = frozenset(LABEL_SUFFIXES)
_DEEPEST = 32


def parsed(text: str | None, what: str = "params") -> dict[str, Any]:
    """Read a form field that holds a JSON object.

    Raises:
        BadInputError: it holds something else, is nested too deeply, or holds half characters.
    """
    if not text or not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = ...
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInputError(what, expected="a JSON object", came="something else", fix='Send for example {"key": 1}.')
    _refuse_odd(value, what)
    return value


def cleaned(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the params without keys that only the server decides and values that could lead out of a folder.

    Raises:
        BadInputError: they are nested too deeply, or hold half characters, and cannot be passed on.
    """
    _refuse_odd(params or {}, "params")
    kept = {}
    dropped = []
    for key, value in (params or {}).items():
        if _is_harmless(str(key), value):
            kept[str(key)] = value
        else:
            dropped.append(str(key)[:40])
    if dropped:
        logger.info("params of a request were left out: %s", ", ".join(dropped))
    return kept


def asker(user: User, params: Mapping[str, Any] | None) -> str:
    """Return who asks: who logged in, or else whom a client says it is for, empty where it does not say."""
    if user.is_known:
        return user.name
    said = (params or {}).get("client_id")
    return said if isinstance(said, str) and is_plain(said) else ""


def for_strategy(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the params for an active learning strategy: as ``cleaned``, with ``model`` and ``label_tag``, checked.

    Raises:
        BadInputError: one of the two is no plain name.
    """
    given = params or {}
    kept = cleaned(given)
    model, tag = given.get("model"), given.get("label_tag")
    for name, value in (("model", model), ("label_tag", tag)):
        if value is not None and not isinstance(value, str):
            raise BadInputError(name, expected="a name", came=ascii(value)[:40], fix="Leave it out.")
    if model:
        if not is_plain(model):
            raise BadInputError("model", expected="a model's name", came=ascii(model)[:40], fix="Leave it out.")
        kept["model"] = model
    if tag:
        kept["label_tag"] = check_tag(tag)
    return kept


def _refuse_odd(value: Any, what: str) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        level = [item for one in level for item in _items(one)]
        if not level:
            break
    else:
        raise BadInputError(
            what, expected=f"up to {_DEEPEST} levels of lists and objects", came="more", fix="Send a flatter one."
        )
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise BadInputError(
            what, expected="whole characters", came="half of one (a lone surrogate)", fix="Send the text as UTF-8."
        ) from None


def _items(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else []


def _is_harmless(key: str, value: Any) -> bool:
    if key in _DECIDED_BY_SERVER or _PATH_LIKE.search(key):
        return False
    if key == "label":  # deepgrow sends the segment's name; a file arrives as an upload and is put there by the server
        return isinstance(value, str | int) and not (isinstance(value, str) and is_path_like(value))
    if key == "device":
        return isinstance(value, str) and _DEVICE.fullmatch(value) is not None
    if key == "result_extension":
        return isinstance(value, str) and value in _RESULT_SUFFIXES
    if key in _PLAIN_VALUES:
        return value is None or isinstance(value, int) or (isinstance(value, str) and (not value or _fits(value)))
    return True


def _fits(value: str) -> bool:
    return is_plain(value.replace(",", ""))
