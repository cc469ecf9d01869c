"""One thing a client may set per request."""

from __future__ import annotations

from dataclasses import dataclass

from hepatic.errors import BadInputError


@dataclass(frozen=True, kw_only=True)
class Option:
    """One thing a client may set per request.

    Attributes:
        name: key in the request's params.
        default: value when it is not sent; also what viewers show first.
        description: one line for people.
        choices: allowed values; viewers show a combo box. Empty: any value of the default's type in the range.
        minimum, maximum: inclusive range of a number.
    """

    name: str
    default: int | float | str | bool
    description: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    def parse(self, value: object) -> int | float | str | bool:
        """Read a value a client sent (number, string or bool); BadInputError when it does not fit."""
        kind = type(self.default)
        try:
            if kind is bool:
                parsed: int | float | str | bool = {"true": True, "false": False}[str(value).strip().lower()]
            elif isinstance(value, bool) or not isinstance(value, int | float | str):
                raise ValueError(value)
            else:
                parsed = kind(value) if kind is not int else _whole(value)
        except (KeyError, ValueError, OverflowError):
            raise self._refuse(value) from None
        if self.choices and parsed not in self.choices:
            raise self._refuse(value)
        if isinstance(parsed, int | float) and not self._in_range(parsed):
            raise self._refuse(value)
        return parsed

    @property
    def shown(self) -> int | float | str | bool | list[str]:
        """What a viewer is told: the default, or a list, which becomes a combo box with the default first."""
        if self.choices:
            return [str(self.default), *(choice for choice in self.choices if choice != self.default)]
        return self.default

    def _in_range(self, number: float) -> bool:
        above = self.minimum is None or number >= self.minimum
        below = self.maximum is None or number <= self.maximum
        return above and below

    def _refuse(self, value: object) -> BadInputError:
        if self.choices:
            expected = "one of " + ", ".join(self.choices)
        else:
            low = "" if self.minimum is None else f" >= {self.minimum:g}"
            high = "" if self.maximum is None else f" <= {self.maximum:g}"
            expected = f"a {type(self.default).__name__}{low}{high}"
        return BadInputError(
            f"parameter '{self.name}'", expected=expected, came=repr(value)[:80], fix=f"{self.description} Correct it."
        )


def _whole(value: int | float | str) -> int:
    number = float(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)
