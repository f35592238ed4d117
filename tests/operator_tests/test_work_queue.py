"""The queue of batches that want a look: none twice, none at the same time as itself, none lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from llmbatch_operator.workqueue import WorkQueue


class _Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class _Worker:
    """Notes what it works on, and waits at the gate of a key where there is one."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Condition()

    async def __call__(self, key: str) -> None:
        self.begun.append(key)
        await self._tell()
        if key in self.gates:
            await self.gates[key].wait()
        self.done.append(key)
        await self._tell()

    async def until(self, predicate: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(predicate)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@asynccontextmanager
async def _running(queue: WorkQueue, work: Callable[[str], Awaitable[None]], workers: int = 2) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run(work, workers))
    try:
        async with asyncio.timeout(10):
            yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_keys_are_worked_on_in_order() -> None:
    queue, worker = WorkQueue(_Clock()), _Worker()
    for key in ("b", "a", "c"):
        queue.add(key)
    async with _running(queue, worker, workers=1):
        await worker.until(lambda: len(worker.done) == 3)
    assert worker.done == ["b", "a", "c"]


async def test_a_key_is_in_the_queue_once() -> None:
    queue, worker = WorkQueue(_Clock()), _Worker()
    for key in ("a", "b", "a", "a"):
        queue.add(key)
    assert len(queue) == 2
    async with _running(queue, worker):
        await worker.until(lambda: len(worker.done) == 2)
    assert sorted(worker.done) == ["a", "b"]


async def test_an_idle_queue_wakes_for_what_is_added() -> None:
    queue, worker = WorkQueue(_Clock()), _Worker()
    async with _running(queue, worker):
        queue.add("a")
        await worker.until(lambda: worker.done == ["a"])
        queue.add("a")
        await worker.until(lambda: worker.done == ["a", "a"])


async def test_a_key_is_worked_on_by_one_at_a_time_and_once_more_for_what_came_meanwhile() -> None:
    queue, worker = WorkQueue(_Clock()), _Worker()
    worker.gates["a"] = asyncio.Event()
    queue.add("a")
    async with _running(queue, worker, workers=4):
        await worker.until(lambda: worker.begun == ["a"])
        for key in ("a", "a", "b"):
            queue.add(key)
        await worker.until(lambda: worker.done == ["b"])
        assert worker.begun == ["a", "b"]
        worker.gates["a"].set()
        await worker.until(lambda: worker.done == ["b", "a", "a"])
    assert len(queue) == 0


async def test_one_slow_key_holds_up_no_other() -> None:
    queue, worker = WorkQueue(_Clock()), _Worker()
    worker.gates["slow"] = asyncio.Event()
    queue.add("slow")
    async with _running(queue, worker, workers=2):
        for number in range(50):
            queue.add(f"{number}")
        await worker.until(lambda: len(worker.done) == 50)
    assert "slow" not in worker.done


async def test_work_may_ask_for_another_look_at_its_own_key() -> None:
    queue, worker = WorkQueue(_Clock()), _Worker()

    async def work(key: str) -> None:
        await worker(key)
        if len(worker.done) < 3:
            queue.add(key)

    queue.add("a")
    async with _running(queue, work):
        await worker.until(lambda: worker.done == ["a"] * 3)


async def test_what_is_for_later_is_looked_at_when_it_is_due() -> None:
    clock = _Clock()
    queue, worker = WorkQueue(clock), _Worker()
    queue.add_after("a", 60)
    queue.add_after("b", 30)
    async with _running(queue, worker):
        queue.add("x")
        await worker.until(lambda: worker.done == ["x"])
        clock.now = 30
        queue.add("y")
        await worker.until(lambda: len(worker.done) == 3)
        assert sorted(worker.done) == ["b", "x", "y"]
        clock.now = 60
        queue.add("z")
        await worker.until(lambda: len(worker.done) == 5)
    assert set(worker.done) == {"a", "b", "x", "y", "z"}


async def test_time_alone_wakes_the_queue() -> None:
    queue, worker = WorkQueue(asyncio.get_running_loop().time), _Worker()
    async with _running(queue, worker):
        queue.add_after("a", 0.01)
        queue.add_after("b", -5)
        await worker.until(lambda: sorted(worker.done) == ["a", "b"])


@pytest.mark.parametrize("times", [(5, 60, 30), (60, 5), (30, 60, 5)])
async def test_of_several_times_the_earliest_counts_and_only_it(times: tuple[int, ...]) -> None:
    clock = _Clock()
    queue, worker = WorkQueue(clock), _Worker()
    for seconds in times:
        queue.add_after("a", seconds)
    async with _running(queue, worker):
        for clock.now in (5, 30, 60):
            queue.add(f"at {clock.now}")
            await worker.until(lambda: f"at {clock.now}" in worker.done)
        await worker.until(lambda: "a" in worker.done)
    assert worker.done.count("a") == 1


async def test_after_its_time_a_key_can_be_set_for_later_again() -> None:
    clock = _Clock()
    queue, worker = WorkQueue(clock), _Worker()
    async with _running(queue, worker):
        for clock.now in (10, 20):
            queue.add_after("a", 0)
            await worker.until(lambda: worker.done.count("a") == clock.now // 10)


async def test_a_mistake_in_work_ends_the_queue_loudly() -> None:
    queue = WorkQueue(_Clock())

    async def work(_key: str) -> None:
        raise ZeroDivisionError

    queue.add("a")
    with pytest.RaisesGroup(ZeroDivisionError):
        async with asyncio.timeout(10):
            await queue.run(work, 2)
