"""A local worker's side of the coordinator: which shards it gets and what it is told. No processes here."""

import time
from collections import deque
from collections.abc import Iterable

from llmbatch_contract.coordination import Coordinator
from llmbatch_contract.reports import Reply, Report, StoreTrouble


class ShardQueue:
    """Shards that still need work; who takes one has it until it is done or its worker is lost."""

    def __init__(self, shards: Iterable[int]) -> None:
        self._waiting = deque(shards)
        self._taken: dict[str, dict[int, float]] = {}
        """By worker: shards, and when it took them, in Unix time."""

    def take(self, worker: str) -> int | None:
        """The next shard; None when there are no more."""
        if not self._waiting:
            return None
        shard = self._waiting.popleft()
        self._taken.setdefault(worker, {})[shard] = time.time()
        return shard

    def lost(self, worker: str, coordinator: Coordinator) -> dict[int, float]:
        """Put back what a dead worker had not finished: these shards, by when it took them."""
        taken = self._taken.pop(worker, {})
        left = {shard: at for shard, at in taken.items() if not coordinator.progress.is_shard_done(shard)}
        self._waiting.extendleft(sorted(left, reverse=True))
        return left

    @property
    def is_empty(self) -> bool:
        """Nobody needs to take any more."""
        return not self._waiting


class StoreWaits:
    """What the stores of the workers wait for, by their last reports."""

    def __init__(self) -> None:
        self._by_worker: dict[str, StoreTrouble] = {}

    def note(self, report: Report) -> None:
        """A report has come."""
        if report.store_trouble is None:
            self._by_worker.pop(report.worker, None)
        else:
            self._by_worker[report.worker] = report.store_trouble

    def lost(self, worker: str) -> None:
        """A worker is gone."""
        self._by_worker.pop(worker, None)

    @property
    def longest(self) -> StoreTrouble | None:
        """What has been waited for longest, if anything."""
        return max(self._by_worker.values(), key=lambda trouble: trouble.for_s, default=None)


class DirectLink:
    """The coordinator in the same process."""

    def __init__(self, coordinator: Coordinator, queue: ShardQueue, waits: StoreWaits, worker: str) -> None:
        self._coordinator, self._queue, self._waits, self._worker = coordinator, queue, waits, worker

    async def exchange(self, report: Report) -> Reply:
        """Ask the coordinator."""
        self._waits.note(report)
        return self._coordinator.reply(report, time.monotonic())

    async def next_shard(self) -> int | None:
        """Ask the queue; nothing more once the batch stops."""
        return None if self._coordinator.stop is not None else self._queue.take(self._worker)
