"""Which Events a change of the status is worth."""

import pytest

from llmbatch_contract.status import Condition, ConditionType, LLMBatchStatus, Phase, Reason
from llmbatch_operator.events import Event, events_of
from operator_tests.operator_builders import PLANNED_CONDITION, condition, status

_NO_SECRET = condition(ConditionType.BLOCKED, Reason.SECRET_MISSING, "no Secret")
_NO_ROOM = condition(ConditionType.BLOCKED, Reason.UNSCHEDULABLE, "no room")
_FREE = condition(ConditionType.BLOCKED, Reason.NOT_BLOCKED, holds=False)
_BEFORE = status(Phase.RUNNING, PLANNED_CONDITION)


def _after(*conditions: Condition, phase: Phase = Phase.RUNNING) -> LLMBatchStatus:
    return status(phase, PLANNED_CONDITION, *conditions)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        pytest.param(
            None,
            status(Phase.PLANNING),
            [Event("Normal", Reason.PLANNING, "reading the input")],
            id="a batch is planned",
        ),
        pytest.param(
            status(Phase.PLANNING),
            _after(),
            [
                Event("Normal", Reason.PLANNED, "40 items in 4 shards"),
                Event("Normal", Reason.RUNNING, "pods ask about the items"),
            ],
            id="then it is asked",
        ),
        pytest.param(
            _BEFORE,
            _after(phase=Phase.FINALIZING),
            [Event("Normal", Reason.FINALIZING, "writing results and errors")],
            id="then it is finalized",
        ),
        pytest.param(
            _BEFORE,
            _after(condition(ConditionType.COMPLETE, Reason.SUCCEEDED, "all of them"), phase=Phase.SUCCEEDED),
            [Event("Normal", Reason.SUCCEEDED, "all of them")],
            id="a good end, told once",
        ),
        pytest.param(
            _BEFORE,
            _after(condition(ConditionType.FAILED, Reason.WORKERS_FAILED, "out of memory"), phase=Phase.FAILED),
            [Event("Warning", Reason.WORKERS_FAILED, "out of memory")],
            id="a bad end is a warning",
        ),
        pytest.param(_BEFORE, _after(_NO_SECRET), [Event("Warning", Reason.SECRET_MISSING, "no Secret")], id="blocked"),
        pytest.param(
            _after(_NO_SECRET),
            _after(_NO_ROOM),
            [Event("Warning", Reason.UNSCHEDULABLE, "no room")],
            id="by another thing",
        ),
        pytest.param(
            _after(_NO_SECRET), _after(_FREE), [Event("Normal", Reason.NOT_BLOCKED, "")], id="no longer blocked"
        ),
        pytest.param(
            _BEFORE,
            _after(condition(ConditionType.SUSPENDED, Reason.SUSPENDED, "held"), phase=Phase.SUSPENDED),
            [Event("Normal", Reason.SUSPENDED, "held")],
            id="suspended, told once",
        ),
        pytest.param(_BEFORE, _BEFORE.model_copy(update={"progress": "50%"}), [], id="numbers are no event"),
        pytest.param(
            _after(_NO_SECRET),
            _after(_NO_SECRET.model_copy(update={"message": "still no Secret"})),
            [],
            id="another sentence for the same reason is none",
        ),
    ],
)
def test_what_is_news_is_told(old: LLMBatchStatus | None, new: LLMBatchStatus, told: list[Event]) -> None:
    assert list(events_of(old, new)) == told
