"""A memory with a bound: what is made, how often, and what is dropped."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hepatic.engine.cache import BoundedCache, Budget


def test_what_several_ask_for_at_once_is_made_once():
    cache, everybody, made = BoundedCache(Budget(100), len), threading.Barrier(8), []

    def make():
        made.append(1)
        ended.wait(0.2)
        return "decoded"

    def ask(_):
        everybody.wait(10)
        return cache.get("image", make)

    ended = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == ["decoded"] * 8
    assert len(made) == 1
    assert (cache.misses, cache.hits) == (1, 7)


def test_what_could_not_be_made_is_tried_again():
    cache = BoundedCache(Budget(100), len)
    with pytest.raises(ZeroDivisionError):
        cache.get("image", lambda: str(1 // 0))
    assert cache.get("image", lambda: "decoded") == "decoded"


def test_what_was_used_longest_ago_is_dropped_first():
    cache = BoundedCache(Budget(10), len)
    for key in ("a", "b", "a", "c"):
        cache.get(key, lambda: "12345")
    assert cache.bytes == 10
    assert cache.get("a", lambda: "made again") == "12345"
    assert cache.get("b", lambda: "again") == "again"


def test_what_is_larger_than_the_bound_is_not_kept():
    cache = BoundedCache(Budget(10), len)
    assert cache.get("a", lambda: "x" * 11) == "x" * 11
    assert cache.bytes == 0


def test_caches_that_share_a_budget_may_each_take_what_the_other_leaves():
    budget = Budget(10)
    images, tensors = BoundedCache(budget, len), BoundedCache(budget, len)
    images.get("a", lambda: "12345678")  # more than half
    assert images.get("a", lambda: "made again") == "12345678"
    tensors.get("a", lambda: "1234")
    assert (images.bytes, tensors.bytes, budget.bytes) == (0, 4, 4)
    assert images.get("a", lambda: "again") == "again"
    assert tensors.get("a", lambda: "made again") == "1234"
