"""The status of a batch: what is written is what is read, by older readers too."""

import datetime

import pytest

from llmbatch_contract.status import Condition, ConditionType, ItemCounts, LLMBatchStatus, Phase, Reason

_UTC = datetime.UTC
_SUMMER = datetime.timezone(datetime.timedelta(hours=2))


def _condition(when: datetime.datetime) -> Condition:
    return Condition(
        type=ConditionType.BLOCKED, status="True", reason=Reason.SECRET_MISSING, message="", last_transition_time=when
    )


def test_a_status_read_back_equals_the_one_written() -> None:
    now = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=_UTC)
    status = LLMBatchStatus(
        phase=Phase.RUNNING, conditions=[_condition(now)], items=ItemCounts(total=3, pending=3), start_time=now
    )
    assert LLMBatchStatus.model_validate(status.dump()) == status
    assert LLMBatchStatus.load(status.dump_json()) == status


@pytest.mark.parametrize(
    ("when", "written"),
    [
        pytest.param(datetime.datetime(2026, 1, 2, 3, 4, 5, 999999, _UTC), "2026-01-02T03:04:05Z", id="to the second"),
        pytest.param(datetime.datetime(2026, 1, 2, 3, 4, 5, 0, _SUMMER), "2026-01-02T03:04:05+02:00", id="elsewhere"),
    ],
)
def test_times_are_written_as_kubernetes_writes_them(when: datetime.datetime, written: str) -> None:
    assert _condition(when).dump()["lastTransitionTime"] == written


def test_a_status_says_only_what_is_known() -> None:
    lists: dict[str, object] = {"conditions": [], "errors": [], "deliveries": []}
    assert LLMBatchStatus(phase=Phase.PENDING).dump() == {"phase": "Pending", **lists}


def test_a_reader_passes_over_what_a_newer_operator_adds() -> None:
    read = LLMBatchStatus.model_validate({"phase": "Running", "weather": {"items": 5}, "items": {"total": 3, "new": 1}})
    assert read == LLMBatchStatus(phase=Phase.RUNNING, items=ItemCounts(total=3))


@pytest.mark.parametrize(
    ("phase", "is_final"),
    [
        *[(phase, True) for phase in (Phase.SUCCEEDED, Phase.COMPLETED_WITH_ERRORS, Phase.FAILED, Phase.CANCELLED)],
        *[
            (phase, False)
            for phase in (Phase.PENDING, Phase.PLANNING, Phase.RUNNING, Phase.SUSPENDED, Phase.FINALIZING)
        ],
    ],
)
def test_a_batch_ends_in_one_of_four_phases(phase: Phase, is_final: bool) -> None:
    assert phase.is_final is is_final
