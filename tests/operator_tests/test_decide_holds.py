"""What holds a batch and lets it go on by itself: budget, window, endpoint; and of several, which one is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llmbatch_contract.pods import CanaryCounts
from llmbatch_contract.reports import Command, Spent
from llmbatch_contract.status import (
    Condition,
    ConditionType,
    Cost,
    ItemCounts,
    LLMBatchStatus,
    Phase,
    Reason,
    TokenCounts,
)
from llmbatch_operator.decide import decide
from llmbatch_operator.facts import JobFacts
from llmbatch_operator.jobs import job_name
from llmbatch_operator.observed import CreateJob, Decision, Fact, Observed, SetSuspend, Talk
from operator_tests.operator_builders import (
    FINALIZE,
    INLINE,
    NOW,
    PLAN,
    PLANNED,
    PLANNED_CONDITION,
    REF,
    RUN,
    SHARD,
    batch,
    condition,
    job,
    pod,
    spec,
    status,
)

_AT_NIGHT = {"start": "22:00", "end": "06:00"}
_BY_DAY = {"start": "08:00", "end": "14:00"}
_BUDGET = {"maxTokens": 1000}
_PRICED: dict[str, Any] = {"url": "http://localhost/v1", "pricing": {"inputPerMillion": 1, "currency": "EUR"}}
_RUNNING = status(Phase.RUNNING, PLANNED_CONDITION)
_SPENT = Talk(plan=PLANNED, budget_is_spent=True, spent=Spent(tokens=990))
_NOTHING = timedelta()


def _held(decision: Decision) -> Fact:
    assert (decision.actions, decision.command) == ((), Command.PAUSE)
    return decision.facts[ConditionType.SUSPENDED]


def _used(tokens: int, *conditions: Condition, answered: int = 10, cost: float | None = None) -> LLMBatchStatus:
    items = ItemCounts(total=40, succeeded=answered, pending=40 - answered)
    money = None if cost is None else Cost(amount=cost, currency="EUR", display="")
    return status(
        Phase.SUSPENDED if conditions else Phase.RUNNING,
        PLANNED_CONDITION,
        *conditions,
        items=items,
        usage=TokenCounts(total_tokens=tokens),
        cost=money,
    )


def _spent(message: str) -> Condition:
    return condition(ConditionType.BUDGET_EXCEEDED, Reason.BUDGET_EXCEEDED, message)


# Window


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(batch(window=_AT_NIGHT), id="before anything began"),
        pytest.param(batch(spec(window=_AT_NIGHT, input=INLINE)), id="a small one"),
        pytest.param(batch(window=_AT_NIGHT, jobs=[job(SHARD, is_suspended=True)], status=_RUNNING), id="at work"),
    ],
)
def test_outside_its_window_a_batch_has_no_pods(seen: Observed) -> None:
    decision = decide(seen, NOW)
    fact = _held(decision)
    assert (decision.phase, fact.reason) == (Phase.SUSPENDED, Reason.OUTSIDE_WINDOW)
    assert fact.message == "the window is closed; it opens at 2026-11-22 22:00 UTC"
    assert decision.waiting_for == "its window"


def test_the_message_has_the_clock_of_the_window_and_utc() -> None:
    window = {**_AT_NIGHT, "timeZone": "Europe/Berlin"}
    fact = _held(decide(batch(window=window), NOW))
    assert fact.message == "the window is closed; it opens at 2026-11-22 22:00 Europe/Berlin (2026-11-22 21:00 UTC)"


def test_when_the_window_closes_pods_end_in_order() -> None:
    seen = batch(window=_AT_NIGHT, jobs=[job(SHARD)], pods=[pod(SHARD)], talk=Talk(plan=PLANNED), status=_RUNNING)
    decision = decide(seen, NOW)
    assert (decision.phase, decision.actions, decision.command) == (Phase.RUNNING, (), Command.PAUSE)
    drained = replace(seen, talk=Talk(plan=PLANNED, paused_s=1, is_drained=True))
    assert decide(drained, NOW).actions == (SetSuspend(job_name(REF, SHARD), True),)


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        pytest.param(datetime(2026, 11, 22, 7, 59, 30, tzinfo=UTC), 30, id="until it opens"),
        pytest.param(datetime(2026, 11, 22, 13, 58, tzinfo=UTC), 120, id="until it closes"),
        pytest.param(datetime(2026, 11, 22, 9, tzinfo=UTC), 600, id="at most so long, as clocks are set"),
    ],
)
def test_the_operator_looks_again_when_the_window_changes(now: datetime, seconds: float) -> None:
    seen = batch(window=_BY_DAY, jobs=[job(SHARD)], talk=Talk(plan=PLANNED), status=_RUNNING)
    if now.hour < 8:
        seen = replace(seen, jobs={SHARD: job(SHARD, is_suspended=True)})
    assert decide(seen, now).again_after_s == seconds


def test_when_the_window_opens_it_goes_on() -> None:
    closed = condition(ConditionType.SUSPENDED, Reason.OUTSIDE_WINDOW, "the window is closed")
    held = status(Phase.SUSPENDED, PLANNED_CONDITION, closed)
    decision = decide(batch(window=_BY_DAY, jobs=[job(SHARD, is_suspended=True)], status=held), NOW)
    assert (decision.phase, decision.actions) == (Phase.RUNNING, (SetSuspend(job_name(REF, SHARD), False),))
    assert not decision.facts[ConditionType.SUSPENDED].holds


# Budget


def test_a_spent_budget_holds_the_batch_and_says_so_from_the_first() -> None:
    seen = batch(budget=_BUDGET, jobs=[job(SHARD)], pods=[pod(SHARD)], talk=_SPENT, status=_used(900))
    first = decide(seen, NOW)
    assert (first.phase, first.command) == (Phase.RUNNING, Command.PAUSE)
    assert first.facts[ConditionType.BUDGET_EXCEEDED].holds
    at_rest = replace(seen, jobs={SHARD: job(SHARD, is_suspended=True)}, pods=())
    fact = _held(decide(at_rest, NOW))
    assert fact.reason is Reason.BUDGET_EXCEEDED
    assert fact.message == (
        "the budget of 1,000 tokens is spent: 990 tokens so far; raise spec.budget and the batch goes on"
    )


@pytest.mark.parametrize(
    ("budget", "known", "used", "is_held"),
    [
        pytest.param({"maxTokens": 1000}, None, 999, False, id="something is left"),
        pytest.param({"maxTokens": 1000}, None, 1000, True, id="nothing is left, by the status alone"),
        pytest.param({"maxTokens": 1000}, "1,000 tokens", 950, True, id="too little for a request: as it was found"),
        pytest.param({"maxTokens": 1001}, "1,000 tokens", 950, True, id="raised by less than one item takes"),
        pytest.param({"maxTokens": 2000}, "1,000 tokens", 950, False, id="raised"),
        pytest.param({"maxTokens": 900}, "1,000 tokens", 950, True, id="lowered"),
        pytest.param(None, "1,000 tokens", 950, False, id="taken away"),
    ],
)
def test_without_pods_the_status_decides_and_does_not_waver(
    budget: dict[str, Any] | None, known: str | None, used: int, is_held: bool
) -> None:
    conditions = [_spent(f"the budget of {known} is spent: …")] if known is not None else []
    seen = batch(
        spec(**({"budget": budget} if budget else {})),
        jobs=[job(SHARD, is_suspended=True)],
        status=_used(used, *conditions),
    )
    decision = decide(seen, NOW)
    assert (decision.phase is Phase.SUSPENDED) == is_held
    if known is not None and not is_held:
        assert decision.facts[ConditionType.BUDGET_EXCEEDED] == Fact(
            False, Reason.BUDGET_RAISED, "there is something left of the budget"
        )


@pytest.mark.parametrize(("cost", "is_held"), [(1.49, False), (1.5, True)])
def test_a_budget_of_money(cost: float, is_held: bool) -> None:
    seen = batch(
        spec(budget={"maxCost": 1.5}, endpoint=_PRICED),
        jobs=[job(SHARD, is_suspended=True)],
        status=_used(10, cost=cost),
    )
    decision = decide(seen, NOW)
    assert (decision.phase is Phase.SUSPENDED) == is_held
    if is_held:
        assert _held(decision).message.startswith("the budget of 1.50 EUR is spent: 1.50 EUR so far")


@pytest.mark.parametrize(
    ("budget", "known"),
    [
        pytest.param({"maxCost": 1.5}, "1.50 EUR and 1,000 tokens", id="one of two limits is taken away"),
        pytest.param({"maxCost": 0.00014}, "0.0001 EUR", id="raised by less than is shown"),
    ],
)
def test_a_budget_that_reads_almost_as_before_is_another(budget: dict[str, Any], known: str) -> None:
    spent = _used(1000, _spent(f"the budget of {known} is spent: …"), cost=0.0001)
    seen = batch(spec(budget=budget, endpoint=_PRICED), jobs=[job(SHARD, is_suspended=True)], status=spent)
    assert decide(seen, NOW).facts[ConditionType.BUDGET_EXCEEDED].reason is Reason.BUDGET_RAISED


@pytest.mark.parametrize(
    ("jobs", "phase"),
    [
        pytest.param([job(SHARD, is_complete=True)], Phase.FINALIZING, id="all shards are done"),
        pytest.param([job(SHARD, is_complete=True), job(FINALIZE)], Phase.FINALIZING, id="outputs are written"),
        pytest.param([job(RUN, is_complete=True)], Phase.RUNNING, id="the one pod is done"),
    ],
)
@pytest.mark.parametrize("fields", [{"budget": _BUDGET}, {"window": _AT_NIGHT}], ids=["budget", "window"])
def test_what_has_nothing_left_to_ask_is_not_held(jobs: list[JobFacts], phase: Phase, fields: dict[str, Any]) -> None:
    decision = decide(batch(spec(**fields), jobs=jobs, talk=_SPENT, status=_used(1000)), NOW)
    assert decision.phase is phase
    assert ConditionType.SUSPENDED not in decision.facts


# Endpoint


def test_an_endpoint_that_may_not_be_used_any_more_holds_the_batch() -> None:
    problem = Fact(True, Reason.ENDPOINT_FORBIDDEN, "namespace team-a is not allowed")
    seen = replace(
        batch(jobs=[job(SHARD)], pods=[pod(SHARD)], talk=Talk(plan=PLANNED), status=_RUNNING),
        endpoint_problem=problem,
        must_hold_for_endpoint=True,
    )
    assert decide(seen, NOW).command is Command.PAUSE
    decision = decide(replace(seen, jobs={SHARD: job(SHARD, is_suspended=True)}, pods=()), NOW)
    assert _held(decision) == problem
    assert decision.facts[ConditionType.BLOCKED] == problem


def test_an_endpoint_that_is_only_gone_by_now_holds_nothing() -> None:
    seen = replace(
        batch(jobs=[job(SHARD)], pods=[pod(SHARD)], talk=Talk(plan=PLANNED), status=_RUNNING),
        endpoint_problem=Fact(True, Reason.ENDPOINT_MISSING, "there is no LLMEndpoint openai"),
    )
    decision = decide(seen, NOW)
    assert (decision.phase, decision.command) == (Phase.RUNNING, Command.RUN)
    assert decision.facts[ConditionType.BLOCKED].reason is Reason.ENDPOINT_MISSING


# Several


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"suspend": True}, Reason.SUSPENDED, id="what its user wants, before all"),
        pytest.param({"canary": {"approve": "manual"}}, Reason.APPROVAL_NEEDED, id="what somebody has to do"),
        pytest.param({}, Reason.BUDGET_EXCEEDED, id="then the budget"),
        pytest.param({"budget": {"maxTokens": 5000}}, Reason.OUTSIDE_WINDOW, id="at last what comes by itself"),
    ],
)
def test_of_several_holds_the_first_is_told(fields: dict[str, Any], reason: Reason) -> None:
    both = spec(**{"window": _AT_NIGHT, "budget": _BUDGET, **fields})
    seen = replace(
        batch(both, jobs=[job(PLAN, is_complete=True)], status=_used(1000)), canary=CanaryCounts(succeeded=1)
    )
    assert _held(decide(seen, NOW)).reason is reason


def test_a_budget_that_is_raised_is_no_reason_any_more_while_something_else_holds() -> None:
    both = spec(window=_AT_NIGHT, budget={"maxTokens": 5000})
    spent = _used(1000, _spent("the budget of 1,000 tokens is spent: …"))
    facts = decide(batch(both, jobs=[job(SHARD, is_suspended=True)], status=spent), NOW).facts
    assert facts[ConditionType.SUSPENDED].reason is Reason.OUTSIDE_WINDOW
    assert facts[ConditionType.BUDGET_EXCEEDED].reason is Reason.BUDGET_RAISED


def test_a_spent_budget_stays_spent_while_its_user_suspends_the_batch() -> None:
    spent = _used(1000, _spent("the budget of 1,000 tokens is spent: …"))
    seen = batch(spec(suspend=True, budget=_BUDGET), jobs=[job(SHARD, is_suspended=True)], status=spent)
    assert ConditionType.BUDGET_EXCEEDED not in decide(seen, NOW).facts


def test_a_canary_that_is_approved_is_no_reason_any_more_while_something_else_holds() -> None:
    failed = condition(ConditionType.CANARY_PASSED, Reason.APPROVAL_NEEDED, "look at it").model_copy(
        update={"status": "False"}
    )
    both = spec(window=_AT_NIGHT, canary={"approve": "manual", "approved": True})
    seen = batch(both, jobs=[job(PLAN, is_complete=True)], status=_used(10, failed))
    decision = decide(replace(seen, canary=CanaryCounts(succeeded=1)), NOW)
    assert _held(decision).reason is Reason.OUTSIDE_WINDOW
    assert decision.facts[ConditionType.CANARY_PASSED].reason is Reason.APPROVED


def test_a_held_batch_ends_by_its_deadline() -> None:
    held = spec(window=_AT_NIGHT, active_deadline_seconds=60)
    waiting = decide(batch(held, status=status(Phase.SUSPENDED, start_time=NOW - timedelta(seconds=50))), NOW)
    assert waiting.again_after_s == 10
    late = decide(batch(held, status=status(Phase.SUSPENDED, start_time=NOW - timedelta(seconds=60))), NOW)
    assert late.facts[ConditionType.STOPPING].reason is Reason.DEADLINE_EXCEEDED


def test_a_held_batch_can_be_cancelled() -> None:
    decision = decide(batch(window=_AT_NIGHT, cancel=True), NOW)
    assert decision.facts[ConditionType.STOPPING].reason is Reason.CANCELLED


def test_while_the_spec_is_not_valid_what_held_it_still_does() -> None:
    waits = condition(ConditionType.SUSPENDED, Reason.APPROVAL_NEEDED, "look at it")
    seen = batch(
        problems="spec.parallelism: must be 1 or more",
        jobs=[job(PLAN, is_complete=True)],
        status=status(Phase.AWAITING_APPROVAL, PLANNED_CONDITION, waits, waiting_for="approval"),
    )
    decision = decide(seen, NOW)
    assert (decision.phase, _held(decision).message, decision.waiting_for) == (
        Phase.AWAITING_APPROVAL,
        "look at it",
        "approval",
    )


def test_going_on_creates_what_comes_next() -> None:
    assert decide(batch(window=_BY_DAY), NOW).actions == (CreateJob(PLAN),)
