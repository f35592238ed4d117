"""An object of a store as the file that pyarrow asks for: it seeks and reads, and knows what is to be read ahead.

Ranges that were loaded are served from memory. Outside of them, bytes come in pieces: each stream (a column of a large
row group) keeps one, so that memory stays bounded however large the group is.
"""

import bisect
import io
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from llmbatch_contract.errors import InputChangedError
from llmbatch_worker.stores.protocol import ObjectInfo, Readable

_GAP_BYTES = 64 << 10
"""What lies between two ranges is read with them, if it is no more than this: that is quicker than to ask twice."""


class Range(NamedTuple):
    """Bytes of an object."""

    start: int
    end: int


class _Piece(NamedTuple):
    start: int
    data: bytes

    def has(self, start: int, end: int) -> bool:
        return self.start <= start and end <= self.start + len(self.data)

    def part(self, start: int, end: int) -> bytes:
        return self.data[start - self.start : end - self.start]


class ObjectFile(io.RawIOBase):
    """One object, opened to be read. Raises what the store raises, InputChangedError among them."""

    def __init__(self, source: Readable, name: str, info: ObjectInfo) -> None:
        super().__init__()
        self._source, self._name, self._info = source, name, info
        self.size = info.size
        self._at = 0
        self._loaded: list[_Piece] = []
        self._streams: list[Range] = []
        self._stream_bytes = 0
        self._pieces: dict[Range, _Piece] = {}

    def load(self, ranges: Iterable[Range]) -> None:
        """Hold these ranges in memory, and nothing else: what stands close together is one request."""
        self._forget()
        self._loaded = [_Piece(each.start, self._fetch(*each)) for each in _joined(ranges)]

    def stream(self, ranges: Iterable[Range], piece_bytes: int) -> None:
        """Expect each of these ranges to be read from its start to its end, while the others are; hold a piece of each.

        A piece has at least `piece_bytes`.
        """
        self._forget()
        self._streams, self._stream_bytes = sorted(ranges), piece_bytes

    def _forget(self) -> None:
        self._loaded, self._streams, self._pieces = [], [], {}

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Where the next read shall begin."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """Bytes from where the file stands; fewer only at its end."""
        start = self._at
        end = self.size if size < 0 else min(start + size, self.size)
        data = self._bytes(start, end) if start < end else b""
        self._at = start + len(data)
        return data

    def _bytes(self, start: int, end: int) -> bytes:
        for piece in self._loaded:
            if piece.has(start, end):
                return piece.part(start, end)
        stream = self._stream_of(start, end)
        if stream is None:
            return self._fetch(start, end)
        held = self._pieces.pop(stream, None)
        if held is None or not held.has(start, end):
            held = self._next_piece(stream, held, start, end)
        if end < held.start + len(held.data):
            self._pieces[stream] = held
        return held.part(start, end)

    def _next_piece(self, stream: Range, held: _Piece | None, start: int, end: int) -> _Piece:
        """What is held of it already is not asked for again."""
        rest = held.data[start - held.start :] if held is not None and start >= held.start else b""
        wanted = min(max(end, start + len(rest) + self._stream_bytes), stream.end)
        return _Piece(start, rest + self._fetch(start + len(rest), wanted))

    def _stream_of(self, start: int, end: int) -> Range | None:
        at = bisect.bisect_right(self._streams, (start, self.size)) - 1
        found = self._streams[at] if at >= 0 else None
        return found if found is not None and start < found.end and end <= found.end else None

    def _fetch(self, start: int, end: int) -> bytes:
        data = b"".join(self._source.blocks(self._name, start, end, self._info.etag))
        if len(data) != end - start:
            where = self._source.where(self._name)
            raise InputChangedError(f"{where}: {len(data)} bytes came where {end - start} stood; has it changed?")
        return data


def _joined(ranges: Iterable[Range]) -> Iterator[Range]:
    """Ranges in order, those that stand close together as one."""
    whole: Range | None = None
    for each in sorted(ranges):
        if whole is not None and each.start <= whole.end + _GAP_BYTES:
            whole = Range(whole.start, max(whole.end, each.end))
        else:
            if whole is not None:
                yield whole
            whole = each
    if whole is not None:
        yield whole
