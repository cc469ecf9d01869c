"""Errors a user can act on: what was expected, what came, what to do."""


class HepaticError(Exception):
    """Base of every error hepatic raises on purpose."""


class BadInputError(HepaticError):
    """Something a client or a file brought cannot be used.

    Args:
        what: the thing looked at (a file name, an id, a parameter), never a patient's name.
        expected: what would have been accepted.
        came: what was found instead.
        fix: what the person can do about it.
    """

    def __init__(self, what: str, *, expected: str, came: str, fix: str) -> None:
        self.what, self.expected, self.came, self.fix = what, expected, came, fix
        super().__init__(f"{what}: expected {expected}, but found {came}. {fix}")

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.expected, self.came, self.fix)


class NotFoundError(BadInputError):
    """An id, tag, version or file that is not there."""


class ConflictError(BadInputError):
    """The request is sound, but what is already there stands against it."""


def _rebuild(kind: type[BadInputError], what: str, expected: str, came: str, fix: str) -> BadInputError:
    """Unpickle: errors cross from worker processes with all four parts."""
    return kind(what, expected=expected, came=came, fix=fix)
