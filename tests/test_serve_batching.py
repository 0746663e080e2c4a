"""Batches across requests: who is worked on together, who waits, who is refused, what is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civilly.errors import CivillyError, EngineError
from civilly.serve.batching import Batcher
from civilly.serve.refusals import INTERNAL, Overloaded, Refused


class Work:
    """Doubles numbers, and remembers in which batches; waits while the gate is shut."""

    def __init__(self) -> None:
        self.batches: list[tuple[Any, list[int]]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()

    def __call__(self, kind: Any, items: list[int]) -> list[int]:
        self.batches.append((kind, items))
        self.begun.set()
        assert self.gate.wait(20)
        if -1 in items:
            raise ValueError("minus one")
        if -2 in items:
            raise EngineError("no engine")
        return [2 * item for item in items]


def batcher(work: Work, **options: Any) -> Batcher[int, int, Any]:
    return Batcher(work, **{"max_batch": 4, "window": 0.01, "max_queue": 100, **options})


def run(test: Callable[[Work], Awaitable[None]]) -> None:
    work = Work()
    asyncio.run(test(work))  # type: ignore[arg-type]


async def has_begun(work: Work) -> None:
    assert await asyncio.to_thread(work.begun.wait, 20)


def test_requests_share_a_batch_and_each_gets_its_own() -> None:
    async def test(work: Work) -> None:
        made = batcher(work)
        results = await asyncio.gather(
            made.submit([1], "a"), made.submit([2, 3], "a"), made.submit([], "a")
        )
        await made.close()
        assert results == [[2], [4, 6], []]
        assert work.batches == [("a", [1, 2, 3])]

    run(test)


def test_a_batch_is_of_one_kind_and_of_one_size() -> None:
    async def test(work: Work) -> None:
        made = batcher(work)
        await asyncio.gather(made.submit([1, 2, 3, 4, 5], "a"), made.submit([6], "b"))
        await made.close()
        assert sorted(work.batches) == [("a", [1, 2, 3, 4]), ("a", [5]), ("b", [6])]

    run(test)


def test_large_items_go_in_smaller_batches() -> None:
    async def test(work: Work) -> None:
        made = batcher(work, size=lambda item: item, max_size=10)
        assert await made.submit([6, 5, 4, 99, 1], None) == [12, 10, 8, 198, 2]
        await made.close()
        assert [items for _, items in work.batches] == [[6], [5, 4], [99], [1]]

    run(test)


def test_a_short_request_does_not_wait_behind_all_of_a_long_one() -> None:
    async def test(work: Work) -> None:
        work.gate.clear()
        made = batcher(work)
        blocker = asyncio.create_task(made.submit([0], None))
        await has_begun(work)
        long = asyncio.create_task(made.submit(list(range(1, 20)), None))
        await asyncio.sleep(0)
        short = asyncio.create_task(made.submit([100], None))
        await asyncio.sleep(0)
        work.gate.set()
        await asyncio.gather(blocker, long, short)
        await made.close()
        assert 100 in work.batches[1][1]
        assert long.result() == [2 * item for item in range(1, 20)]

    run(test)


def test_the_queue_is_bounded_and_says_when_to_come_again() -> None:
    async def test(work: Work) -> None:
        work.gate.clear()
        made = batcher(work, max_queue=3)
        first = asyncio.create_task(made.submit([1], None))
        await has_begun(work)
        second = asyncio.create_task(made.submit([2, 3], None))
        await asyncio.sleep(0)
        assert made.waiting == 2
        with pytest.raises(Overloaded) as caught:
            await made.submit([4, 5], None)
        assert caught.value.status == 429
        assert 1 <= int(caught.value.headers["Retry-After"]) <= 60
        third = asyncio.create_task(made.submit([6], None))
        await asyncio.sleep(0)
        work.gate.set()
        assert [await first, await second, await third] == [[2], [4, 6], [12]]
        assert 4 not in [item for _, items in work.batches for item in items]
        await made.close()

    run(test)


def test_a_request_larger_than_the_queue_is_served_when_nothing_waits() -> None:
    async def test(work: Work) -> None:
        made = batcher(work, max_queue=2)
        assert await made.submit([1, 2, 3, 4, 5], None) == [2, 4, 6, 8, 10]
        await made.close()

    run(test)


def test_one_bad_item_is_an_error_for_itself_alone() -> None:
    async def test(work: Work) -> None:
        made = batcher(work)
        good, bad = await asyncio.gather(made.submit([1, 2], None), made.submit([-1, 3], None))
        await made.close()
        assert good == [2, 4]
        assert isinstance(bad[0], Refused)
        assert (bad[0].kind, bad[0].status, bad[1]) == (INTERNAL, 500, 6)
        assert "minus" not in str(bad[0])

    run(test)


def test_what_fails_for_all_is_not_tried_one_by_one() -> None:
    async def test(work: Work) -> None:
        made = batcher(work)
        results = await made.submit([1, -2, 3, 4], None)
        await made.close()
        assert all(isinstance(result, CivillyError) for result in results)
        assert len(work.batches) == 1

    run(test)


def test_who_has_gone_is_not_worked_for() -> None:
    async def test(work: Work) -> None:
        work.gate.clear()
        made = batcher(work)
        first = asyncio.create_task(made.submit([1], None))
        await has_begun(work)
        gone = asyncio.create_task(made.submit([7, 8], None))
        stays = asyncio.create_task(made.submit([9], None))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert made.waiting == 1
        work.gate.set()
        assert [await first, await stays] == [[2], [18]]
        await made.close()
        assert [items for _, items in work.batches] == [[1], [9]]

    run(test)


def test_closing_finishes_what_waits_and_takes_nothing_new() -> None:
    async def test(work: Work) -> None:
        work.gate.clear()
        made = batcher(work)
        waiting = [asyncio.create_task(made.submit([i], None)) for i in range(9)]
        await has_begun(work)
        closing = asyncio.create_task(made.close())
        await asyncio.sleep(0)
        with pytest.raises(Refused) as caught:
            await made.submit([1], None)
        assert caught.value.status == 503
        work.gate.set()
        await closing
        assert [task.result() for task in waiting] == [[2 * i] for i in range(9)]

    run(test)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.integers(0, 50), max_size=9)), max_size=8)
)
def test_nothing_is_lost_and_everybody_gets_their_own(
    requests: list[tuple[str, list[int]]],
) -> None:
    async def test(work: Work) -> None:
        made = batcher(work, window=0, size=lambda item: item, max_size=60)
        results = await asyncio.gather(*(made.submit(items, kind) for kind, items in requests))
        await made.close()
        assert results == [[2 * item for item in items] for _, items in requests]
        done = sorted((kind, item) for kind, items in work.batches for item in items)
        assert done == sorted((kind, item) for kind, items in requests for item in items)
        assert all(len(items) <= 4 for _, items in work.batches)
        assert made.waiting == 0

    run(test)


def test_who_would_wait_too_long_is_refused_and_takes_turns_into_account() -> None:
    def slow(kind: None, items: list[int]) -> list[int]:
        gate.wait(20)
        time.sleep(0.02 * len(items))
        return items

    async def test() -> None:
        made = Batcher(slow, max_batch=2, window=0.001, max_queue=1_000, max_wait=0.1)
        gate.set()
        for number in range(3):  # the first tells nothing: it is where models are loaded
            await made.submit([number, number], None)
        gate.clear()
        begun = [asyncio.create_task(made.submit([0], None)) for _ in range(2)]
        await asyncio.sleep(0.05)
        long = asyncio.create_task(made.submit([*range(50)], None))
        await asyncio.sleep(0)
        made.check_room()  # one text waits for one turn, not for fifty texts
        with pytest.raises(Overloaded):
            made.check_room(50)
        short = [asyncio.create_task(made.submit([0], None)) for _ in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            made.check_room()
        gate.set()
        results = await asyncio.gather(*begun, long, *short, return_exceptions=True)
        assert results[2] == [*range(50)]
        assert (
            sum(isinstance(each, Overloaded) for each in results)
            == sum(isinstance(each, Overloaded) for each in results[3:])
            > 0
        )
        await made.close()

    gate = threading.Event()
    asyncio.run(test())
