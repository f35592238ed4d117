"""Makes spans of the engine's events: shards, and those of their items that are worth one. An event listener.

Whether an item is kept is decided when it has ended; of those that may turn out to be the slowest, a few are held
until their shard ends. Nothing else is held.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from llmbatch_contract.categories import Category
from llmbatch_contract.plan import Plan
from llmbatch_contract.progress import ShardProgress
from llmbatch_telemetry import names
from llmbatch_telemetry.spans import Span, Value
from llmbatch_telemetry.telemetry import Telemetry
from llmbatch_worker.classify import Success
from llmbatch_worker.events import AttemptFailed, Heard, ItemDone, ShardDone, ShardOpened
from llmbatch_worker.observing.calls import Calls
from llmbatch_worker.observing.item_spans import EndedItem, spans_of
from llmbatch_worker.observing.sampling import KeptFor, Slowest, is_sampled, slow_per_shard
from llmbatch_worker.observing.stage_spans import StageRun, Stages
from llmbatch_worker.work import Attempt, Work

_MOST_TRIED = 15
"""Attempts of an item that are kept beside its last one: the first half, and the latest."""

Contents = Callable[[EndedItem], dict[str, Value]]


@dataclass(slots=True)
class _Open:
    """An attempt at a shard."""

    span_id: str
    started: float
    before: ShardProgress
    slowest: Slowest[tuple[Span, ...]]
    """As spans: an item would keep its prompt and its answer in memory, however long they are."""
    succeeded: int = 0
    failed: int = 0
    failed_attempts: int = 0

    def attributes(self) -> dict[str, Value]:
        return {
            names.SHARD_ATTEMPT: self.before.attempt,
            names.ITEMS: self.before.items,
            names.ITEMS_SUCCEEDED: self.succeeded,
            names.ITEMS_FAILED: self.failed,
            names.ATTEMPTS: self.succeeded + self.failed_attempts,
        }


@dataclass
class SpanKeeper:
    """The spans of one worker."""

    telemetry: Telemetry
    plan: Plan
    stages: Stages
    calls: Calls
    budget: int
    """Items to sample in the whole batch."""
    contents: Contents
    clock: Callable[[], float] = time.time
    has_new_failures: bool = False
    """Failed items have got spans since this was last unset."""
    _open: dict[int, _Open] = field(default_factory=dict)
    _last: AttemptFailed | None = None
    """Of the item that ends with it, which is told of next."""

    @property
    def heard(self) -> Heard:
        """What this listens to."""
        return {
            ShardOpened: self._shard_opened,
            AttemptFailed: self._attempt_failed,
            ItemDone: self._item_done,
            ShardDone: lambda event: self._close(event.shard),
        }

    def leave(self, failed_as: str) -> None:
        """The worker ends, and with it its attempts at the shards that are not done. Empty: it was to leave them so."""
        for number in list(self._open):
            self._close(number, failed_as or None)

    def _shard_opened(self, event: ShardOpened) -> None:
        number = event.progress.shard
        slowest = Slowest[tuple[Span, ...]](slow_per_shard(self.budget, len(self.plan.shards)))
        self._open[number] = _Open(self.stages.shard_id(number), self.clock(), event.progress, slowest)

    def _attempt_failed(self, event: AttemptFailed) -> None:
        work, attempt, failure = event.work, event.work.attempt, event.failure
        if attempt is None:
            return
        self._open[work.shard].failed_attempts += 1
        attempt.category, attempt.status, attempt.again_after_s = failure.category, failure.status, event.again_after_s
        if event.again_after_s is not None:
            work.tried = _kept(work.tried or [], attempt)
        self._last = event if event.again_after_s is None else None
        if event.stops:
            self._export(self._failed(work, failure.category), KeptFor.FAILED)

    def _item_done(self, event: ItemDone) -> None:
        shard, work = self._open[event.shard], event.work
        if event.success is None:
            self._item_failed(shard, event)
            return
        shard.succeeded += 1
        if is_sampled(work.number, self.plan.items, self.budget):
            self._export(self._answered(work, event.success), KeptFor.SAMPLED)
        elif shard.slowest.wants(took_s := self.clock() - (work.first_attempt_at or 0.0)):
            shard.slowest.keep(took_s, self._spans_of(self._answered(work, event.success), KeptFor.SLOW))

    def _item_failed(self, shard: _Open, event: ItemDone) -> None:
        assert "error" in event.record
        shard.failed += 1
        self.has_new_failures = True
        self._export(self._failed(event.work, Category(event.record["error"]["category"])), KeptFor.FAILED)

    def _answered(self, work: Work, success: Success) -> EndedItem:
        if work.attempt is not None:
            work.attempt.status = 200
        return EndedItem(work, self.clock(), success)

    def _failed(self, work: Work, category: Category) -> EndedItem:
        last, self._last = self._last, None
        failure = last.failure if last is not None and last.work is work else None
        return EndedItem(work, self.clock(), failure, category)

    def _export(self, item: EndedItem, why: KeptFor) -> None:
        for span in self._spans_of(item, why):
            self.telemetry.span(span)

    def _spans_of(self, item: EndedItem, why: KeptFor) -> tuple[Span, ...]:
        item.content.update(self.contents(item))
        trace_id, parent_id = self.stages.trace.trace_id, self._open[item.work.shard].span_id
        call = self.calls.of(item.work.item)
        return tuple(spans_of(item, call, trace_id, parent_id, self.telemetry.span_id(), why))

    def _close(self, number: int, failed_as: str | None = None) -> None:
        shard = self._open.pop(number, None)
        if shard is None:
            return
        for spans in shard.slowest.take():
            for span in spans:
                self.telemetry.span(span)
        error = None if failed_as is None else f"the attempt ended early: {failed_as}"
        run = StageRun(shard.started, self.clock(), shard.attributes(), failed_as, error)
        self.telemetry.span(self.stages.shard(number, run))


def _kept(tried: list[Attempt], attempt: Attempt) -> list[Attempt]:
    if len(tried) == _MOST_TRIED:
        del tried[(_MOST_TRIED + 1) // 2]
    tried.append(attempt)
    return tried
