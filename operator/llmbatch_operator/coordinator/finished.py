"""The records of a batch's finished shards, read from the volume: a stream as `llmbatch_contract.partial` says.

Blocking: `objects` calls it in threads. It holds one part in memory, and some bytes an item of one shard.
"""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing

from llmbatch_contract import layout
from llmbatch_contract.errors import StoreMissingError
from llmbatch_contract.partial import Outline, OutlinedShard, PartialCounts, RecordPlaces, parts_of_done
from llmbatch_operator.coordinator.disk import Disk, OpenFile
from llmbatch_operator.coordinator.names import Area, ObjectKey, object_key

_BLOCK_BYTES = 1 << 18


class FinishedShards:
    """What one reader gets."""

    def __init__(self, disk: Disk, batch_uid: str, *, errors: bool) -> None:
        """Results, or dead letters. Raises StoreMissingError where there is no plan: not yet, or no longer."""
        self._disk, self._uid, self._errors = disk, batch_uid, errors
        self._outline = Outline.of_plan(self._whole(layout.PLAN))

    def blocks(self) -> Iterator[bytes]:
        """All of it. Raises StoreError, also when the batch ends and its working objects go; InvariantError."""
        shards = items = records = 0
        block = bytearray()
        for shard in self._outline.shards:
            if (parts := self._parts(shard)) is None:
                continue
            shards, items = shards + 1, items + shard.items
            for line in self._records(shard, parts):
                records += 1
                block += line
                if len(block) >= _BLOCK_BYTES:
                    yield bytes(block)
                    block.clear()
        if not self._disk.exists(self._key(layout.PLAN)):
            raise StoreMissingError("the working objects were removed meanwhile: the batch is finished")
        counts = PartialCounts(shards, len(self._outline.shards), items, self._outline.items, records)
        yield bytes(block) + counts.line()

    def _parts(self, shard: OutlinedShard) -> list[ObjectKey] | None:
        """The parts that count; None while nobody has finished the shard."""
        try:
            named = parts_of_done(self._whole(layout.done(shard.number)))
        except StoreMissingError:
            return None
        return [self._key(layout.part(shard.number, *name)) for name in named]

    def _records(self, shard: OutlinedShard, parts: list[ObjectKey]) -> Iterator[bytes]:
        places, ends = RecordPlaces(shard, errors=self._errors), [0]
        for key in parts:
            with closing(self._disk.open(key)) as part:
                places.add(part.read(0, part.size))
                ends.append(ends[-1] + part.size)
        with _EndToEnd(self._disk, parts, ends) as laid_out:
            for offset, length in places.in_order():
                yield laid_out.read(offset, length)

    def _whole(self, name: str) -> bytes:
        with closing(self._disk.open(self._key(name))) as opened:
            return opened.read(0, opened.size)

    def _key(self, name: str) -> ObjectKey:
        return object_key(self._uid, Area.WORK, name)


class _EndToEnd:
    """Parts as one sequence of bytes. One is open at a time: a reader goes through them nearly in order."""

    def __init__(self, disk: Disk, parts: list[ObjectKey], ends: list[int]) -> None:
        """`ends`: 0, then where each part ends."""
        self._disk, self._parts, self._ends = disk, parts, ends
        self._number = -1
        self._file: OpenFile | None = None

    def __enter__(self) -> "_EndToEnd":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of one part."""
        number = bisect_right(self._ends, offset) - 1
        start = offset - self._ends[number]
        return self._opened(number).read(start, start + length)

    def _opened(self, number: int) -> OpenFile:
        if self._file is None or self._number != number:
            self._close()
            self._number, self._file = number, self._disk.open(self._parts[number])
        return self._file

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
