"""What a local run tells of its batch, by OTLP: the spans `plan`, `finalize` and `batch`, and the batch's metrics.

Workers tell of their own work. run.py says what happens; nothing here raises or waits longer than _CLOSE_S.
"""

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llmbatch_cli.running.numbers import final_numbers, running_numbers, unix
from llmbatch_cli.running.told import Told
from llmbatch_cli.running.warned import KeptWarnings
from llmbatch_contract.coordination import Coordinator
from llmbatch_contract.job import Job
from llmbatch_contract.pace import Speedometer
from llmbatch_contract.plan import Plan
from llmbatch_telemetry import names
from llmbatch_telemetry.batches import BatchNumbers, points_of
from llmbatch_telemetry.meters import Point
from llmbatch_telemetry.names import SpanName
from llmbatch_telemetry.settings import Temporality, read_settings
from llmbatch_telemetry.spans import Span, Value
from llmbatch_telemetry.starting import start_telemetry
from llmbatch_telemetry.telemetry import Telemetry
from llmbatch_worker.observing.resources import LOCAL_SERVICE, local_resource
from llmbatch_worker.observing.stage_spans import StageRun, stages_of
from llmbatch_worker.stores.local import LOCAL

_CLOSE_S = 5.0
_CLOSE_INTERRUPTED_S = 1.0


@dataclass(frozen=True)
class LostWorker:
    """A worker process that was killed, and the shards that it was at work on, by when it took them (Unix time)."""

    process: str
    shards: dict[int, float]
    signal_number: int


@dataclass
class Telling:
    """The telemetry of the process of a local run."""

    job: Job
    plan: Plan
    process: str
    telemetry: Telemetry
    warnings: KeptWarnings
    clock: Callable[[], float] = time.time
    _numbers: BatchNumbers | None = None
    """Of the batch at this moment; replaced as a whole, since another thread reads them."""
    _moved: tuple[int, float] = (0, 0.0)
    """Items that had ended, and since when it was as many."""

    def __post_init__(self) -> None:
        self._started = self.clock()
        if self.telemetry.meters.is_on:
            self._told = Told(LOCAL.open(self.job.store_uri), self.plan.uid, self._news_since())
            self.telemetry.meters.observe(self._points)

    @property
    def trace_id(self) -> str | None:
        """Of the batch; None where no spans go out."""
        return self.plan.trace.trace_id if self.telemetry.has_spans else None

    def planned(self, ended: float) -> None:
        """This run has made the plan, until `ended`."""
        counts: dict[str, Value] = {names.ITEMS: self.plan.items, names.SHARDS: len(self.plan.shards)}
        self._stage(SpanName.PLAN, StageRun(unix(self.plan.created_at), ended, counts))

    def runs(self, coordinator: Coordinator, speed: Speedometer) -> None:
        """To be called now and then while shards are worked on."""
        if not self.telemetry.meters.is_on:
            return
        now, totals = self.clock(), coordinator.progress.totals()
        if totals.finished != self._moved[0] or not self._moved[1]:
            self._moved = totals.finished, now
        idle_s = now - self._moved[1]
        self._numbers = running_numbers(self.job.batch, self.plan, totals, coordinator, speed, now=now, idle_s=idle_s)

    def lost(self, worker: LostWorker) -> None:
        """A worker cannot tell any more how far it came: its spans are exported in its place, with the same ids."""
        name = signal_name(worker.signal_number)
        stages = stages_of(self.plan, self.job.batch.metadata, worker.process)
        for shard, taken_at in worker.shards.items():
            run = StageRun(taken_at, self.clock(), failed_as=name, error=f"the worker process was ended by {name}")
            self._span(stages.shard(shard, run))

    def finalized(self, started: float, summary: dict[str, Any]) -> None:
        """The outputs are written: the batch has ended."""
        self._stage(SpanName.FINALIZE, StageRun(started, self.clock(), _items(summary)))
        self._span(self._batch(summary))
        self._numbers = final_numbers(summary)

    def failed_to_finalize(self, started: float, error: Exception) -> None:
        """The outputs could not be written: another run may."""
        kind = type(error).__name__
        self._stage(SpanName.FINALIZE, StageRun(started, self.clock(), failed_as=kind, error=kind))

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Around the run: at its end, send all that there is. After an interrupt nobody wants to wait."""
        close_s = _CLOSE_S
        try:
            yield
        except KeyboardInterrupt:
            close_s = _CLOSE_INTERRUPTED_S
            raise
        finally:
            self.telemetry.close(close_s)

    def _stage(self, name: SpanName, run: StageRun) -> None:
        self._span(stages_of(self.plan, self.job.batch.metadata, self.process).stage(name, run))

    def _span(self, span: Span) -> None:
        if self.telemetry.has_spans:
            self.telemetry.span(span)

    def _batch(self, summary: dict[str, Any]) -> Span:
        """The root: a run that goes on after a failure exports it anew, with what came of it."""
        trace, batch, reason = self.plan.trace, self.job.batch, summary["reason"]
        failed_as = None if reason is None else str(reason["category"])
        usage = summary["usage"]
        attributes: dict[str, Value | None] = {
            names.BATCH: batch.metadata.name,
            names.NAMESPACE: batch.metadata.namespace,
            names.BATCH_UID: self.plan.uid,
            names.PHASE: summary["phase"],
            names.REASON: failed_as,
            names.ERROR_TYPE: failed_as,
            names.GEN_AI_REQUEST_MODEL: batch.spec.model,
            names.SHARDS: len(self.plan.shards),
            **_items(summary),
            names.GEN_AI_INPUT_TOKENS: usage["input_tokens"],
            names.GEN_AI_OUTPUT_TOKENS: usage["output_tokens"],
        }
        return Span(
            name=SpanName.BATCH,
            trace_id=trace.trace_id,
            span_id=trace.span_id,
            parent_id=trace.parent_id,
            start=unix(self.plan.created_at),
            end=self.clock(),
            attributes={name: value for name, value in attributes.items() if value is not None},
            error=failed_as,
        )

    def _points(self) -> list[Point]:
        """Asked by the thread that exports."""
        numbers = self._numbers
        return [] if numbers is None else self._told.points(points_of(numbers))

    def _news_since(self) -> float | None:
        return self._started if read_settings(os.environ).temporality is Temporality.DELTA else None


def start_telling(job: Job, plan: Plan) -> Telling:
    """Start what the environment asks for."""
    warnings = KeptWarnings().listen()
    # The metrics of a run that goes on are those of the one before, so they come from the same instance.
    resource = local_resource(job.batch.metadata, plan.uid, f"local-{plan.uid}")
    return Telling(job, plan, f"local-{uuid.uuid4()}", start_telemetry(LOCAL_SERVICE, resource), warnings)


def exports_spans() -> bool:
    """Whether the environment sends spans anywhere."""
    return read_settings(os.environ).traces is not None


def signal_name(number: int) -> str:
    """As SIGKILL; those of real time have no names."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _items(summary: dict[str, Any]) -> dict[str, Value]:
    items = summary["items"]
    return {
        names.ITEMS: items["total"],
        names.ITEMS_SUCCEEDED: items["succeeded"],
        names.ITEMS_FAILED: items["failed"],
        names.ITEMS_CANCELLED: items["cancelled"],
        names.ATTEMPTS: summary["attempts"],
    }
