"""Writes records down as parts, now and then or when there are many, and ends shards that are complete.

How often is the store's word (its cadence). While a write waits for a store that is away, records gather here, up to a
bound at which nothing new should be sent.
"""

import asyncio
import math
from collections.abc import Callable

from llmbatch_contract.records import Record
from llmbatch_worker.classify import Success
from llmbatch_worker.events import Emit, ItemDone, PartWritten, ShardDone
from llmbatch_worker.progress_keeper import ProgressKeeper
from llmbatch_worker.shardlog import PART_BYTES, ShardLog, Unwritten
from llmbatch_worker.stores.protocol import FOLDER_CADENCE, Cadence
from llmbatch_worker.waiting import wait_for_event
from llmbatch_worker.work import Work

MOST_UNWRITTEN_BYTES = 16 << 20
_NOW_S = 0.001
"""What is due in less is due: clocks are not that exact."""


def due_in_s(cadence: Cadence, *, records: int, size: int, waited_s: float, is_last: bool) -> float:
    """Seconds until records should be written, of which the oldest has waited so long; `is_last`: no more will come."""
    if not records:
        return math.inf
    if is_last or size >= PART_BYTES:
        return 0.0
    return (cadence.every_s if records >= cadence.least_records else cadence.at_most_s) - waited_s


class Recorder:
    """Records of all shards at work."""

    def __init__(
        self,
        logs: dict[int, ShardLog],
        keeper: ProgressKeeper,
        emit: Emit,
        before_part: Callable[[], None] = lambda: None,
        cadence: Cadence = FOLDER_CADENCE,
    ) -> None:
        """`before_part` is called in a thread before records are written down; it must not raise."""
        self._logs, self._keeper, self._emit = logs, keeper, emit
        self._before_part, self._cadence = before_part, cadence
        self._unwritten_bytes = 0
        self._waiting_since: dict[int, float] = {}
        """By shard, when the oldest record came that waits to be written."""
        self._looked_at: dict[int, float] = {}
        """By shard, when a newer claim was looked for."""
        self._soon = asyncio.Event()
        self._writes_all = self._is_closing = False

    @property
    def is_full(self) -> bool:
        """So many records wait to be written, or are being written, that there should not be more."""
        return self._unwritten_bytes >= MOST_UNWRITTEN_BYTES

    def add(self, work: Work, record: Record, success: Success | None = None) -> None:
        """Take a record of an item that is done; `success` is what it was made of, unless it tells of a failure."""
        log = self._logs[work.shard]
        self._unwritten_bytes += log.add(record)
        if log.waiting_records == 1:
            self._waiting_since[work.shard] = _now()
        self._emit(ItemDone(work.shard, record, work, success))
        is_news = log.waiting_records in (1, self._cadence.least_records)
        if is_news or log.buffered_bytes >= PART_BYTES or _has_all(log):
            self._soon.set()

    async def run(self) -> None:
        """Write until closed, all that waits then included. Raises StoreError and ClaimLostError.

        Not to be cancelled: what is being written would be neither here nor there.
        """
        is_last_round = False
        while not is_last_round:
            if not self._is_closing:
                await wait_for_event(self._soon, min(map(self._due_in_s, self._logs.values()), default=math.inf))
            self._soon.clear()
            is_last_round, writes_all = self._is_closing, self._writes_all
            self._writes_all = False
            for log in list(self._logs.values()):
                await self._write(log, at_least=log.waiting_parts if writes_all else 0)

    def look_soon(self) -> None:
        """A shard may be complete that no further record will come for."""
        self._soon.set()

    def write_soon(self) -> None:
        """Write what there is without waiting for the next time."""
        self._writes_all = True
        self._soon.set()

    def close(self) -> None:
        """Let `run` write what waits, and end."""
        self._is_closing = True
        self.write_soon()

    def _due_in_s(self, log: ShardLog) -> float:
        number, now = log.shard.number, _now()
        return due_in_s(
            self._cadence,
            records=log.waiting_records,
            size=log.buffered_bytes,
            waited_s=now - self._waiting_since.get(number, now),
            is_last=_has_all(log),
        )

    async def _write(self, log: ShardLog, *, at_least: int) -> None:
        number = log.shard.number
        while at_least > 0 or self._due_in_s(log) <= _NOW_S:
            at_least -= 1
            await self._write_next(log)
        if log.is_complete:
            await asyncio.to_thread(log.finish, self._keeper.of(number))
            del self._logs[number]
            self._waiting_since.pop(number, None)
            self._looked_at.pop(number, None)
            self._emit(ShardDone(number, log.attempt))

    async def _write_next(self, log: ShardLog) -> None:
        number, now = log.shard.number, _now()
        taken = log.take()
        assert taken is not None
        looked_s = now - self._looked_at.setdefault(number, self._waiting_since[number])
        self._waiting_since[number] = now
        if look := looked_s >= self._cadence.look_every_s:
            self._looked_at[number] = now
        part = await asyncio.to_thread(self._write_part, log, taken, look)
        self._unwritten_bytes -= taken.size
        self._emit(PartWritten(number, log.attempt, part, taken.tally))

    def _write_part(self, log: ShardLog, taken: Unwritten, look: bool) -> int:
        """Runs in a thread."""
        self._before_part()
        return log.write_part(taken, look=look)


def _has_all(log: ShardLog) -> bool:
    """Every item of the shard has its record."""
    return log.is_handed_out and log.outstanding == 0


def _now() -> float:
    return asyncio.get_running_loop().time()
