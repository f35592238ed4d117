"""The one door that every request passes, on a real loop with a clock of its own."""

import asyncio

import pytest

from llmbatch_contract.reports import LEASE_S, Allowance, Grant, Outage, PushBackKind, Reply
from llmbatch_contract.spec import Api
from llmbatch_contract.usage import Pricing, Usage
from llmbatch_worker.asking import Question
from llmbatch_worker.limits.gate import Gate

QUESTION = Question(Api.CHAT, b"{}", 10, 20)


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def _is_waiting(task: "asyncio.Task[object]") -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


def _announce(gate: Gate) -> None:
    """As a report does: whoever shares the limits knows of the largest request."""
    gate.obey(Reply(grant=gate.grant), gate.now(), 1e9)


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
    gate.asked_to_wait(5)
    assert gate.backoff_s == 5
    waiting = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(waiting)
    clock.now += 5
    gate.pause(False)  # wakes it up, as time would
    assert await waiting is not None


async def test_the_longest_wait_that_was_asked_holds() -> None:
    gate = Gate(8, _Clock())
    gate.asked_to_wait(5)
    gate.asked_to_wait(1)
    assert gate.backoff_s == 5


async def test_tokens_that_were_not_used_are_free_again() -> None:
    clock = _Clock()
    gate = Gate(8, clock)
    gate.use(Grant(number=1, tokens_per_minute=600))
    _announce(gate)
    passed = await gate.admit(QUESTION)
    assert passed is not None
    assert passed.tokens == 30
    waiting = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(waiting)
    clock.now += 0.5  # without what is given back, it would be 3 s
    gate.answered(passed, QUESTION, Usage(1, 1), 0.1)
    gate.leave(passed)
    assert await waiting is not None


async def test_input_tokens_are_limited_on_their_own() -> None:
    gate = Gate(8, _Clock())
    gate.use(Grant(number=1, input_tokens_per_minute=60))
    _announce(gate)
    passed = await gate.admit(QUESTION)
    waiting = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(waiting)
    assert passed is not None
    gate.refused(passed)
    gate.leave(passed)
    assert await waiting is not None


async def test_a_request_larger_than_those_before_is_told_before_it_is_sent() -> None:
    gate, told = Gate(8, _Clock()), asyncio.Event()
    gate.on_news = told.set
    gate.use(Grant(number=1, tokens_per_minute=6000))
    waiting = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(waiting)
    assert told.is_set()
    assert gate.largest_tokens >= 30
    gate.obey(Reply(grant=gate.grant), gate.now(), gate.largest_tokens)
    assert await waiting is not None


async def test_nothing_is_sent_once_the_lease_is_over_until_there_is_a_word_again() -> None:
    clock = _Clock()
    gate = Gate(8, clock)
    gate.obey(Reply(grant=Grant(number=1, concurrency=8)), clock.now, 0)
    clock.now += LEASE_S
    assert await gate.admit(QUESTION) is not None
    clock.now += 0.1
    assert gate.lease_is_over
    waiting = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(waiting)
    gate.obey(Reply(grant=gate.grant), clock.now - LEASE_S - 0.05, 0)  # a reply that was as long on its way
    assert await _is_waiting(waiting)
    gate.obey(Reply(grant=gate.grant), clock.now, 0)
    assert await waiting is not None


async def test_a_grant_without_limits_needs_no_lease() -> None:
    clock = _Clock()
    gate = Gate(8, clock)
    gate.obey(Reply(grant=Grant(number=1, budget=Allowance(tokens=1000))), clock.now, 0)
    clock.now += 10 * LEASE_S
    assert await gate.admit(QUESTION) is not None


async def test_no_more_is_sent_than_the_budget_allows_with_what_is_in_flight() -> None:
    gate, told = Gate(8, _Clock()), asyncio.Event()
    gate.on_news = told.set
    gate.use(Grant(number=1, budget=Allowance(tokens=70)))
    first = await gate.admit(QUESTION)
    assert await gate.admit(QUESTION) is not None
    assert (gate.purse.spent.in_flight_tokens, told.is_set()) == (60, False)
    third = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(third)
    assert (gate.waits_for_budget, told.is_set()) == (True, True)
    assert first is not None
    gate.leave(first)
    gate.answered(first, QUESTION, Usage(4, 6), 0.1)
    assert await third is not None
    assert not gate.waits_for_budget
    assert gate.purse.spent.tokens == 10
    assert gate.purse.spent.in_flight_tokens == pytest.approx(60, abs=20)


async def test_a_budget_of_money_counts_by_prices() -> None:
    pricing = Pricing(input_per_million=1_000_000, output_per_million=2_000_000)
    gate = Gate(8, _Clock(), pricing=pricing)
    gate.use(Grant(number=1, budget=Allowance(cost=99)))
    passed = await gate.admit(QUESTION)
    assert gate.purse.spent.in_flight_cost == 50
    waiting = asyncio.create_task(gate.admit(QUESTION))
    assert await _is_waiting(waiting)
    gate.use(Grant(number=2, budget=Allowance(cost=100)))
    assert await waiting is not None
    assert passed is not None
    gate.leave(passed)
    gate.answered(passed, QUESTION, Usage(10, 1), 0.1)
    assert gate.purse.spent.cost == 12


async def test_an_answer_without_usage_has_spent_what_was_estimated() -> None:
    gate = Gate(8, _Clock())
    passed = await gate.admit(QUESTION)
    assert passed is not None
    gate.leave(passed)
    gate.answered(passed, QUESTION, Usage(), 0.1)
    assert gate.purse.spent.tokens == 30


async def test_in_an_outage_nobody_sends_but_who_probes_one_at_a_time() -> None:
    clock = _Clock()
    gate = Gate(8, clock)
    gate.obey(Reply(outage=Outage()), clock.now, 0)
    waiting = asyncio.create_task(gate.admit(QUESTION))
    clock.now += 30
    assert await _is_waiting(waiting)
    gate.obey(Reply(outage=Outage(probe=True, probe_after_s=4)), clock.now, 0)
    assert await _is_waiting(waiting)
    clock.now += 3
    gate.obey(Reply(outage=Outage(probe=True, probe_after_s=4)), clock.now, 0)
    assert await _is_waiting(waiting)
    clock.now += 1
    gate.obey(Reply(outage=Outage(probe=True, probe_after_s=4)), clock.now, 0)
    probe = await waiting
    assert probe is not None
    assert probe.is_probe
    second = asyncio.create_task(gate.admit(QUESTION))
    clock.now += 100
    gate.obey(Reply(outage=Outage(probe=True, probe_after_s=4)), clock.now, 0)
    assert await _is_waiting(second)
    gate.leave(probe)
    assert await _is_waiting(second)
    gate.endpoint_answers()
    assert await second is not None
    assert await gate.admit(QUESTION) is not None


async def test_who_knows_of_an_outage_and_hears_nothing_more_asks_now_and_then() -> None:
    clock = _Clock()
    gate = Gate(8, clock)
    gate.obey(Reply(outage=Outage()), clock.now, 0)
    clock.now += 61
    probe = await gate.admit(QUESTION)
    assert probe is not None
    gate.leave(probe)
    waiting = asyncio.create_task(gate.admit(QUESTION))
    clock.now += 10
    gate.pause(False)
    assert await _is_waiting(waiting)
    clock.now += 21
    gate.pause(False)
    assert await waiting is not None


async def test_push_backs_are_told_until_they_are_heard() -> None:
    clock, news = _Clock(), list[bool]()
    gate = Gate(8, clock)
    gate.on_news = lambda: news.append(True)
    for message in ("too many", "slow down"):
        passed = await gate.admit(QUESTION)
        assert passed is not None
        clock.now += 1
        gate.leave(passed)
        gate.refused(passed, PushBackKind.RATE_LIMITED, message)
    assert news == [True]
    (told,) = gate.push_backs.to_tell(clock.now + 3)
    assert (told.count, told.sent_ago_s, told.message) == (2, 4, "slow down")
    passed = await gate.admit(QUESTION)
    assert passed is not None
    gate.refused(passed, PushBackKind.RATE_LIMITED)
    gate.push_backs.told([told])
    assert [p.count for p in gate.push_backs.to_tell(clock.now)] == [1]
    assert gate.backoff_s == 0


async def test_a_word_of_others_to_wait_is_not_passed_on_as_ones_own() -> None:
    gate = Gate(8, _Clock())
    gate.obey(Reply(backoff_seconds=20), gate.now(), 0)
    assert gate.backoff_s == 0
    gate.asked_to_wait(5)
    assert gate.backoff_s == 5
