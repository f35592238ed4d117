"""What a worker was started for, as a span: an attempt at a shard, plan, finalize. Pure.

Their ids follow from names, so that the operator can export the span of a pod that ended without a word.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmbatch_contract.plan import Plan
from llmbatch_contract.spec import Metadata
from llmbatch_contract.trace import BatchTrace, span_id
from llmbatch_telemetry import names
from llmbatch_telemetry.names import SpanName
from llmbatch_telemetry.spans import Span, Value


@dataclass(frozen=True)
class Stages:
    """The spans of one process."""

    trace: BatchTrace
    uid: str
    batch: Metadata
    process: str
    """The pod's name, or what else is its own."""

    def shard_id(self, number: int) -> str:
        """Id of the span of this process's attempt at a shard."""
        return span_id(self.uid, SpanName.SHARD, str(number), self.process)

    def shard(self, number: int, run: "StageRun") -> Span:
        """This process's attempt at a shard."""
        return self._span(SpanName.SHARD, self.shard_id(number), {names.SHARD: number}, run)

    def stage(self, name: SpanName, run: "StageRun") -> Span:
        """This process's plan or finalize."""
        return self._span(name, span_id(self.uid, name, self.process), {}, run)

    def _span(self, name: SpanName, own_id: str, more: Mapping[str, Value], run: "StageRun") -> Span:
        attributes: dict[str, Value] = {
            names.BATCH: self.batch.name,
            names.NAMESPACE: self.batch.namespace,
            names.BATCH_UID: self.uid,
            names.STAGE: name.value,
            **more,
            **run.attributes,
        }
        if run.failed_as is not None:
            attributes[names.ERROR_TYPE] = run.failed_as
        return Span(
            name=name,
            trace_id=self.trace.trace_id,
            span_id=own_id,
            parent_id=self.trace.span_id,
            start=run.started,
            end=run.ended,
            attributes=attributes,
            error=run.error,
        )


@dataclass(frozen=True)
class StageRun:
    """From when to when, and how it ended."""

    started: float
    ended: float
    attributes: Mapping[str, Value] = field(default_factory=dict)
    failed_as: str | None = None
    """A category, or a kind of error."""
    error: str | None = None
    """The same as a sentence without content."""


def stages_of(plan: Plan, batch: Metadata, process: str) -> Stages:
    """The spans of a process that works by a plan."""
    return Stages(plan.trace, plan.uid, batch, process)
