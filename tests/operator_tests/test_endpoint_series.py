"""What metrics tell of LLMEndpoints and of the batches that share them, and of what holds a batch."""

from dataclasses import replace
from datetime import timedelta

import pytest

from llmbatch_contract.endpoint import Limits
from llmbatch_contract.reports import PushBackKind
from llmbatch_contract.sharing import Amounts, BatchShare, EndpointFacts
from llmbatch_contract.status import Condition, ConditionType, Cost, LLMBatchStatus, Phase, Reason, TokenCounts
from llmbatch_contract.trace import trace_of
from llmbatch_operator.telemetry.about import About
from llmbatch_operator.telemetry.endpoints import EndpointSeries
from llmbatch_operator.telemetry.holds import alarms_s, budget_used, held_s
from llmbatch_operator.telemetry.series import Series
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Attributes
from llmbatch_telemetry.names import Metric
from operator_tests.operator_builders import NOW, REF
from operator_tests.operator_builders import status as status_

_LATER = NOW.timestamp() + 90
_FACTS = EndpointFacts(
    batches=2,
    pods=8,
    waiting_pods=3,
    granted=Amounts(requests_per_minute=592, concurrency=40),
    used=Amounts(requests_per_minute=580, tokens_per_minute=214_000, concurrency=31),
    limits=Limits(requests_per_minute=600),
    effective=Limits(requests_per_minute=600, concurrency=40),
    by_batch={REF.uid: BatchShare(Amounts(requests_per_minute=300, concurrency=20), Amounts(), 4, 2)},
    throttled_since_s=12.0,
    backoff_s=2.5,
    push_backs={PushBackKind.RATE_LIMITED: 5, PushBackKind.OVERLOADED: 0},
    slowdowns=1,
)


def _values(series: EndpointSeries) -> dict[tuple[Metric, Attributes], object]:
    return {(point.metric, point.attributes): point.value for point in series.points()}


def test_limits_grants_and_use_are_told_where_there_is_something_to_tell() -> None:
    series = EndpointSeries(0.0)
    series.take([("openai", _FACTS)])
    told = {(metric, attributes[1:]): value for (metric, attributes), value in _values(series).items()}
    by_limit = {
        metric: {attributes[0]: value for (each, attributes), value in told.items() if each is metric}
        for metric in (names.ENDPOINT_LIMIT, names.ENDPOINT_EFFECTIVE, names.ENDPOINT_GRANTED, names.ENDPOINT_USED)
    }
    assert by_limit == {
        names.ENDPOINT_LIMIT: {"requests": 600},
        names.ENDPOINT_EFFECTIVE: {"requests": 600, "concurrency": 40},
        names.ENDPOINT_GRANTED: {"requests": 592, "concurrency": 40},
        names.ENDPOINT_USED: {"requests": 580, "tokens": 214_000, "input_tokens": 0, "concurrency": 31},
    }
    assert told[names.ENDPOINT_BATCHES, ()] == 2
    assert (told[names.ENDPOINT_PODS, ()], told[names.ENDPOINT_WAITING, ()]) == (8, 3)
    assert (told[names.ENDPOINT_DOWN, ()], told[names.ENDPOINT_THROTTLED, ()]) == (0, 1)
    assert told[names.ENDPOINT_BACKOFF, ()] == 2.5


def test_an_endpoint_that_is_down_says_so() -> None:
    series = EndpointSeries(0.0)
    series.take([("openai", replace(_FACTS, is_down=True, throttled_since_s=None))])
    assert _values(series)[names.ENDPOINT_DOWN, ("openai",)] == 1
    assert _values(series)[names.ENDPOINT_THROTTLED, ("openai",)] == 0


def test_push_backs_go_on_counting_when_an_endpoint_was_not_in_use_for_a_while() -> None:
    series, counts = EndpointSeries(0.0), []
    for each in (
        [("openai", _FACTS)],
        [("openai", replace(_FACTS, push_backs={PushBackKind.RATE_LIMITED: 7}))],
        [],
        [("openai", replace(_FACTS, push_backs={PushBackKind.RATE_LIMITED: 2}))],
    ):
        series.take(each)
        counts.append(_values(series)[names.ENDPOINT_PUSH_BACKS, ("openai", "rate_limited")])
    assert counts == [5, 7, 7, 9]


def test_an_endpoint_that_nobody_uses_has_only_its_counts() -> None:
    series = EndpointSeries(0.0)
    series.take([("openai", _FACTS)])
    series.take([])
    assert {metric for metric, _ in _values(series)} == {names.ENDPOINT_PUSH_BACKS, names.ENDPOINT_SLOWDOWNS}


def test_an_inline_endpoint_has_no_series_but_its_batch_has_a_share() -> None:
    series = EndpointSeries(0.0)
    series.take([(None, _FACTS)])
    assert not _values(series)
    shared = series.of_batch(REF.uid)
    assert shared is not None
    assert (shared.endpoint, shared.granted, shared.waiting_workers) == ("", {"requests": 300, "concurrency": 20}, 2)


def test_a_batch_tells_its_share_with_the_name_of_the_endpoint_while_it_runs() -> None:
    series = Series(lambda _uid: None, lambda: _LATER)
    series.endpoints.take([("openai", _FACTS)])
    about = About(REF, trace_of(REF.uid), NOW.timestamp())
    series.write(about, status_(Phase.RUNNING), {})
    told = {(p.metric, p.attributes[2:]): p.value for p in series.points() if p.attributes[:2] == ("team-a", "triage")}
    assert told[names.BATCH_GRANTED, ("requests", "openai")] == 300
    assert told[names.BATCH_WAITING_WORKERS, ()] == 2
    series.write(about, status_(Phase.SUCCEEDED).model_copy(update={"completion_time": NOW}), {})
    assert names.BATCH_GRANTED not in {point.metric for point in series.points()}


def _status(phase: Phase, type_: ConditionType, reason: Reason, *, holds: bool = True) -> LLMBatchStatus:
    condition = Condition(
        type=type_, status="True" if holds else "False", reason=reason, last_transition_time=NOW + timedelta(seconds=30)
    )
    return status_(phase).model_copy(update={"conditions": [condition]})


@pytest.mark.parametrize(
    ("status", "held"),
    [
        pytest.param(
            _status(Phase.SUSPENDED, ConditionType.SUSPENDED, Reason.OUTSIDE_WINDOW),
            {"OutsideWindow": 60},
            id="by what has suspended it",
        ),
        pytest.param(
            _status(Phase.SUSPENDED, ConditionType.BUDGET_EXCEEDED, Reason.BUDGET_EXCEEDED),
            {"BudgetExceeded": 60},
            id="by its budget",
        ),
        pytest.param(
            _status(Phase.RUNNING, ConditionType.ENDPOINT_DOWN, Reason.ENDPOINT_DOWN),
            {"EndpointDown": 60},
            id="by an endpoint that is down",
        ),
        pytest.param(
            _status(Phase.RUNNING, ConditionType.BLOCKED, Reason.SECRET_MISSING),
            {"SecretMissing": 60},
            id="by what somebody has to put right",
        ),
        pytest.param(
            _status(Phase.AWAITING_APPROVAL, ConditionType.CANARY_PASSED, Reason.CANARY_FAILED, holds=False),
            {"CanaryFailed": 60},
            id="by a canary that failed",
        ),
        pytest.param(
            _status(Phase.RUNNING, ConditionType.CANARY_PASSED, Reason.APPROVED), {}, id="not by one that was approved"
        ),
        pytest.param(
            _status(Phase.RUNNING, ConditionType.SUSPENDED, Reason.RESUMED, holds=False), {}, id="not after it resumed"
        ),
        pytest.param(_status(Phase.RUNNING, ConditionType.SLOW, Reason.SLOW), {}, id="not by an alarm"),
    ],
)
def test_a_batch_is_held(status: LLMBatchStatus, held: dict[str, float]) -> None:
    assert held_s(status, _LATER) == held


def test_an_alarm_is_told_with_its_age_until_it_is_over() -> None:
    assert alarms_s(_status(Phase.RUNNING, ConditionType.STALLED, Reason.STALLED), _LATER) == {"Stalled": 60}
    over = _status(Phase.RUNNING, ConditionType.STALLED, Reason.RECOVERED, holds=False)
    assert alarms_s(over, _LATER) == {}


def test_the_share_of_a_budget_that_is_spent() -> None:
    spent = status_(
        Phase.RUNNING, cost=Cost(amount=2.5, currency="USD", display=""), usage=TokenCounts(total_tokens=300)
    )
    assert budget_used(spent, {"cost": 10, "tokens": 1000}) == {"cost": 0.25, "tokens": 0.3}
    assert budget_used(status_(Phase.RUNNING), {"cost": 10}) == {"cost": 0}
    assert budget_used(spent, {}) == {}


def test_a_budget_that_was_raised_counts_from_the_next_status_on() -> None:
    series = Series(lambda _uid: None, lambda: _LATER)
    about = About(REF, trace_of(REF.uid), NOW.timestamp(), budget={"tokens": 400})
    status = status_(Phase.RUNNING, usage=TokenCounts(total_tokens=300))
    told = []
    for budget in (400, 600):
        series.write(replace(about, budget={"tokens": budget}), status, {})
        told += [point.value for point in series.points() if point.metric is names.BATCH_BUDGET_USED]
    assert told == [0.75, 0.5]
