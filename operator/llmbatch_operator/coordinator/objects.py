"""The built-in store: objects of batches on the operator's volume. Called by the server and by the operator.

Disk work runs in threads of its own, in blocks, so that a slow volume holds up neither reports nor the event loop.
What is written is on the disk before the caller hears of it, and counts against the limits before it is written.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from llmbatch_contract.errors import BatchGoneError, StoreError
from llmbatch_operator.coordinator.disk import Disk, Incoming, OpenFile
from llmbatch_operator.coordinator.finished import FinishedShards
from llmbatch_operator.coordinator.ledger import Ledger, Limits, Reservation
from llmbatch_operator.coordinator.names import Area, ObjectExistsError, ObjectKey, is_uid

BLOCK_BYTES = 1 << 18
_THREADS = 16

T = TypeVar("T")


class StoredObject:
    """An object that is being read."""

    def __init__(self, file: OpenFile, threads: ThreadPoolExecutor) -> None:
        self._file = file
        self._threads = threads
        self.size = file.size
        self.etag = file.etag

    async def read(self, start: int, end: int) -> bytes:
        """Bytes of one block or less."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._file.read, start, end)

    def close(self) -> None:
        """Always call it."""
        self._file.close()


class Objects:
    """All objects. Made by `open`."""

    def __init__(self, disk: Disk, ledger: Ledger) -> None:
        self._disk = disk
        self._ledger = ledger
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")

    @classmethod
    async def open(cls, folder: Path, limits: Limits) -> Self:
        """The store in this folder, made if it is not there. Raises StoreError."""
        objects = cls(Disk(folder), Ledger(limits))
        await objects._do(objects._disk.prepare)
        for uid in await objects.batches():
            objects._ledger.set_stored(uid, await objects._do(objects._disk.sizes, uid))
        return objects

    def close(self) -> None:
        """Wait for no one."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def batches(self) -> list[str]:
        """Uids of batches that have objects."""
        return [uid for uid in await self._do(self._disk.batches) if is_uid(uid)]

    def usage(self) -> dict[str, int]:
        """Bytes by batch, those on their way included."""
        return self._ledger.usage()

    @property
    def used(self) -> int:
        """Bytes of all batches, those on their way included."""
        return self._ledger.total

    async def remove_batch(self, uid: str) -> None:
        """Remove all that a batch has; what it writes right now will not be kept. Removing twice is fine."""
        self._ledger.forget(uid)
        await self._do(self._disk.remove, uid)
        self._ledger.forget(uid)

    async def remove_work(self, uid: str) -> None:
        """Remove the working objects of a batch that has ended."""
        await self._do(self._disk.remove, uid, Area.WORK)
        if uid in self._ledger.usage():
            self._ledger.set_stored(uid, await self._do(self._disk.sizes, uid))

    async def names(self, folder: ObjectKey) -> list[str]:
        """Names of the objects in a folder and below, sorted; full names within the area."""
        return await self._do(self._disk.names, folder)

    async def read(self, key: ObjectKey) -> StoredObject:
        """Open an object. Raises StoreMissingError."""
        return StoredObject(await self._do(self._disk.open, key), self._threads)

    async def finished(self, uid: str, *, errors: bool) -> AsyncGenerator[bytes]:
        """Results, or dead letters, of a batch's finished shards, in blocks. Raises StoreMissingError before them."""
        blocks = (await self._do(partial(FinishedShards, self._disk, uid, errors=errors))).blocks()

        async def stream() -> AsyncGenerator[bytes]:
            while block := await self._do(next, blocks, b""):
                yield block

        return stream()

    async def write(self, key: ObjectKey, blocks: AsyncIterator[bytes], *, size: int | None, only_create: bool) -> None:
        """Write an object whole, or if `blocks` raises, not at all. Raises ObjectExistsError, StoreFullError."""
        await self._refuse_early(key, size, only_create=only_create)
        reservation = self._ledger.reserve(key.batch_uid, key.area, size or 0)
        incoming = self._disk.incoming()
        try:
            written = await self._receive(blocks, incoming, reservation)
            replaced = await self._do(partial(self._disk.publish, incoming, key, only_create=only_create))
        except BaseException as error:
            reservation.release()
            self._threads.submit(incoming.discard)
            if reservation.batch.is_removed and isinstance(error, StoreError):
                raise _gone() from error
            raise
        reservation.settle(written, replaced)
        await self._undo_if_removed(key.batch_uid, reservation)

    async def _refuse_early(self, key: ObjectKey, size: int | None, *, only_create: bool) -> None:
        """Do not receive a large object in vain."""
        is_large = size is None or size > BLOCK_BYTES
        if only_create and is_large and await self._do(self._disk.exists, key):
            raise ObjectExistsError(f"{key} is there already")

    async def _receive(self, blocks: AsyncIterator[bytes], incoming: Incoming, reservation: Reservation) -> int:
        """Write what comes; the last block is left to the thread that publishes. How much it was."""
        size = 0
        waiting = bytearray()
        async for block in blocks:
            size += len(block)
            reservation.grow_to(size)
            waiting += block
            if len(waiting) >= BLOCK_BYTES:
                await self._do(incoming.write, waiting)
                waiting = bytearray()
        incoming.last = waiting
        return size

    async def _undo_if_removed(self, uid: str, reservation: Reservation) -> None:
        if reservation.batch.is_removed:
            await self._do(self._disk.remove, uid)
            raise _gone()

    async def _do(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments))


def _gone() -> BatchGoneError:
    return BatchGoneError("the batch was deleted while one of its objects was written")
