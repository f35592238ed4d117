"""The spans that the operator exports: a batch, a look at it, a pod that could not speak for itself. Pure.

They hold nothing of what was asked or answered, nor what endpoints said: reasons are words, not sentences.
"""

from dataclasses import dataclass

from llmbatch_contract.pods import Stage
from llmbatch_contract.status import Condition, ConditionType, LLMBatchStatus, Phase
from llmbatch_contract.trace import BatchTrace, span_id
from llmbatch_operator.facts import CONTAINER, PodFacts
from llmbatch_operator.observed import Action, CreateJob, DeleteBatch, DeleteJob, SetParallelism, SetSuspend
from llmbatch_operator.telemetry.about import About
from llmbatch_telemetry import names
from llmbatch_telemetry.spans import Link, Span, SpanEvent, Value

_PODS = {Stage.PLAN: names.SpanName.PLAN, Stage.FINALIZE: names.SpanName.FINALIZE}
_ENDS = (ConditionType.COMPLETE, ConditionType.FAILED, ConditionType.CANCELLED)
_DELETED = "deleted"


def batch_span(about: About, status: LLMBatchStatus, now: float, origin: BatchTrace | None) -> Span:
    """The whole batch, with a link to the one whose dead letters it has asked about. One without an end was deleted."""
    reason = _last_reason(status)
    failed = {Phase.FAILED: reason}.get(status.phase) if status.phase.is_final else _DELETED
    return Span(
        name=names.SpanName.BATCH,
        trace_id=about.trace.trace_id,
        span_id=about.trace.span_id,
        parent_id=about.trace.parent_id,
        start=about.created_at,
        end=max(about.created_at, _end(status, now)),
        attributes=_who(about) | _counts(about, status, reason) | ({names.ERROR_TYPE: failed} if failed else {}),
        error=failed,
        links=() if origin is None else (Link(origin.trace_id, origin.span_id),),
    )


@dataclass(frozen=True)
class LookFacts:
    """What a look has done."""

    start: float
    end: float
    actions: tuple[str, ...]
    error: str | None
    old: LLMBatchStatus | None
    new: LLMBatchStatus | None
    """The status that was written; None: there was nothing to write."""


def look_span(about: About, look: LookFacts, id_: str) -> Span:
    """One look that has done something."""
    phase = look.new or look.old
    said: dict[str, Value] = {names.ACTION: look.actions} if look.actions else {}
    return Span(
        name=names.SpanName.RECONCILE,
        trace_id=about.trace.trace_id,
        span_id=id_,
        parent_id=about.trace.span_id,
        start=look.start,
        end=look.end,
        attributes=_who(about) | said | ({names.PHASE: phase.phase.value} if phase is not None else {}),
        error=look.error,
        events=changes(look.old, look.new, look.end),
    )


def changes(old: LLMBatchStatus | None, new: LLMBatchStatus | None, at: float) -> tuple[SpanEvent, ...]:
    """Conditions that came, went or have another reason, and a new phase."""
    if new is None:
        return ()
    before = {c.type: (c.status, c.reason) for c in old.conditions} if old is not None else {}
    events = [_event(c, at) for c in new.conditions if before.get(c.type) != (c.status, c.reason)]
    if old is None or old.phase is not new.phase:
        events.append(SpanEvent("phase", at, {names.PHASE: new.phase.value}))
    return tuple(events)


def lost_pod_span(about: About, pod: PodFacts, now: float) -> Span:
    """What a pod did that ended without a word, by the id that its own span would have had."""
    assert pod.started_at is not None
    name = _PODS.get(pod.stage, names.SpanName.SHARD)
    number = (str(pod.index),) if name is names.SpanName.SHARD else ()
    error = pod.ended_by or "gone"
    where: dict[str, Value | None] = {
        names.STAGE: pod.stage.value,
        names.SHARD: pod.index if number else None,
        names.POD: pod.name,
        names.POD_UID: pod.uid,
        names.NODE: pod.node,
        names.JOB: pod.job_name or None,
        names.CONTAINER: CONTAINER,
        names.ERROR_TYPE: error.partition(",")[0],
    }
    return Span(
        name=name,
        trace_id=about.trace.trace_id,
        span_id=span_id(about.ref.uid, name.value, *number, pod.name),
        parent_id=about.trace.span_id,
        start=pod.started_at,
        end=max(pod.started_at, pod.ended_at or now),
        attributes=_who(about) | {n: value for n, value in where.items() if value is not None},
        error=error,
    )


def action_words(action: Action) -> str:
    """An action, as spans and logs have it; its first word is the action's kind."""
    match action:
        case CreateJob(stage, shards, pods):
            return f"CreateJob {stage.value}" + (f" {shards} x {pods}" if stage is Stage.SHARD else "")
        case SetParallelism(_, parallelism):
            return f"SetParallelism {parallelism}"
        case SetSuspend(_, suspend):
            return f"SetSuspend {str(suspend).lower()}"
        case DeleteJob() | DeleteBatch():
            return type(action).__name__


def _who(about: About) -> dict[str, Value]:
    ref = about.ref
    return {names.NAMESPACE: ref.namespace, names.BATCH: ref.name, names.BATCH_UID: ref.uid}


def _counts(about: About, status: LLMBatchStatus, reason: str | None) -> dict[str, Value]:
    items, usage, shards = status.items, status.usage, status.shards
    counts: dict[str, Value | None] = {
        names.PHASE: status.phase.value,
        names.REASON: reason,
        names.GEN_AI_REQUEST_MODEL: about.model or None,
        names.ITEMS: items.total if items is not None else None,
        names.ITEMS_SUCCEEDED: items.succeeded if items is not None else None,
        names.ITEMS_FAILED: items.failed if items is not None else None,
        names.ITEMS_CANCELLED: items.cancelled if items is not None else None,
        names.SHARDS: shards.total if shards is not None else None,
        names.ATTEMPTS: status.attempts,
        names.GEN_AI_INPUT_TOKENS: usage.input_tokens if usage is not None else None,
        names.GEN_AI_OUTPUT_TOKENS: usage.output_tokens if usage is not None else None,
    }
    return {name: value for name, value in counts.items() if value is not None}


def _last_reason(status: LLMBatchStatus) -> str | None:
    """Why the batch has ended."""
    reasons = [c.reason.value for c in status.conditions if c.status == "True" and c.type in _ENDS]
    return reasons[-1] if reasons else None


def _end(status: LLMBatchStatus, now: float) -> float:
    """The status has whole seconds, and the last pods end within that second."""
    return now if status.completion_time is None else min(now, status.completion_time.timestamp() + 1)


def _event(condition: Condition, at: float) -> SpanEvent:
    return SpanEvent(condition.type.value, at, {names.REASON: condition.reason.value})
