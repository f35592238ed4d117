"""The one door that every request passes, on a real loop with a clock of its own."""

import asyncio

from llmbatch_contract.reports import Grant
from llmbatch_contract.spec import Api
from llmbatch_contract.usage import Usage
from llmbatch_worker.asking import Question
from llmbatch_worker.limits.gate import Gate, Pass

QUESTION = Question(Api.CHAT, b"{}", 10, 20)


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def _is_waiting(task: "asyncio.Task[object]") -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def _admit_first(gate: Gate, clock: _Clock, grant: Grant) -> Pass | None:
    """The first request waits for its tokens in advance, since others may begin at the same moment."""
    gate.use(grant)
    first = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(first)
    clock.now += 60
    gate.use(grant)
    return await first


async def test_concurrency_that_adapts_grows_when_it_is_used() -> None:
    gate = Gate(None, _Clock())
    before = gate.concurrency
    for _ in range(200):
        passes = [passed for _ in range(gate.concurrency) if (passed := await gate.admit(QUESTION)) is not None]
        for passed in passes:
            gate.leave(passed)
            gate.answered(passed, QUESTION, Usage(1, 1), 0.1)
            again = await gate.admit(QUESTION)
            assert again is not None
            gate.leave(again)
    assert gate.concurrency > 4 * before


async def test_no_more_are_in_flight_than_the_concurrency_allows() -> None:
    gate = Gate(2, _Clock())
    first = await gate.admit(QUESTION)
    await gate.admit(QUESTION)
    third = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(third)
    assert first is not None
    gate.leave(first)
    assert await third is not None
    assert gate.in_flight == 2


async def test_a_smaller_grant_holds_back_and_a_larger_one_lets_go() -> None:
    gate = Gate(8, _Clock())
    gate.use(Grant(number=1, concurrency=1))
    await gate.admit(QUESTION)
    second = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(second)
    gate.use(Grant(number=2, concurrency=2))
    assert await second is not None


async def test_a_grant_of_no_requests_admits_nothing_until_there_is_another() -> None:
    gate = Gate(8, _Clock())
    gate.use(Grant(number=1, requests_per_minute=0))
    waiting = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(waiting)
    gate.use(Grant(number=2, requests_per_minute=60))
    assert await waiting is not None


async def test_a_pause_admits_nothing_until_it_ends() -> None:
    gate = Gate(8, _Clock())
    gate.pause(True)
    waiting = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(waiting)
    gate.pause(False)
    assert await waiting is not None


async def test_who_waits_is_turned_away_when_the_gate_is_shut() -> None:
    gate = Gate(1, _Clock())
    await gate.admit(QUESTION)
    waiting = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(waiting)
    gate.shut()
    assert await waiting is None
    assert gate.in_flight == 1


async def test_nothing_passes_while_the_endpoint_asked_to_wait() -> None:
    clock = _Clock()
    gate = Gate(8, clock)
    gate.close_for(5)
    assert gate.backoff_s == 5
    waiting = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(waiting)
    clock.now += 5
    gate.pause(False)  # wakes it up, as time would
    assert await waiting is not None


async def test_the_longest_wait_that_was_asked_holds() -> None:
    gate = Gate(8, _Clock())
    gate.close_for(5)
    gate.close_for(1)
    assert gate.backoff_s == 5


async def test_tokens_that_were_not_used_are_free_again() -> None:
    clock = _Clock()
    gate = Gate(8, clock)
    passed = await _admit_first(gate, clock, Grant(number=1, tokens_per_minute=600))
    assert passed is not None
    assert passed.tokens == 30
    waiting = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(waiting)
    clock.now += 0.5  # without what is given back, it would be 3 s
    gate.answered(passed, QUESTION, Usage(1, 1), 0.1)
    gate.leave(passed)
    assert await waiting is not None


async def test_input_tokens_are_limited_on_their_own() -> None:
    clock = _Clock()
    gate = Gate(8, clock)
    passed = await _admit_first(gate, clock, Grant(number=1, input_tokens_per_minute=60))
    waiting = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(waiting)
    assert passed is not None
    gate.refused(passed, pushed_back=False)
    gate.leave(passed)
    assert await waiting is not None
