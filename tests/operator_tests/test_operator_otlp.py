"""What a collector is sent about a batch equals its status, whoever was restarted or deleted meanwhile."""

from datetime import UTC, datetime

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.progress import Totals
from llmbatch_contract.status import Cost, ItemCounts, LLMBatchStatus, Phase, TokenCounts
from llmbatch_contract.trace import trace_of
from llmbatch_operator.cache import Cache
from llmbatch_operator.telemetry.recorder import Recorder
from llmbatch_telemetry import names
from llmbatch_telemetry.starting import start_telemetry
from llmbatch_telemetry.telemetry import Telemetry
from operator_tests.kube_bodies import batch_body
from operator_tests.operator_builders import PLANNED_CONDITION, REF
from operator_tests.operator_builders import status as status_
from otlp_receiver import OtlpReceiver

_RESOURCE = {names.NAMESPACE: "llmbatch-system"}


def _status(phase: Phase, succeeded: int, failed: int, cancelled: int = 0) -> LLMBatchStatus:
    tokens = TokenCounts(input_tokens=10 * succeeded, output_tokens=succeeded, cached_tokens=succeeded)
    return status_(
        phase,
        PLANNED_CONDITION,
        items=ItemCounts(total=40, succeeded=succeeded, failed=failed, cancelled=cancelled),
        attempts=succeeded + 2 * failed,
        resent_items=1,
        usage=tokens,
        cost=Cost(amount=round(succeeded * 0.000123, 6), currency="EUR", display=""),
        completion_time=datetime.now(UTC) if phase.is_final else None,
    )


def _totals(**errors: int) -> Totals:
    counts = {Category(name): count for name, count in errors.items()}
    return Totals(failed=sum(counts.values()), errors=counts)


class _Process:
    """An operator that sends to a collector, but for all that decides."""

    def __init__(self, receiver: OtlpReceiver, protocol: str) -> None:
        self.telemetry: Telemetry = start_telemetry(
            "llmbatch-operator", _RESOURCE, environment=receiver.environment(protocol), keep_meters=True
        )
        self.recorder = Recorder(self.telemetry)
        self.cache = Cache(lambda _uid: None, lambda _pod: None)
        self.cache.put_batch(batch_body())
        known = self.cache.get(REF.uid)
        assert known is not None
        self.known = known


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_batch_that_outlives_an_operator_is_told_exactly(protocol: str) -> None:
    with OtlpReceiver() as receiver:
        first = _Process(receiver, protocol)
        first.recorder.wrote(first.known, _status(Phase.RUNNING, 17, 3), _totals(timeout=2, auth=1), None)
        first.telemetry.close(5)
        second = _Process(receiver, protocol)
        end = _status(Phase.CANCELLED, 30, 5, 5)
        second.recorder.wrote(second.known, end, _totals(timeout=4, auth=1), None)
        second.recorder.ended(second.known, end, second.cache)
        second.telemetry.close(5)
    told = {
        "succeeded": receiver.total("llmbatch.batch.items", {names.OUTCOME: "succeeded"}),
        "timeout": receiver.total("llmbatch.batch.items", {names.CATEGORY: "timeout"}),
        "failed": receiver.total("llmbatch.batch.items", {names.OUTCOME: "failed"}),
        "cancelled": receiver.total("llmbatch.batch.items", {names.OUTCOME: "cancelled"}),
        "attempts": receiver.total("llmbatch.batch.attempts"),
        "resent": receiver.total("llmbatch.batch.resent_items"),
        "input": receiver.total("llmbatch.batch.tokens", {names.GEN_AI_TOKEN_TYPE: "input"}),
        "output": receiver.total("llmbatch.batch.tokens", {names.GEN_AI_TOKEN_TYPE: "output"}),
        "cost": receiver.total("llmbatch.batch.cost", {names.CURRENCY: "EUR"}),
    }
    assert told == {
        "succeeded": 30, "timeout": 4, "failed": 5, "cancelled": 5, "attempts": 40, "resent": 1, "input": 300,
        "output": 30, "cost": 0.00369,
    }  # fmt: skip
    [span] = receiver.spans_named("batch")
    trace = trace_of(REF.uid)
    assert (span.trace_id, span.span_id, span.parent_id) == (trace.trace_id, trace.span_id, None)
    assert span.resource[names.SERVICE_NAME] == "llmbatch-operator"


def test_the_last_numbers_of_a_deleted_batch_are_sent() -> None:
    with OtlpReceiver() as receiver:
        process = _Process(receiver, "http/protobuf")
        process.recorder.wrote(process.known, _status(Phase.RUNNING, 17, 0), _totals(), None)
        process.cache.drop_batch(batch_body())
        process.recorder.gone(REF.uid)
        process.telemetry.close(5)
    assert receiver.total("llmbatch.batch.items") == 17
    assert [span.error for span in receiver.spans_named("batch")] == ["deleted"]
