"""Keeps the progress of the shards at work, from events; what reports and `done.json` say comes from here."""

from dataclasses import dataclass, field

from llmbatch_contract.categories import Category
from llmbatch_contract.progress import ShardProgress, Totals
from llmbatch_contract.records import Record
from llmbatch_worker.events import Event, Heard, ItemDone, PartWritten, ShardDone, ShardOpened


@dataclass
class _Shard:
    opened: ShardProgress
    written: Totals = field(default_factory=Totals)
    unwritten_succeeded: int = 0
    unwritten_errors: dict[Category, int] = field(default_factory=dict)

    def add_unwritten(self, record: Record) -> None:
        if "error" in record:
            category = Category(record["error"]["category"])
            self.unwritten_errors[category] = self.unwritten_errors.get(category, 0) + 1
        else:
            self.unwritten_succeeded += 1

    def add_written(self, tally: Totals) -> None:
        self.written.add(tally)
        self.unwritten_succeeded -= tally.succeeded
        for category, count in tally.errors.items():
            self.unwritten_errors[category] -= count

    def progress(self) -> ShardProgress:
        return self.opened.model_copy(
            update={
                "succeeded": self.written.succeeded,
                "failed": self.written.failed,
                "attempts": self.written.attempts,
                "retries": self.written.retries,
                "usage": self.written.usage,
                "latency": dict(self.written.latency),
                "errors": dict(self.written.errors),
                "samples": dict(self.written.samples),
                "unwritten_succeeded": self.unwritten_succeeded,
                "unwritten_errors": {c: count for c, count in self.unwritten_errors.items() if count},
            }
        )


class ProgressKeeper:
    """An event listener."""

    def __init__(self) -> None:
        self._shards: dict[int, _Shard] = {}
        self._done: set[int] = set()
        self.has_success = False
        """Some item of the batch has succeeded, now or in an earlier run."""

        self.heard: Heard = {
            ShardOpened: self._shard_opened,
            ItemDone: self._item_done,
            PartWritten: self._part_written,
            ShardDone: self._shard_done,
        }

    def __call__(self, event: Event) -> None:
        if (hear := self.heard.get(type(event))) is not None:
            hear(event)

    def _shard_opened(self, event: ShardOpened) -> None:
        progress = event.progress
        self._shards[progress.shard] = shard = _Shard(progress)
        shard.written.add(progress)
        self.has_success |= progress.succeeded > 0

    def _item_done(self, event: ItemDone) -> None:
        self.has_success |= "error" not in event.record
        self._shards[event.shard].add_unwritten(event.record)

    def _part_written(self, event: PartWritten) -> None:
        self._shards[event.shard].add_written(event.tally)

    def _shard_done(self, event: ShardDone) -> None:
        self._done.add(event.shard)

    def of(self, shard: int) -> ShardProgress:
        """The word on one shard."""
        return self._shards[shard].progress()

    def all(self) -> list[ShardProgress]:
        """The word on every shard at work, and on those done since they were last told."""
        return [s.progress() for s in self._shards.values()]

    @property
    def has_unwritten(self) -> bool:
        """Some items are done but not written down."""
        return any(s.unwritten_succeeded or any(s.unwritten_errors.values()) for s in self._shards.values())

    @property
    def unwritten(self) -> int:
        """How many items those are. To be asked from any thread."""
        return sum(s.unwritten_succeeded + sum(list(s.unwritten_errors.values())) for s in list(self._shards.values()))

    def told(self, progress: list[ShardProgress]) -> None:
        """Whoever coordinates has heard this: forget what is done."""
        for shard in progress:
            if shard.shard in self._done and shard.is_done:
                self._done.discard(shard.shard)
                del self._shards[shard.shard]
