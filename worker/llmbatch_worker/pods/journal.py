"""The log of a pod: a few plain lines on stderr, none of them with the content of an item."""

import logging
import time

from llmbatch_contract.progress import ShardProgress
from llmbatch_worker.events import Event, ShardDone, ShardOpened
from llmbatch_worker.progress_keeper import ProgressKeeper

log = logging.getLogger(__name__)


def start_log() -> None:
    """Write this program's lines from `info` on, and those of libraries from `warning` on."""
    form = logging.Formatter("%(asctime)sZ %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(form)
    logging.getLogger().addHandler(handler)
    logging.getLogger("llmbatch_worker").setLevel(logging.INFO)


class Journal:
    """An event listener: notes when a shard begins and ends, and keeps the counts for the last words."""

    def __init__(self) -> None:
        self._keeper = ProgressKeeper()
        self._last: int | None = None
        self.done: set[int] = set()
        """Shards that are complete."""

    def __call__(self, event: Event) -> None:
        self._keeper(event)
        match event:
            case ShardOpened(progress):
                self._last = progress.shard
                before = progress.succeeded + progress.failed
                log.info("shard %d: %d items, %d done before", progress.shard, progress.items, before)
            case ShardDone(number):
                self.done.add(number)
                now = self._keeper.of(number)
                log.info("shard %d: done, %d succeeded, %d failed", number, now.succeeded, now.failed)

    @property
    def progress(self) -> ShardProgress | None:
        """The word on the last shard."""
        return None if self._last is None else self._keeper.of(self._last)
