"""What a status says of the time to come: speed, end, what is waited for; and with what it does not pretend."""

from datetime import UTC, datetime
from typing import Any

import pytest

from llmbatch_contract.status import ConditionType, ItemCounts, LLMBatchStatus, Phase, Reason, TokenCounts
from llmbatch_operator.forecast import Forecast, forecast
from llmbatch_operator.observed import Decision, Fact
from operator_tests.operator_builders import NOW, spec, status

_BY_DAY = {"start": "08:00", "end": "14:00"}
_RUNNING = Decision(Phase.RUNNING)
_CLOSED = Decision(
    Phase.SUSPENDED, facts={ConditionType.SUSPENDED: Fact(True, Reason.OUTSIDE_WINDOW)}, waiting_for="its window"
)


def _at(day: int, clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{day} {clock}").replace(tzinfo=UTC)


def _counts(answered: int = 100, left: int = 600, tokens: int = 0, **fields: Any) -> LLMBatchStatus:
    items = ItemCounts(total=answered + left, succeeded=answered, pending=left)
    return status(Phase.RUNNING, items=items, usage=TokenCounts(total_tokens=tokens), **fields)


def _told(given: LLMBatchStatus, now: datetime = NOW, decision: Decision = _RUNNING, **fields: Any) -> Forecast:
    """At ten items a minute."""
    return forecast(decision, spec(**fields), given, 1 / 6, ("requests/min",), now)


@pytest.mark.parametrize(
    ("now", "left", "time_left", "end"),
    [
        pytest.param(_at(22, "12:00"), 600, "1h0m", _at(22, "13:00"), id="before it closes"),
        pytest.param(_at(22, "12:00"), 1800, "21h0m", _at(23, "09:00"), id="the hours that it is closed are counted"),
        pytest.param(_at(22, "08:00"), 3600 * 2, "2d0h", None, id="two days"),
    ],
)
def test_the_end_counts_the_hours_in_which_the_window_is_closed(
    now: datetime, left: int, time_left: str, end: datetime | None
) -> None:
    told = _told(_counts(left=left), now, window=_BY_DAY)
    assert (told.items_per_minute, told.waiting_for, told.next_start_time) == (10, "requests/min", None)
    if end is not None:
        assert (told.time_left, told.estimated_completion_time) == (time_left, end)
    else:
        assert told.estimated_completion_time == _at(23, "14:00")


def test_while_the_window_is_closed_the_end_that_was_foretold_stands() -> None:
    before = _counts(estimated_completion_time=_at(23, "09:00"))
    told = _told(before, _at(22, "20:00"), _CLOSED, window=_BY_DAY)
    assert told == Forecast(None, "13h0m", _at(23, "09:00"), _at(23, "08:00"), "its window")
    late = _told(before, _at(23, "15:00"), _CLOSED, window=_BY_DAY)
    assert (late.time_left, late.estimated_completion_time) == (None, None)


@pytest.mark.parametrize(
    ("tokens", "answered", "is_enough"),
    [
        pytest.param(1000, 100, True, id="it will do: 7,000 of 7,000"),
        pytest.param(1001, 100, False, id="it will not"),
        pytest.param(2000, 10, True, id="it is too early to say"),
    ],
)
def test_a_budget_that_will_not_do_has_no_end(tokens: int, answered: int, is_enough: bool) -> None:
    told = _told(_counts(answered=answered, tokens=tokens), budget={"maxTokens": 7000})
    assert (told.time_left is not None) == is_enough
    assert told.items_per_minute == 10
    assert told.waiting_for == ("requests/min" if is_enough else "a larger budget")


@pytest.mark.parametrize(
    "decision",
    [
        pytest.param(Decision(Phase.CANARY), id="the canary says nothing of all pods"),
        pytest.param(Decision(Phase.RUNNING, waiting_for="approval"), id="its pods are being ended"),
        pytest.param(Decision(Phase.SUSPENDED, waiting_for="resume"), id="nobody knows until when it is held"),
        pytest.param(Decision(Phase.AWAITING_APPROVAL, waiting_for="approval"), id="nor when it is approved"),
        pytest.param(Decision(Phase.FINALIZING), id="nothing is asked any more"),
    ],
)
def test_where_no_end_can_be_told(decision: Decision) -> None:
    told = _told(_counts(), decision=decision)
    assert (told.time_left, told.estimated_completion_time) == (None, None)


def test_when_the_window_opens_is_told_of_all_that_wait() -> None:
    now, waiting = _at(22, "20:00"), Decision(Phase.AWAITING_APPROVAL, waiting_for="approval")
    assert _told(_counts(), now, waiting, window=_BY_DAY).next_start_time == _at(23, "08:00")
    assert _told(_counts(), now, Decision(Phase.FINALIZING), window=_BY_DAY).next_start_time is None
