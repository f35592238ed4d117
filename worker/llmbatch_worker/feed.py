"""Hands out items to ask about, from shard after shard, reading ahead in a thread.

Items are taken in windows of about a second's worth, of large ones fewer; before the first of a window is handed out,
the shard's log notes that it may be sent.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

import orjson

from llmbatch_contract.plan import Plan
from llmbatch_contract.spec import InputFormat
from llmbatch_worker.events import Emit, ShardDone, ShardOpened
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.inputs.rows import Row
from llmbatch_worker.shardlog import Done, ShardLog, open_shard
from llmbatch_worker.stores.protocol import Store
from llmbatch_worker.work import Work

LEAST_WINDOW = 16
MOST_WINDOW = 2000
READ_AHEAD_BYTES = 4 << 20
"""Of items in a window, but for the last one."""

SizeOf = Callable[[Row], int]


@dataclass
class _Reading:
    """The shard that is being read."""

    log: ShardLog
    rows: Iterator[tuple[int, str, Row]]
    most: int
    """So many of its first items; if these are not all, it is left unfinished, for whoever comes after."""

    def next_fresh(self, position: int, count: int = 1) -> int | None:
        """Position of the first item from a position on that has no record, or of the `count`-th; None: there is none.

        If there are fewer, it is that of the last one.
        """
        found = -1
        while count > 0 and (position := self.log.recorded.find(0, position, self.most)) >= 0:
            found, position, count = position, position + 1, count - 1
        return found if found >= 0 else None


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
        on_handed_out: Callable[[], None] = lambda: None,
        first: Mapping[int, int] | None = None,
    ) -> None:
        """`wake` is called when there is something new to take, `on_handed_out` when no more is to come of a shard.

        Of shards in `first`, only so many items are taken.
        """
        self.logs: dict[int, ShardLog] = {}
        """Shards at work."""
        self.window = LEAST_WINDOW
        self._plan, self._items, self._store = plan, items, store
        self._worker, self._now = worker, now
        self._next_shard, self._emit, self._wake = next_shard, emit, wake
        self._on_handed_out = on_handed_out
        self._first = first or {}
        self._size_of = _size_of(plan)
        self._ready: deque[Work] = deque()
        self._ready_bytes = 0
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
        if self._loading is None and self._wants_more:
            self._loading = asyncio.create_task(self._load())
        if not self._ready:
            return None
        work = self._ready.popleft()
        self._ready_bytes -= work.size
        self._taken_to[work.shard] = work.number - self._plan.shards[work.shard].first_item + 1
        return work

    @property
    def _wants_more(self) -> bool:
        has_room = len(self._ready) <= self.window // 2 and self._ready_bytes <= READ_AHEAD_BYTES // 2
        return has_room and not self._is_empty

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
        most = min(self._first.get(number, shard.items), shard.items)
        self._reading = _Reading(opened, itertools.islice(self._items.rows(shard), most), most)

    async def _load_window(self, reading: _Reading, window: int) -> None:
        works = await asyncio.to_thread(_read_window, reading, window, self._size_of, self._store.cadence.mark_items)
        log = reading.log
        log.outstanding += len(works)
        self._ready.extend(works)
        self._ready_bytes += sum(work.size for work in works)
        if not works or reading.next_fresh(works[-1].number - log.shard.first_item + 1) is None:
            log.is_handed_out = reading.most >= log.shard.items
            self._reading = None
            self._on_handed_out()


def _read_window(reading: _Reading, window: int, size_of: SizeOf, mark_items: int) -> list[Work]:
    """Runs in a thread: read the next items that have no record, and note that they may be sent."""
    log, shard = reading.log, reading.log.shard
    works: list[Work] = []
    size = 0
    for number, item_id, row in reading.rows:
        if log.recorded[number - shard.first_item]:
            continue
        works.append(Work(shard.number, number, item_id, row.item, size_of(row)))
        size += works[-1].size
        if len(works) >= window or size >= READ_AHEAD_BYTES:
            break
    if works:
        _mark(reading, works, mark_items)
    return works


def _mark(reading: _Reading, works: list[Work], mark_items: int) -> None:
    """Note that these items may be sent, and where marks are dear, some that follow, too."""
    log = reading.log
    end = works[-1].number - log.shard.first_item + 1
    if end > log.marked:
        last = reading.next_fresh(log.marked, mark_items)
        log.may_send(end if last is None else max(end, last + 1))


def _size_of(plan: Plan) -> SizeOf:
    """How many bytes an item has, about. Positions in Parquet are not bytes."""
    if plan.input.format is InputFormat.PARQUET and not plan.input.unpacked:
        return lambda row: len(orjson.dumps(row.item))
    return lambda row: row.end - row.start
