"""Many phantoms at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from hepatic.errors import BadInputError

Part = TypeVar("Part")


def in_turn(
    function: Callable[[int], Part], seeds: Sequence[int], *, workers: int, progress: Callable[[], None] | None
) -> list[Part]:
    """Return what a function makes of each seed, in order.

    Args:
        function: picklable.
        seeds: one phantom each.
        workers: processes; 1 stays in this one.
        progress: called once per finished phantom.

    Raises:
        BadInputError: there are no seeds.
    """
    if not seeds:
        raise BadInputError("seeds", expected="one or more", came="none", fix="Ask for at least one.")
    tell = progress or (lambda: None)
    made: list[Part] = []
    if workers == 1:
        for seed in seeds:
            made.append(function(seed))
            tell()
        return made
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for part in pool.map(function, seeds):
            made.append(part)
            tell()
    return made
