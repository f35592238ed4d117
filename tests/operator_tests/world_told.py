"""What must hold of the telemetry of a batch: counters never go backwards, not even over restarts, and at the end they
equal the status; the batch has its span, and a pod that said nothing has one from the operator.
"""

from collections import Counter
from dataclasses import dataclass, field

from llmbatch_contract.status import LLMBatchStatus
from llmbatch_contract.trace import trace_of
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Distribution, is_total
from llmbatch_telemetry.names import Metric, SpanName
from operator_tests.operator_builders import REF
from operator_tests.world_operator import WorldOperator

Key = tuple[Metric, tuple[str, ...]]


@dataclass
class WorldTold:
    """What a collector has been told so far."""

    operator: WorldOperator
    highest: dict[Key, float] = field(default_factory=dict)

    def check(self) -> None:
        """Collect once."""
        for key, value in self.values().items():
            assert not is_total(key[0]) or value >= self.highest.get(key, 0), (key[0].name, key[1], value)
            self.highest[key] = value

    def values(self) -> dict[Key, float]:
        """The numbers of the batch at this moment."""
        values: dict[Key, float] = {}
        for point in self.operator.recorder.series.points():
            assert not isinstance(point.value, Distribution)
            assert (point.metric, point.attributes) not in values, "told twice"
            values[point.metric, point.attributes] = point.value
        return values

    def check_end(self, status: LLMBatchStatus) -> None:
        """The batch has ended."""
        self._check_numbers(status)
        self._check_spans(status)

    def _check_numbers(self, status: LLMBatchStatus) -> None:
        outcomes: Counter[str] = Counter()
        plain: dict[Metric, float] = {}
        tokens: dict[str, float] = {}
        for (metric, attributes), value in self.values().items():
            if metric is names.BATCH_ITEMS:
                outcomes[attributes[2]] += int(value)
            elif metric is names.BATCH_TOKENS:
                tokens[attributes[2]] = value
            else:
                plain[metric] = value
        items, usage = status.items, status.usage
        assert outcomes["succeeded"] == (items.succeeded if items is not None else 0)
        assert outcomes["failed"] == (items.failed if items is not None else 0)
        assert outcomes["cancelled"] == (items.cancelled if items is not None else 0)
        assert plain.get(names.BATCH_SIZE) == (items.total if items is not None else None)
        assert plain[names.BATCH_ATTEMPTS] == (status.attempts or 0)
        assert tokens["input"] == (usage.input_tokens if usage is not None else 0)
        assert tokens["output"] == (usage.output_tokens if usage is not None else 0)

    def _check_spans(self, status: LLMBatchStatus) -> None:
        trace = trace_of(REF.uid)
        assert status.trace_id == trace.trace_id
        assert {span.trace_id for span in self.operator.spans} == {trace.trace_id}
        roots = [span for span in self.operator.spans if span.name == SpanName.BATCH]
        assert {span.span_id for span in roots} == {trace.span_id}
        assert {span.attributes[names.PHASE] for span in roots} == {status.phase.value}
        others = [span for span in self.operator.spans if span.name != SpanName.BATCH]
        assert {span.parent_id for span in others} <= {trace.span_id}
        for span in (span for span in others if span.name != SpanName.RECONCILE):
            assert span.error, "of a pod that ended well, the operator says nothing"
