"""Alarms about a batch that asks: when each comes, when it goes, and when nothing is said."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.holding import Alerts
from llmbatch_contract.progress import Totals
from llmbatch_contract.reports import Command
from llmbatch_contract.status import CanaryResult, Condition, ConditionType, ItemCounts, LLMBatchStatus, Phase, Reason
from llmbatch_operator.alerts import Watcher
from llmbatch_operator.events import events_of
from llmbatch_operator.observed import Decision, Fact
from llmbatch_operator.status_of import Pace, conditions
from operator_tests.operator_builders import NOW, PLANNED_CONDITION, batch, condition, status

ERRORS, SLOW, STALLED = ConditionType.ERROR_RATE_HIGH, ConditionType.SLOW, ConditionType.STALLED
_RUNNING = Decision(Phase.RUNNING)


@dataclass
class Batch:
    """A batch that is looked at now and then, with an operator that may start anew."""

    alerts: dict[str, Any]
    canary: CanaryResult | None = None
    conditions: list[Condition] = field(default_factory=list)
    seconds: float = 0
    succeeded: int = 0
    failed: int = 0
    pending: int = 900
    watcher: Watcher = field(default_factory=Watcher)
    said: Decision = _RUNNING

    @property
    def status(self) -> LLMBatchStatus:
        """As it was written last."""
        items = ItemCounts(succeeded=self.succeeded, failed=self.failed, pending=self.pending, total=1000)
        return status(Phase.RUNNING, *self.conditions, items=items, canary=self.canary, start_time=NOW)

    def after(
        self,
        seconds: float,
        succeeded: int = 0,
        failed: int = 0,
        speed: float | None = None,
        decision: Decision = _RUNNING,
    ) -> "Batch":
        """So long after, so many more items are answered. `speed` is in items a minute."""
        self.seconds += seconds
        observed = batch(alerts=self.alerts, status=self.status)
        self.succeeded, self.failed = self.succeeded + succeeded, self.failed + failed
        totals = Totals(succeeded=self.succeeded, failed=self.failed, errors={Category.INVALID_REQUEST: self.failed})
        pace = Pace(totals, items_per_second=None if speed is None else speed / 60)
        now = NOW + timedelta(seconds=self.seconds)
        self.said = self.watcher.look(observed, decision, pace, 5000 + self.seconds, now)
        self.conditions = conditions(self.conditions, self.said.facts, 1, now)
        return self

    def restart(self) -> None:
        """The operator starts anew."""
        self.watcher = Watcher()

    @property
    def on(self) -> list[ConditionType]:
        """Alarms that are on."""
        return [c.type for c in self.conditions if c.status == "True" and c.type in (ERRORS, SLOW, STALLED)]

    def message(self, type_: ConditionType) -> str:
        """What a condition says."""
        (found,) = (c for c in self.conditions if c.type is type_)
        return found.message


def test_too_many_errors_are_an_alarm_that_says_how_many_and_which() -> None:
    quiet = Batch({"errorPercent": 5}).after(1, 95, 5)
    assert quiet.on == []
    quiet.after(1, 0, 1)
    assert quiet.on == [ERRORS]
    said = "5.94 % of 101 answered items have failed; more than 5 % is too many (alerts.errorPercent); "
    assert quiet.message(ERRORS) == f"{said}most often: invalid_request (6)"


def test_errors_are_not_counted_before_there_are_min_items() -> None:
    assert Batch({"errorPercent": 5}).after(1, 49, 50).on == []
    assert Batch({"errorPercent": 5, "minItems": 10}).after(1, 5, 5).on == [ERRORS]


def test_without_a_share_errors_are_no_alarm() -> None:
    assert Batch({}).after(1, 0, 500).on == []


def test_an_alarm_about_errors_does_not_flicker() -> None:
    failing = Batch({"errorPercent": 5}).after(1, 94, 6)
    assert failing.after(1, 30).on == [ERRORS], "4.6 %"
    assert failing.after(1, 10).on == [], "4.3 %"
    assert failing.said.facts[ERRORS] == Fact(False, Reason.RECOVERED, "4.29 % of 140 answered items have failed")
    assert failing.after(1, 0, 1).on == [], "4.96 %"


def test_a_share_that_is_taken_back_ends_the_alarm() -> None:
    failing = Batch({"errorPercent": 5}).after(1, 50, 50)
    failing.alerts = {}
    assert failing.after(1).on == []


def test_slow_is_what_is_so_for_a_minute() -> None:
    slow = Batch({"expectedItemsPerMinute": 300}).after(0).after(1, 1, speed=199)
    assert slow.after(59, 1, speed=199).on == []
    assert slow.after(1, 1, speed=199).on == [SLOW]
    assert slow.message(SLOW) == "199 items a minute, 300 are expected (alerts.expectedItemsPerMinute)"
    slow.after(10, 1, speed=201)
    assert slow.after(59, 1, speed=201).on == [SLOW]
    assert slow.after(1, 1, speed=201).on == []


def test_one_and_a_half_times_slower_is_slow_unless_another_factor_is_set() -> None:
    assert Batch({"expectedItemsPerMinute": 300}).after(0).after(1, 1, speed=200).after(60, 1, speed=200).on == []
    twice = Batch({"expectedItemsPerMinute": 300, "slowFactor": 1.1}).after(0).after(1, 1, speed=200)
    assert twice.after(60, 1, speed=200).on == [SLOW]


def test_what_the_canary_has_shown_is_expected_unless_something_is_stated() -> None:
    canary = CanaryResult(items=20, projected_items_per_minute=300)
    slow = Batch({}, canary).after(0).after(1, 1, speed=10).after(60, 1, speed=10)
    assert slow.message(SLOW) == "10 items a minute, 300 are expected (as the canary was)"
    assert Batch({"expectedItemsPerMinute": 1}, canary).after(0).after(1, 1, speed=10).after(60, 1, speed=10).on == []


def test_pods_that_take_long_to_start_are_not_slow() -> None:
    assert Batch({"expectedItemsPerMinute": 300}).after(0).after(300).on == []


def test_a_batch_that_comes_to_nothing_is_slow() -> None:
    slow = Batch({"expectedItemsPerMinute": 300}).after(0).after(1, 1, speed=300)
    slow.after(100, speed=None)
    assert slow.after(60, speed=None).on == [SLOW]


def test_the_last_items_are_not_slow() -> None:
    ending = Batch({"expectedItemsPerMinute": 300}, pending=0).after(0).after(1, 1, speed=10)
    assert ending.after(60, 1, speed=10).on == []


def test_nothing_answered_for_long_is_a_standstill() -> None:
    still = Batch({"stalledMinutes": 2}).after(0).after(5, 1)
    assert still.said.again_after_s == 120, "somebody has to look then, though no pod reports"
    assert still.after(119).on == []
    assert still.after(1).on == [STALLED]
    assert still.message(STALLED) == "nothing was answered since 12:00:05 UTC, for 2 minutes (alerts.stalledMinutes)"
    before = list(still.conditions)
    assert still.after(500).conditions == before, "it is said once"
    assert still.after(1, 1).on == []
    assert still.message(STALLED) == "items are answered again"


def test_ten_minutes_are_long_unless_something_else_is_set() -> None:
    assert Batch({}).after(0).after(599).on == []
    assert Batch({}).after(0).after(600).on == [STALLED]


_DOWN = Fact(True, Reason.ENDPOINT_DOWN, "connection refused")
_NO_SECRET = Fact(True, Reason.SECRET_MISSING, "no Secret")
_QUIET = [
    pytest.param(Decision(Phase.SUSPENDED, command=Command.PAUSE), id="held"),
    pytest.param(Decision(Phase.RUNNING, command=Command.PAUSE), id="about to be held"),
    pytest.param(Decision(Phase.AWAITING_APPROVAL), id="waiting for approval"),
    pytest.param(Decision(Phase.PLANNING), id="being planned"),
    pytest.param(Decision(Phase.FINALIZING), id="all is asked"),
    pytest.param(Decision(Phase.SUCCEEDED), id="ended"),
    pytest.param(Decision(Phase.RUNNING, facts={ConditionType.ENDPOINT_DOWN: _DOWN}), id="the endpoint is down"),
    pytest.param(Decision(Phase.RUNNING, facts={ConditionType.BLOCKED: _NO_SECRET}), id="blocked"),
]


@pytest.mark.parametrize("decision", _QUIET)
def test_a_batch_that_does_not_ask_raises_no_alarm(decision: Decision) -> None:
    quiet = Batch({"stalledMinutes": 1, "errorPercent": 1}).after(0).after(1, 50, 50, decision=decision)
    assert quiet.after(1000, decision=decision).on == []
    assert quiet.said is decision


@pytest.mark.parametrize("decision", _QUIET)
def test_alarms_end_when_a_batch_does_not_ask_any_more(decision: Decision) -> None:
    loud = Batch({"stalledMinutes": 1, "errorPercent": 1, "expectedItemsPerMinute": 60}).after(0)
    loud.after(1, 50, 50, speed=1).after(60)
    assert loud.on == [ERRORS, SLOW, STALLED]
    loud.after(1, decision=decision)
    alarms = [c for c in loud.conditions if c.type in (ERRORS, SLOW, STALLED)]
    assert [(c.status, c.reason) for c in alarms] == [("False", Reason.RECOVERED)] * 3


def test_time_that_a_batch_was_held_does_not_count() -> None:
    held = Batch({"stalledMinutes": 1}).after(0).after(1, 1)
    held.after(1000, decision=Decision(Phase.SUSPENDED, command=Command.PAUSE))
    assert held.after(1).after(59).on == []
    assert held.after(1).on == [STALLED]


def test_a_mistake_in_the_spec_holds_up_no_pod_and_so_no_alarm() -> None:
    wrong = Decision(Phase.RUNNING, facts={ConditionType.BLOCKED: Fact(True, Reason.INVALID_SPEC, "wrong")})
    assert Batch({}).after(0).after(600, decision=wrong).on == [STALLED]


def test_an_outage_that_the_decision_ends_is_over() -> None:
    back = Batch({}, conditions=[condition(ConditionType.ENDPOINT_DOWN, Reason.ENDPOINT_DOWN)])
    assert back.after(0).after(1000).on == []
    answers = replace(_RUNNING, facts={ConditionType.ENDPOINT_DOWN: Fact(False, Reason.ENDPOINT_ANSWERS)})
    back.after(0, decision=answers)
    assert back.after(600).on == [STALLED]


def test_a_restart_of_the_operator_is_no_standstill() -> None:
    busy = Batch({"stalledMinutes": 2}).after(0).after(1, 10)
    busy.restart()
    assert busy.after(1000).on == []
    assert busy.after(119).on == []
    assert busy.after(1).on == [STALLED]


def test_a_restart_of_the_operator_ends_no_alarm() -> None:
    loud = Batch({"stalledMinutes": 1, "errorPercent": 1, "expectedItemsPerMinute": 60}).after(0)
    loud.after(1, 50, 50, speed=1).after(60)
    before = list(loud.conditions)
    loud.restart()
    assert loud.after(1).conditions == before
    assert loud.after(1, 10, speed=1).on == [ERRORS, SLOW]


def test_counts_that_lag_behind_the_status_after_a_restart_change_nothing() -> None:
    loud = Batch({"errorPercent": 5, "minItems": 10}).after(0).after(1, 50, 50)
    loud.restart()
    observed = batch(alerts=loud.alerts, status=loud.status)
    lagging = Pace(Totals(succeeded=40, failed=0))
    said = loud.watcher.look(observed, _RUNNING, lagging, 9000, NOW)
    assert said.facts[ERRORS].holds
    assert said.facts.keys() == {ERRORS}


def test_an_alarm_is_a_warning_and_its_end_is_none() -> None:
    still = Batch({}).after(0)
    before = status(Phase.RUNNING, PLANNED_CONDITION)
    during = status(Phase.RUNNING, PLANNED_CONDITION, *still.after(600).conditions)
    after = status(Phase.RUNNING, PLANNED_CONDITION, *still.after(1, 1).conditions)
    (came,), (went,) = events_of(before, during), events_of(during, after)
    assert (came.type, came.reason) == ("Warning", Reason.STALLED)
    assert (went.type, went.reason, went.message) == ("Normal", Reason.RECOVERED, "items are answered again")


def test_the_defaults_are_those_of_the_manifest() -> None:
    assert Alerts() == Alerts(min_items=100, slow_factor=1.5, stalled_minutes=10)
