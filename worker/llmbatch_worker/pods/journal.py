"""What a pod logs of its shards, as few lines as tell the story, and none with the content of an item."""

import logging
from collections import Counter
from dataclasses import dataclass, field

from llmbatch_contract.progress import ShardProgress
from llmbatch_contract.records import DeadLetter
from llmbatch_worker.events import Event, ItemDone, ShardDone, ShardOpened
from llmbatch_worker.observing.stage_spans import Stages
from llmbatch_worker.progress_keeper import ProgressKeeper

log = logging.getLogger(__name__)


@dataclass
class Journal:
    """An event listener: notes when a shard begins and ends, and keeps the counts for the last words.

    Of the items that fail, the first of each category gets a line; the others are counted at the end of the shard.
    """

    stages: Stages
    done: set[int] = field(default_factory=set)
    """Shards that are complete."""
    _keeper: ProgressKeeper = field(default_factory=ProgressKeeper)
    _failed: dict[int, Counter[str]] = field(default_factory=dict)
    """By shard and category, in this attempt."""
    _last: int | None = None

    def __call__(self, event: Event) -> None:
        self._keeper(event)
        match event:
            case ShardOpened(progress):
                self._last = progress.shard
                self._failed[progress.shard] = Counter()
                before = progress.succeeded + progress.failed
                log.info(
                    "shard %d: %d items, %d done before", progress.shard, progress.items, before,
                    extra={**self._where(progress.shard), "attempt": progress.attempt},
                )  # fmt: skip
            case ItemDone(number, record) if "error" in record:
                self._item_failed(number, record)
            case ShardDone(number):
                self.done.add(number)
                self._shard_done(number)

    @property
    def progress(self) -> ShardProgress | None:
        """The word on the last shard."""
        return None if self._last is None else self._keeper.of(self._last)

    def of(self, shard: int) -> ShardProgress:
        """The word on a shard that was opened."""
        return self._keeper.of(shard)

    def _item_failed(self, shard: int, letter: DeadLetter) -> None:
        category = letter["error"]["category"]
        self._failed[shard][category] += 1
        if self._failed[shard][category] > 1:
            return
        more = {"item": letter["id"], "category": category, "status": letter["error"]["status"]}
        log.warning(
            "the first item that failed as %s", category,
            extra={**self._where(shard), **more, "attempts": letter["attempts"]},
        )  # fmt: skip

    def _shard_done(self, number: int) -> None:
        now, failed = self._keeper.of(number), self._failed.pop(number, Counter())
        log.info(
            "shard %d: done, %d succeeded, %d failed", number, now.succeeded, now.failed,
            extra={**self._where(number), **{f"failed_{category}": count for category, count in failed.items()}},
        )  # fmt: skip

    def _where(self, shard: int) -> dict[str, str | int]:
        return {"shard": shard, "span_id": self.stages.shard_id(shard)}
