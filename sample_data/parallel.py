"""Many phantoms at once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Part = TypeVar("Part")


def in_turn(function: Callable[[int], Part], seeds: Sequence[int], workers: int) -> Iterator[Part]:
    """Yield what a picklable function makes of each seed, in order; in so many processes, or in this one for 1."""
    if workers == 1:
        yield from map(function, seeds)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, seeds)
