"""The names and identifiers in one object, and whether a text holds one, in whatever spelling."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import permutations

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "æ": "ae", "ø": "oe", "å": "aa"})
_PART_LETTERS = 4
_MOST_JOINED = 12


def words_of(text: str) -> list[str]:
    """Return the words and numbers of a text in one spelling: NFKC, case folded."""
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())


def _spellings(word: str) -> set[str]:
    """Return a word as it is, with umlauts written out, and without accents."""
    plain = "".join(one for one in unicodedata.normalize("NFD", word) if not unicodedata.combining(one))
    return {word, word.translate(_UMLAUTS), unicodedata.normalize("NFC", plain)}


@dataclass(frozen=True)
class Names:
    """Words of the names and identifiers in an object.

    Attributes:
        words: in all their spellings, and two and two of one name together.
    """

    words: frozenset[str]

    @classmethod
    def of(cls, values: Iterable[str]) -> Names:
        """Return those of the values of names and identifiers."""
        return cls(frozenset(_named(values)))

    def is_in(self, word: str, *, known: Collection[str] = ()) -> bool:
        """Whether a word of a text is a name or has one in it.

        Names of four letters, and of two that are not ASCII, are looked for within words, too; shorter ones are within
        anything.

        Args:
            word: of ``words_of``.
            known: words that name no one, unless they are such a long name themselves.
        """
        if word in known:
            return len(word) >= _PART_LETTERS and word in self.words
        said = _spellings(word)
        return not said.isdisjoint(self.words) or any(
            name in one for name in self.words if len(name) >= _PART_LETTERS or not name.isascii() for one in said
        )


def _named(values: Iterable[str]) -> Iterator[str]:
    for value in values:
        words = [word for word in words_of(value) if len(word) > 1]
        for word in (*words, *(first + last for first, last in permutations(words[:_MOST_JOINED], 2))):
            yield from (one for one in _spellings(word) if not re.fullmatch(r"\d{1,2}", one))
