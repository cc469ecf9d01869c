"""Names that no log may hold: image ids and file names may be those of patients. A log has a keyed hash instead."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from pathlib import Path, PureWindowsPath

from hepatic.store.disk import make_folder, put_in_place, storage
from hepatic.store.names import safe_id, stem_of

_SHORTEST = 3
_MOST = 2000
_WORD = re.compile(r"\w[\w.-]{2,}")

Known = Callable[[Collection[str]], Collection[str]]


class Names:
    """What came by lately, and whom to ask whether a word is the id of an image."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)
        self._recent: OrderedDict[str, None] = OrderedDict()
        self._pattern: re.Pattern[str] | None = None
        self._asked: list[Known] = []
        self._lock = threading.Lock()

    def use_key(self, file: Path) -> None:
        """Take the key from a file, made if it is not there: then a name has one hash as long as the file is kept."""
        with storage("keep the key of the log's names"):
            if not file.is_file() or not file.stat().st_size:
                make_folder(file.parent)
                handle, temporary = tempfile.mkstemp(dir=file.parent)  # readable for this user only
                with os.fdopen(handle, "wb") as stream:
                    stream.write(secrets.token_bytes(16))
                    stream.flush()
                    os.fsync(stream.fileno())
                put_in_place(Path(temporary), file)
            self._key = file.read_bytes()

    def remember(self, *names: str) -> None:
        """Hide these from now on: ids, file names and paths, with and without suffix, as they came and made safe."""
        forms: dict[str, None] = {}
        for name in names:
            last = PureWindowsPath(str(name)).name
            forms |= dict.fromkeys((str(name), last, stem_of(last), safe_id(stem_of(last))))
        with self._lock:
            new = [form for form in forms if len(form) >= _SHORTEST and form not in self._recent]
            for form in forms:
                if form in self._recent:
                    self._recent.move_to_end(form)
            if new:
                self._recent |= dict.fromkeys(new)
                while len(self._recent) > _MOST:
                    self._recent.popitem(last=False)
                self._pattern = None

    def ask(self, known: Known) -> None:
        """Ask, from now on, which of a text's words are ids of images."""
        self._asked.append(known)

    def ask_no_more(self, known: Known) -> None:
        """Take back ``ask``."""
        if known in self._asked:
            self._asked.remove(known)

    def hidden(self, name: str) -> str:
        """Return what stands for a name."""
        return f"#{hmac.new(self._key, name.encode('utf-8', 'replace'), hashlib.sha256).hexdigest()[:8]}"

    def without(self, text: str) -> str:
        """Return a text with a hash in place of every name."""
        with self._lock:
            if self._pattern is None and self._recent:
                longest_first = "|".join(re.escape(name) for name in sorted(self._recent, key=len, reverse=True))
                self._pattern = re.compile(rf"(?<![\w-])(?:{longest_first})(?![\w-])")
            pattern = self._pattern
        if pattern is not None:
            text = pattern.sub(lambda found: self.hidden(found[0]), text)
        words = set(_WORD.findall(text))
        words |= {word.rstrip(".-") for word in words}
        for known in tuple(self._asked):
            for name in sorted(known(words), key=len, reverse=True):
                text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", self.hidden(name), text)
        return text


class Listed:
    """The ids of a datastore that can only list all of them; asked for seldom, and never while something is logged."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._by_word: dict[str, list[str]] = {}

    def take(self, ids: Collection[str]) -> None:
        """Know these from now on, and no others."""
        if list(ids) == self._ids:
            return
        by_word: dict[str, list[str]] = {}
        for id in ids:
            if word := _WORD.search(id):
                by_word.setdefault(word[0], []).append(id)
        self._ids, self._by_word = list(ids), by_word

    def known(self, words: Collection[str]) -> list[str]:
        """Return the ids that begin with one of the words; an id may have spaces in it."""
        return [id for word in words for id in self._by_word.get(word, ())]


NAMES = Names()
"""One for the process, as ``server.hiding.HIDING`` is."""
