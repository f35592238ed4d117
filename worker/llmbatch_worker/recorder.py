"""Writes records down as parts, every few seconds or when there are many, and ends shards that are complete."""

import asyncio
from collections.abc import Callable

from llmbatch_contract.records import Record
from llmbatch_worker.events import Emit, ItemDone, PartWritten, ShardDone
from llmbatch_worker.progress_keeper import ProgressKeeper
from llmbatch_worker.shardlog import ShardLog, Unwritten
from llmbatch_worker.waiting import wait_for_event
from llmbatch_worker.work import Work

WRITE_EVERY_S = 2.0
WRITE_AT_BYTES = 4 << 20


class Recorder:
    """Records of all shards at work."""

    def __init__(
        self,
        logs: dict[int, ShardLog],
        keeper: ProgressKeeper,
        emit: Emit,
        before_part: Callable[[], None] = lambda: None,
    ) -> None:
        """`before_part` is called in a thread before records are written down; it must not raise."""
        self._logs, self._keeper, self._emit = logs, keeper, emit
        self._before_part = before_part
        self._soon = asyncio.Event()
        self._is_closing = False

    def add(self, work: Work, record: Record) -> None:
        """Take a record of an item that is done."""
        log = self._logs[work.shard]
        log.add(record)
        self._emit(ItemDone(work.shard, record, work))
        if log.buffered_bytes >= WRITE_AT_BYTES or (log.is_handed_out and log.outstanding == 0):
            self._soon.set()

    async def run(self) -> None:
        """Write until closed, all that waits then included. Raises StoreError and ClaimLostError.

        Not to be cancelled: what is being written would be neither here nor there.
        """
        is_last_round = False
        while not is_last_round:
            if not self._is_closing:
                await wait_for_event(self._soon, WRITE_EVERY_S)
            self._soon.clear()
            is_last_round = self._is_closing
            for log in list(self._logs.values()):
                await self._write(log)

    def write_soon(self) -> None:
        """Write what there is without waiting for the next time."""
        self._soon.set()

    def close(self) -> None:
        """Let `run` write what waits, and end."""
        self._is_closing = True
        self._soon.set()

    async def _write(self, log: ShardLog) -> None:
        number = log.shard.number
        if (taken := log.take()) is not None:
            part = await asyncio.to_thread(self._write_part, log, taken)
            self._emit(PartWritten(number, log.attempt, part, taken.tally))
        if log.is_complete:
            await asyncio.to_thread(log.finish, self._keeper.of(number))
            del self._logs[number]
            self._emit(ShardDone(number, log.attempt))

    def _write_part(self, log: ShardLog, taken: Unwritten) -> int:
        """Runs in a thread."""
        self._before_part()
        return log.write_part(taken)
