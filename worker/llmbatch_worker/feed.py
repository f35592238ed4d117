"""Hands out items to ask about, from shard after shard, reading ahead in a thread.

Items are taken in windows of about a second's worth; before the first of a window is handed out, the shard's log notes
that it may be sent.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

from llmbatch_contract.plan import Plan
from llmbatch_worker.events import Emit, ShardDone, ShardOpened
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.inputs.rows import Row
from llmbatch_worker.shardlog import Done, ShardLog, open_shard
from llmbatch_worker.stores.protocol import Store
from llmbatch_worker.work import Work

LEAST_WINDOW = 16
MOST_WINDOW = 2000


@dataclass
class _Reading:
    """The shard that is being read."""

    log: ShardLog
    rows: Iterator[tuple[int, str, Row]]
    is_whole: bool
    """To its end; else it is left unfinished, for whoever comes after."""


class Feed:
    """Items of all shards that `next_shard` names, as Work, in order."""

    def __init__(
        self,
        plan: Plan,
        items: PlannedItems,
        store: Store,
        *,
        worker: str,
        now: Callable[[], str],
        next_shard: Callable[[], Awaitable[int | None]],
        emit: Emit,
        wake: Callable[[], None],
        first: Mapping[int, int] | None = None,
    ) -> None:
        """`wake` is called when there is something new to take. Of shards in `first`, only so many items are taken."""
        self.logs: dict[int, ShardLog] = {}
        """Shards at work."""
        self.window = LEAST_WINDOW
        self._plan, self._items, self._store = plan, items, store
        self._worker, self._now = worker, now
        self._next_shard, self._emit, self._wake = next_shard, emit, wake
        self._first = first or {}
        self._ready: deque[Work] = deque()
        self._taken_to: dict[int, int] = {}
        self._reading: _Reading | None = None
        self._loading: asyncio.Task[None] | None = None
        self._is_empty = False

    @property
    def is_exhausted(self) -> bool:
        """There is nothing more to take, now or later."""
        return self._is_empty and not self._ready

    @property
    def read_ahead(self) -> int:
        """How many items are ready to take."""
        return len(self._ready)

    def take(self) -> Work | None:
        """The next item, if one is ready. Raises what reading ahead has raised."""
        if self._loading is not None and self._loading.done():
            self._loading.result()
            self._loading = None
        if self._loading is None and not self._is_empty and len(self._ready) <= self.window // 2:
            self._loading = asyncio.create_task(self._load())
        if not self._ready:
            return None
        work = self._ready.popleft()
        self._taken_to[work.shard] = work.number - self._plan.shards[work.shard].first_item + 1
        return work

    def give_back(self, work: Work) -> None:
        """The last item taken was not sent after all."""
        self._taken_to[work.shard] = work.number - self._plan.shards[work.shard].first_item

    async def close(self) -> None:
        """Stop reading ahead."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)

    def unsent_from(self, shard: int) -> int:
        """Position in the shard from which on nothing was taken."""
        return self._taken_to.get(shard, 0)

    async def _load(self) -> None:
        try:
            if self._reading is None:
                await self._open_next()
            if self._reading is not None:
                await self._load_window(self._reading, self.window)
        finally:
            self._wake()

    async def _open_next(self) -> None:
        number = await self._next_shard()
        if number is None:
            self._is_empty = True
            return
        shard = self._plan.shards[number]
        opened = await asyncio.to_thread(open_shard, self._store, shard, self._worker, self._now())
        self._emit(ShardOpened(opened.progress))
        if isinstance(opened, Done):
            self._emit(ShardDone(number, opened.progress.attempt))
            return
        self.logs[number] = opened
        most = self._first.get(number, shard.items)
        rows = itertools.islice(self._items.rows(shard), most)
        self._reading = _Reading(opened, rows, is_whole=most >= shard.items)

    async def _load_window(self, reading: _Reading, window: int) -> None:
        works = await asyncio.to_thread(_read_window, reading, window)
        log = reading.log
        log.outstanding += len(works)
        self._ready.extend(works)
        if len(works) < window:
            log.is_handed_out = reading.is_whole
            self._reading = None


def _read_window(reading: _Reading, window: int) -> list[Work]:
    """Runs in a thread: read the next items that have no record, and note that they may be sent."""
    log, shard = reading.log, reading.log.shard
    fresh = (r for r in reading.rows if not log.recorded[r[0] - shard.first_item])
    works = [Work(shard.number, number, i, row.item) for number, i, row in itertools.islice(fresh, window)]
    if works:
        log.may_send(works[-1].number - shard.first_item + 1)
    return works
