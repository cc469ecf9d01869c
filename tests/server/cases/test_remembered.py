"""What was costly is made once, however many ask, and what was used longest ago goes first."""

import asyncio

import pytest

from server.cases.remembered import Remembered


def made(count):
    async def make():
        count.append(1)
        await asyncio.sleep(0)
        return b"x" * 40

    return make


def test_who_asks_meanwhile_gets_the_same_and_later_it_is_not_made_again():
    async def run():
        cache, count = Remembered(100, len), []
        first = await asyncio.gather(*(cache.get("a", made(count)) for _ in range(5)))
        assert all(one is first[0] for one in first)
        assert await cache.get("a", made(count)) is first[0]
        assert len(count) == 1

    asyncio.run(run())


def test_it_keeps_no_more_than_its_bytes_and_the_newest_in_any_case():
    async def run():
        cache, count = Remembered(100, len), []
        for key in "ab":
            await cache.get(key, made(count))
        await cache.get("a", made(count))
        await cache.get("c", made(count))
        assert (cache.bytes, len(count)) == (80, 3)
        await cache.get("a", made(count))
        assert len(count) == 3, "it was used after b"
        await cache.get("b", made(count))
        assert len(count) == 4, "b had gone"
        small = Remembered(10, len)
        await small.get("a", made(count))
        await small.get("a", made(count))
        assert len(count) == 5

    asyncio.run(run())


def test_a_failure_is_told_to_all_who_wait_and_not_kept():
    async def run():
        cache, count = Remembered(100, len), []

        async def fail():
            count.append(1)
            await asyncio.sleep(0)
            raise ValueError("no")

        told = await asyncio.gather(*(cache.get("a", fail) for _ in range(3)), return_exceptions=True)
        assert [str(one) for one in told] == ["no"] * 3
        assert len(count) == 1
        with pytest.raises(ValueError, match="no"):
            await cache.get("a", fail)
        assert await cache.get("a", made(count)) == b"x" * 40

    asyncio.run(run())


def test_what_the_first_began_and_left_is_made_to_the_end_for_the_others():
    async def run():
        cache, count = Remembered(100, len), []
        begun = asyncio.ensure_future(cache.get("a", made(count)))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(cache.get("a", made(count)))
        begun.cancel()
        assert await second == b"x" * 40
        assert len(count) == 1

    asyncio.run(run())
