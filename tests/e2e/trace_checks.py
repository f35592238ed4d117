"""What the trace of a batch must tell, compared with what Kubernetes and the outputs tell.

Each `expect_…` is one promise about the spans of a batch that has ended; `told` waits until all of them have come.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from e2e.batches import Batches, Manifest
from e2e.jaeger_client import Jaeger, Trace, TraceSpan
from llmbatch_contract.pods import Stage
from llmbatch_contract.status import Phase
from llmbatch_contract.trace import BatchTrace, trace_of
from llmbatch_telemetry import names
from llmbatch_telemetry.names import SpanName
from llmbatch_worker.observing.sampling import is_sampled

_WHOLE_SECOND_S = 1.5
"""How far a moment may be from what Kubernetes says of it: to the second."""
_TOLD_S = 40
"""Within which all is told, even if another test has just taken the operator away."""
_SPANS_OF = {Stage.PLAN: SpanName.PLAN, Stage.SHARD: SpanName.SHARD, Stage.FINALIZE: SpanName.FINALIZE}
_STAGES = (*_SPANS_OF.values(),)
_INDEX = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True)
class Tale:
    """A batch that has ended, by everything but its trace."""

    resource: Manifest
    pods: Mapping[str, Manifest]
    """All that have run, by name."""
    errors: list[Manifest]
    results: list[Manifest]
    summary: Manifest

    @property
    def status(self) -> Manifest:
        """The status."""
        found: Manifest = self.resource["status"]
        return found

    @property
    def trace(self) -> BatchTrace:
        """The ids of its trace."""
        metadata = self.resource["metadata"]
        return trace_of(metadata["uid"], metadata.get("annotations", {}).get("traceparent"))


def watched(batches: Batches, name: str, *seen: Manifest, timeout_s: float = 150) -> Tale:
    """Wait for the end of a batch, and see all of its pods; some may be gone, but have been `seen` before."""
    pods = {pod["metadata"]["name"]: pod for pod in seen}

    def over() -> bool:
        status = batches.status(name)
        pods.update({pod["metadata"]["name"]: pod for pod in batches.pods(name)})
        return bool(status) and Phase(status["phase"]).is_final

    batches.cluster.wait_until(f"{name} has ended", over, timeout_s=timeout_s)
    ran = {pod: each for pod, each in pods.items() if _has_run(each)}
    return Tale(batches.get(name), ran, batches.errors(name), batches.results(name), batches.summary(name))


def told(jaeger: Jaeger, batches: Batches, tale: Tale) -> Trace:
    """The whole trace, once the batch's own span and one of each pod have come: those are sent last."""

    def missing(trace: Trace) -> set[str]:
        spans = {span[names.POD] for span in trace.named(*_STAGES)} | {span.name for span in trace.spans}
        return {SpanName.BATCH.value, *tale.pods} - spans

    def whole() -> Trace | None:
        trace = jaeger.trace(tale.status["traceId"])
        return None if missing(trace) else trace

    try:
        return batches.cluster.wait_until("its trace is there", whole, timeout_s=_TOLD_S)
    except TimeoutError as error:
        silent = missing(jaeger.trace(tale.status["traceId"]))
        logs = [batches.cluster.kubectl("logs", pod, "-n", batches.namespace) for pod in silent & set(tale.pods)]
        raise AssertionError("\n".join([f"no span of {', '.join(silent)}", *logs])) from error


def expect_one_root(trace: Trace, tale: Tale) -> TraceSpan:
    """One span is the batch: from its creation to its end, with the counts of the status."""
    (root,) = trace.named(SpanName.BATCH)
    ids, status, metadata = tale.trace, tale.status, tale.resource["metadata"]
    assert (trace.trace_id, root.span_id, root.parent_id) == (ids.trace_id, ids.span_id, ids.parent_id)
    assert status["traceId"] == ids.trace_id
    assert abs(root.start - moment(metadata["creationTimestamp"])) <= _WHOLE_SECOND_S
    assert abs(root.end - moment(status["completionTime"])) <= _WHOLE_SECOND_S
    assert (root[names.BATCH], root[names.NAMESPACE]) == (metadata["name"], metadata["namespace"])
    assert root[names.PHASE] == status["phase"]
    assert (root.error is not None) == (status["phase"] == Phase.FAILED)
    counts = (names.ITEMS, names.ITEMS_SUCCEEDED, names.ITEMS_FAILED, names.ITEMS_CANCELLED)
    items = [status["items"][each] for each in ("total", "succeeded", "failed", "cancelled")]
    assert [root[name] for name in counts] == items
    assert root[names.ATTEMPTS] == status["attempts"]
    return root


def expect_parents(trace: Trace) -> None:
    """Every span hangs where it belongs, and nothing hangs in the air."""
    assert {span["service.name"] for span in trace.repeated} <= {"llmbatch-operator"}
    for span in trace.spans:
        assert span.start <= span.end
        if span.name == SpanName.BATCH:
            continue
        assert span.parent_id is not None
        assert span.parent_id in trace.by_id, span
        parent = trace.by_id[span.parent_id]
        if span.name in (*_STAGES, SpanName.RECONCILE):
            assert parent.name == SpanName.BATCH
        elif span.name == SpanName.ATTEMPT:
            assert is_item(parent)
            assert parent.start <= span.start
            assert span.end <= parent.end
        else:
            assert is_item(span)
            assert parent.name == SpanName.SHARD
        if span.name not in (*_STAGES, SpanName.RECONCILE):
            assert (span["span.kind"], span[names.POD]) == ("client", parent[names.POD])


def expect_pods(trace: Trace, tale: Tale, killed: set[str]) -> None:
    """Each pod that ran has one span, which names it and says what it was for and whether it was killed."""
    spans = {span[names.POD]: span for span in trace.named(*_STAGES)}
    assert len(spans) == len(trace.named(*_STAGES))
    assert set(spans) == set(tale.pods)
    for name, pod in tale.pods.items():
        span, labels = spans[name], pod["metadata"]["labels"]
        stage = Stage(labels["llmbatch.dev/stage"])
        assert span.name == _SPANS_OF[stage]
        assert span[names.NODE] == pod["spec"]["nodeName"]
        assert span[names.POD_UID] == pod["metadata"]["uid"]
        assert span[names.JOB] == labels["batch.kubernetes.io/job-name"]
        if stage is Stage.SHARD:
            assert span[names.SHARD] == int(pod["metadata"]["annotations"][_INDEX])
        assert (span.error is not None) == (name in killed), span
    ended_well = [span[names.SHARD] for span in trace.named(SpanName.SHARD) if span.error is None]
    assert sorted(ended_well) == list(range(tale.status["shards"]["total"]))


def expect_dead_letters(trace: Trace, tale: Tale) -> None:
    """Every failed item is there with its category and its HTTP attempts, however the others were sampled."""
    items: dict[str, list[TraceSpan]] = {}
    for span in trace.spans:
        if is_item(span):
            items.setdefault(span[names.ITEM], []).append(span)
    for letter in tale.errors:
        assert letter["trace_id"] == trace.trace_id
        spans = [each for each in items[letter["id"]] if each[names.ERROR_TYPE] == letter["error"]["category"]]
        assert any(_tells(trace, span, letter) for span in spans), (letter, items[letter["id"]])
    assert {letter["id"] for letter in tale.errors} == {
        item for item, spans in items.items() if all(span.error is not None for span in spans)
    }


def expect_samples(trace: Trace, tale: Tale, budget: int) -> None:
    """Of the items that succeeded exactly those are there that were to be sampled, and a few slow ones."""
    total, failed = tale.status["items"]["total"], {letter["index"] for letter in tale.errors}
    kept: dict[str, set[int]] = {}
    for span in trace.spans:
        if is_item(span):
            kept.setdefault(span[names.ITEM_KEPT_FOR], set()).add(span[names.ITEM_INDEX])
    assert kept["failed"] == failed
    assert kept["sampled"] == {index for index in range(total) if is_sampled(index, total, budget)} - failed
    assert len(kept["slow"]) < total - budget


def expect_nothing_said(trace: Trace, *words: str) -> None:
    """No content in any span."""
    assert [word for word in words if word in trace.text] == []


def is_item(span: TraceSpan) -> bool:
    """Whether a span is about an item."""
    return names.ITEM in span.tags


def moment(text: str) -> float:
    """Unix time of a moment as Kubernetes writes it."""
    return datetime.fromisoformat(text).timestamp()


def _tells(trace: Trace, span: TraceSpan, letter: Mapping[str, Any]) -> bool:
    """Whether a span says of an item what its dead letter says."""
    attempts = sorted(trace.children.get(span.span_id, ()), key=lambda each: each.start)
    last = attempts[-1] if attempts else None
    return (
        span[names.ITEM_INDEX] == letter["index"]
        and span[names.ATTEMPTS] == letter["attempts"] == len(attempts)
        and last is not None
        and last[names.ERROR_TYPE] == letter["error"]["category"]
        and last[names.HTTP_STATUS] == letter["error"]["status"]
        and all(each.name == SpanName.ATTEMPT and each.error is not None for each in attempts)
        and [each[names.RESEND_COUNT] or 0 for each in attempts] == list(range(len(attempts)))
        and re.fullmatch(r"\S+ \S+", span.name) is not None
    )


def _has_run(pod: Manifest) -> bool:
    statuses = pod["status"].get("containerStatuses") or [{}]
    state = statuses[0].get("state", {})
    return "running" in state or bool(state.get("terminated", {}).get("startedAt"))
