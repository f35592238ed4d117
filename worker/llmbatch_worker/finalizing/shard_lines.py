"""The records of one shard as lines, in the order of its items: in memory while there is room, else in a file.

Records come in any order and size, and a shard may have a million of them; what is kept in memory of those in the file
is some bytes an item.
"""

import os
import tempfile
import threading
from array import array
from collections.abc import Iterator
from typing import IO

from llmbatch_contract.errors import StoreFullError

_OVERHEAD_BYTES = 64
"""Of a line in memory, besides its text."""
_GIVE_BACK_BYTES = 1 << 20


class Room:
    """Bytes of memory that several shards share. Threads may use it at once."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take so many bytes, if they are there."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._left += size


class ShardLines:
    """The first line of each item counts; later ones add nothing."""

    def __init__(self, items: int, room: Room) -> None:
        self.size = 0
        """Bytes of all lines."""
        self.missing = items
        """Items without a line."""
        self._room = room
        self._held = 0
        self._lines: list[bytes | None] = [None] * items
        self._file: _LinesInFile | None = None

    def add(self, position: int, line: bytes) -> None:
        """Keep the line of an item. Raises StoreFullError."""
        if self._file is not None:
            if not self._file.has(position):
                self._count(line)
                self._file.add(position, line)
        elif self._lines[position] is None:
            self._count(line)
            self._keep(position, line)

    def _count(self, line: bytes) -> None:
        self.missing -= 1
        self.size += len(line)

    def _keep(self, position: int, line: bytes) -> None:
        size = len(line) + _OVERHEAD_BYTES
        if self._room.take(size):
            self._held += size
            self._lines[position] = line
            return
        self._file = file = _LinesInFile(len(self._lines))
        for earlier, kept in enumerate(self._lines):
            if kept is not None:
                file.add(earlier, kept)
        self._lines = []
        self._give_back()
        file.add(position, line)

    def _give_back(self) -> None:
        self._room.give(self._held)
        self._held = 0

    def in_order(self) -> Iterator[bytes | None]:
        """Each item's line, None where there is none. Only once: they are given away."""
        try:
            yield from self._file.lines() if self._file is not None else self._given_away()
        finally:
            self.close()

    def _given_away(self) -> Iterator[bytes | None]:
        given = 0
        for position, line in enumerate(self._lines):
            self._lines[position] = None
            if line is not None:
                given += len(line) + _OVERHEAD_BYTES
            yield line
            if given >= _GIVE_BACK_BYTES:
                self._room.give(given)
                self._held -= given
                given = 0

    def close(self) -> None:
        """Give back memory and file."""
        self._lines = []
        self._give_back()
        if self._file is not None:
            self._file.close()


class _LinesInFile:
    """Lines in a temporary file, and where each begins and ends."""

    def __init__(self, items: int) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(buffering=1 << 20)  # noqa: SIM115
        self._offsets = array("Q", bytes(8 * items))
        self._lengths = array("Q", bytes(8 * items))
        self._size = 0

    def has(self, position: int) -> bool:
        return self._lengths[position] > 0

    def add(self, position: int, line: bytes) -> None:
        self._offsets[position], self._lengths[position] = self._size, len(line)
        self._size += len(line)
        try:
            self._file.write(line)
        except OSError as error:
            raise _no_room(error) from error

    def lines(self) -> Iterator[bytes | None]:
        try:
            self._file.flush()
        except OSError as error:
            raise _no_room(error) from error
        number = self._file.fileno()
        for offset, length in zip(self._offsets, self._lengths, strict=True):
            yield os.pread(number, length, offset) if length else None

    def close(self) -> None:
        self._file.close()


def _no_room(error: OSError) -> StoreFullError:
    return StoreFullError(
        f"cannot sort the records of a large shard in {tempfile.gettempdir()}: {error.strerror}; free some room there"
    )
