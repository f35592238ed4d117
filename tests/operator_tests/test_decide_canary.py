"""The canary: a Job of its own between planning and shards, what it shows, and who lets the batch go on."""

from dataclasses import replace
from typing import Any

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.pods import CanaryCounts
from llmbatch_contract.progress import Totals
from llmbatch_contract.reports import Command, PlanFacts, StopReason
from llmbatch_contract.status import CanaryResult, ConditionType, ItemCounts, LLMBatchStatus, Phase, Reason
from llmbatch_contract.usage import Usage
from llmbatch_operator.canary import projected
from llmbatch_operator.decide import decide
from llmbatch_operator.events import events_of
from llmbatch_operator.jobs import job_name
from llmbatch_operator.observed import CreateJob, DeleteJob, Observed, SetSuspend, Talk
from llmbatch_operator.status_of import Pace, status_of
from operator_tests.operator_builders import (
    CANARY,
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

_SHARDS = CreateJob(SHARD, 4, 4)
_PLAN_DONE = job(PLAN, is_complete=True)
_DONE = job(CANARY, is_complete=True)
_GOOD = CanaryCounts(succeeded=10, attempts=10, usage=Usage(100, 100), items_per_minute=60)
_BAD = CanaryCounts(succeeded=9, failed=1, attempts=10, usage=Usage(100, 100), items_per_minute=60)
_PLANNED_STATUS = status(Phase.CANARY, PLANNED_CONDITION)
_ASKING = Talk(plan=PLANNED)


def _over(counts: CanaryCounts | None = _GOOD, was: LLMBatchStatus | None = None, **canary: Any) -> Observed:
    """The canary's pod has ended."""
    seen = batch(spec(canary=canary, parallelism=4), jobs=[_PLAN_DONE, _DONE], talk=_ASKING, status=was)
    return replace(seen, canary=counts)


@pytest.mark.parametrize(
    ("seen", "phase", "actions"),
    [
        pytest.param(batch(canary={}), Phase.PLANNING, (CreateJob(PLAN),), id="first it is planned"),
        pytest.param(
            batch(canary={}, jobs=[_PLAN_DONE], talk=_ASKING), Phase.CANARY, (CreateJob(CANARY),), id="then it begins"
        ),
        pytest.param(
            batch(spec(canary={}, input=INLINE)), Phase.PLANNING, (CreateJob(PLAN),), id="also where there is little"
        ),
        pytest.param(
            batch(canary={}, jobs=[_PLAN_DONE, job(CANARY)], pods=[pod(CANARY)], talk=_ASKING),
            Phase.CANARY,
            (),
            id="it is waited for",
        ),
        pytest.param(
            batch(canary={}, jobs=[_PLAN_DONE, job(CANARY, is_suspended=True)], status=_PLANNED_STATUS),
            Phase.CANARY,
            (SetSuspend(job_name(REF, CANARY), False),),
            id="it goes on after a hold",
        ),
        pytest.param(
            batch(canary={}, jobs=[_PLAN_DONE, _DONE], talk=_ASKING),
            Phase.CANARY,
            (DeleteJob(job_name(REF, CANARY)),),
            id="its pod is gone unheard: another one counts what is written down",
        ),
        pytest.param(_over(), Phase.RUNNING, (_SHARDS,), id="it went well: the shards begin"),
        pytest.param(
            replace(_over(), pods=(pod(CANARY, is_deleting=True),)),
            Phase.CANARY,
            (),
            id="not while a pod of it may still ask",
        ),
        pytest.param(
            batch(canary={}, jobs=[_PLAN_DONE], talk=Talk(plan=PlanFacts(items=0, shards=0))),
            Phase.FINALIZING,
            (CreateJob(FINALIZE),),
            id="there are no items",
        ),
        pytest.param(
            batch(canary={}, jobs=[_PLAN_DONE, job(SHARD)], talk=_ASKING, status=_PLANNED_STATUS),
            Phase.RUNNING,
            (),
            id="asked for too late: all items are being asked",
        ),
        pytest.param(
            batch(spec(input=INLINE, canary={}), jobs=[job(RUN)], talk=_ASKING), Phase.RUNNING, (), id="or in one pod"
        ),
        pytest.param(
            batch(jobs=[_PLAN_DONE, job(CANARY)], pods=[pod(CANARY)], talk=_ASKING),
            Phase.CANARY,
            (),
            id="taken out of the spec while it runs: its shards are no other pod's until it has ended",
        ),
        pytest.param(
            batch(
                problems="spec.x", jobs=[_PLAN_DONE, job(CANARY, is_suspended=True)], status=_PLANNED_STATUS
            ),
            Phase.CANARY,
            (),
            id="a spec that is not valid starts nothing",
        ),
    ],
)  # fmt: skip
def test_the_canary_comes_between_planning_and_shards(seen: Observed, phase: Phase, actions: tuple[Any, ...]) -> None:
    decision = decide(seen, NOW)
    assert (decision.phase, decision.actions, decision.command) == (phase, actions, Command.RUN)


@pytest.mark.parametrize(
    ("canary", "counts", "reason", "is_held"),
    [
        pytest.param({}, _GOOD, Reason.CANARY_PASSED, False, id="well enough"),
        pytest.param({}, _BAD, Reason.CANARY_FAILED, True, id="more failed than 5 %"),
        pytest.param({"maxFailurePercent": 10}, _BAD, Reason.CANARY_PASSED, False, id="as many as may"),
        pytest.param({"maxFailurePercent": 0}, _GOOD, Reason.CANARY_PASSED, False, id="none may, none did"),
        pytest.param({"approve": "manual"}, _GOOD, Reason.APPROVAL_NEEDED, True, id="somebody has to look"),
        pytest.param({"approve": "manual"}, _BAD, Reason.CANARY_FAILED, True, id="and all the more now"),
        pytest.param({"approved": True}, _BAD, Reason.APPROVED, False, id="approved"),
        pytest.param({"approved": True, "approve": "manual"}, _GOOD, Reason.APPROVED, False, id="approved by hand"),
    ],
)
def test_who_lets_the_batch_go_on(canary: dict[str, Any], counts: CanaryCounts, reason: Reason, is_held: bool) -> None:
    decision = decide(_over(counts, **canary), NOW)
    verdict = decision.facts[ConditionType.CANARY_PASSED]
    assert (verdict.reason, verdict.holds) == (reason, not is_held)
    if is_held:
        assert (decision.phase, decision.actions) == (Phase.AWAITING_APPROVAL, ())
        assert decision.facts[ConditionType.SUSPENDED].reason is reason
        assert decision.waiting_for == "approval"
        assert verdict.message.endswith("`kubectl llmbatch approve triage -n team-a` lets it go on")
    else:
        assert (decision.phase, decision.actions) == (Phase.RUNNING, (_SHARDS,))


def _written(seen: Observed) -> LLMBatchStatus:
    return status_of(seen, decide(seen, NOW), Pace(Totals()), NOW)


def test_what_it_showed_stands_in_the_status_and_decides_after_a_restart() -> None:
    seen = _over(_BAD, was=_PLANNED_STATUS)
    waiting = _written(seen)
    assert waiting.canary is not None
    assert (waiting.phase, waiting.waiting_for) == (Phase.AWAITING_APPROVAL, "approval")
    assert (waiting.canary.items, waiting.canary.failed, waiting.canary.failure_percent) == (10, 1, 10)
    conditions = {c.type: (c.status, c.reason) for c in waiting.conditions}
    assert conditions[ConditionType.CANARY_PASSED] == ("False", Reason.CANARY_FAILED)
    assert conditions[ConditionType.SUSPENDED] == ("True", Reason.CANARY_FAILED)
    told = [(e.type, e.reason) for e in events_of(seen.status, waiting)]
    assert told.count(("Warning", Reason.CANARY_FAILED)) == 1

    later = replace(seen, status=waiting, jobs={PLAN: _PLAN_DONE}, talk=Talk(), canary=None)  # a day later
    assert decide(later, NOW).phase is Phase.AWAITING_APPROVAL
    approved = replace(later, spec=spec(canary={"approved": True}, parallelism=4))
    decision = decide(approved, NOW)
    assert (decision.phase, decision.actions) == (Phase.RUNNING, (_SHARDS,))
    assert decision.facts[ConditionType.CANARY_PASSED].reason is Reason.APPROVED
    assert not decision.facts[ConditionType.SUSPENDED].holds
    assert _written(approved).canary == waiting.canary


def test_a_verdict_that_let_it_go_on_is_not_taken_back() -> None:
    passed = condition(ConditionType.CANARY_PASSED, Reason.CANARY_PASSED)
    was = status(Phase.RUNNING, PLANNED_CONDITION, passed, canary=CanaryResult(items=10, failed=1, failure_percent=10))
    decision = decide(_over(None, was=was, maxFailurePercent=1), NOW)
    assert (decision.phase, decision.actions) == (Phase.RUNNING, (_SHARDS,))
    assert ConditionType.CANARY_PASSED not in decision.facts


@pytest.mark.parametrize(
    ("fields", "talk", "reason"),
    [
        pytest.param({"cancel": True}, _ASKING, Reason.CANCELLED, id="cancel"),
        pytest.param(
            {},
            Talk(plan=PLANNED, stop=StopReason(category=Category.AUTH, message="HTTP 401")),
            Reason.STOPPED_BY_FAILURE,
            id="a failure that stops the batch",
        ),
    ],
)
def test_what_ends_a_batch_ends_it_in_the_canary(fields: dict[str, Any], talk: Talk, reason: Reason) -> None:
    seen = batch(spec(canary={}, **fields), jobs=[_PLAN_DONE, job(CANARY)], pods=[pod(CANARY)], talk=talk)
    decision = decide(seen, NOW)
    assert (decision.phase, decision.command) == (Phase.CANARY, Command.PAUSE)
    assert decision.facts[ConditionType.STOPPING].reason is reason


def test_suspend_halts_the_canary() -> None:
    talk = Talk(plan=PLANNED, paused_s=1, is_drained=True)
    seen = batch(spec(canary={}, suspend=True), jobs=[_PLAN_DONE, job(CANARY)], pods=[pod(CANARY)], talk=talk)
    assert decide(seen, NOW).actions == (SetSuspend(job_name(REF, CANARY), True),)


def test_a_canary_whose_pods_keep_dying_ends_the_batch() -> None:
    dying = job(CANARY, failure="BackoffLimitExceeded: …")
    seen = batch(canary={}, jobs=[_PLAN_DONE, dying], talk=_ASKING, status=_PLANNED_STATUS)
    fact = decide(seen, NOW).facts[ConditionType.STOPPING]
    assert (fact.reason, fact.message) == (
        Reason.WORKERS_FAILED,
        "the pods of the canary failed too often; the last: BackoffLimitExceeded: …",
    )


def test_while_it_runs_its_speed_is_shown_and_no_end_is_foretold() -> None:
    seen = batch(canary={}, jobs=[_PLAN_DONE, job(CANARY)], pods=[pod(CANARY)], talk=_ASKING, status=_PLANNED_STATUS)
    made = status_of(seen, decide(seen, NOW), Pace(Totals(succeeded=3), in_flight=2, items_per_second=0.5), NOW)
    assert (made.phase, made.items_per_minute, made.time_left) == (Phase.CANARY, 30, None)
    assert made.items == ItemCounts(total=40, succeeded=3, running=2, pending=35)


# What is to be expected

_LIMITED = {"url": "http://localhost/v1"}
_TWICE = _GOOD.model_copy(update={"attempts": 20})
_SLOW = _GOOD.model_copy(update={"latency_ms": 3000})


@pytest.mark.parametrize(
    ("limits", "counts", "per_minute", "takes"),
    [
        pytest.param({}, _GOOD, 240, "16m40s", id="as fast as one pod, four times"),
        pytest.param({"requestsPerMinute": 100}, _GOOD, 100, "40m0s", id="no faster than the requests"),
        pytest.param({"requestsPerMinute": 100}, _TWICE, 50, "1h20m", id="an item may take two requests"),
        pytest.param({"tokensPerMinute": 2000}, _GOOD, 100, "40m0s", id="no faster than the tokens"),
        pytest.param({"concurrency": 2}, _SLOW, 40, "1h40m", id="no faster than so many at once"),
        pytest.param({"inputTokensPerMinute": 500}, _GOOD, 50, "1h20m", id="no faster than the prompts"),
        pytest.param({"tokensPerMinute": 2_000_000}, _GOOD, 240, "16m40s", id="a limit that is far away"),
    ],
)
def test_how_long_the_batch_would_take(
    limits: dict[str, Any], counts: CanaryCounts, per_minute: float, takes: str
) -> None:
    asked = spec(parallelism=4, endpoint={**_LIMITED, "limits": limits})
    result = projected(counts, PlanFacts(items=4000, shards=8), asked)
    assert (result.projected_items_per_minute, result.projected_duration) == (per_minute, takes)
    assert (result.items_per_minute, result.projected_tokens) == (60, 80_000)


def test_what_the_batch_would_cost() -> None:
    priced = {**_LIMITED, "pricing": {"inputPerMillion": 1000, "outputPerMillion": 2000, "currency": "EUR"}}
    result = projected(_GOOD, PlanFacts(items=4000, shards=8), spec(endpoint=priced))
    assert result.projected_cost is not None
    assert (result.projected_cost.amount, result.projected_cost.display) == (120, "120.00 EUR")


def test_a_pod_that_asked_nothing_says_nothing_of_speed() -> None:
    counts = _GOOD.model_copy(update={"items_per_minute": None})
    result = projected(counts, PlanFacts(items=4000, shards=8), spec())
    assert (result.items_per_minute, result.projected_duration, result.projected_tokens) == (None, None, 80_000)
