"""Writes items as JSON lines into the working store, where shards cannot read them as they are."""

from collections.abc import Iterable, Iterator
from itertools import accumulate

import orjson

from llmbatch_worker.planning.batches import Batch
from llmbatch_worker.stores.protocol import Write

_WRITTEN_BYTES = 256 << 10


class Copy:
    """The working object with the items. Numbered: its lines are pairs of the item's number and the item."""

    def __init__(self, write: Write, *, numbered: bool) -> None:
        self._write, self._numbered = write, numbered
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self.size = 0

    def flush(self) -> None:
        """Write what waits; to be called at the end."""
        self._write(b"".join(self._waiting))
        self._waiting, self._waiting_bytes = [], 0

    def of(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same items as they pass, with offsets in the copy."""
        return map(self._copied, batches)

    def _copied(self, batch: Batch) -> Batch:
        rows = batch.rows
        texts = list(map(orjson.dumps, rows.items)) if rows.texts is None else rows.texts
        if self._numbered:
            texts = [b"[%d,%b]" % pair for pair in zip(batch.numbers, texts, strict=True)]
        self._add(b"\n".join((*texts, b"")))
        offsets = list(accumulate((len(text) + 1 for text in texts), initial=self.size))
        self.size = offsets[-1]
        return batch._replace(object=0, rows=rows._replace(starts=offsets[:-1], ends=offsets[1:], texts=None))

    def _add(self, data: bytes) -> None:
        """Of many small objects, each batch is small, and a call takes longer than its bytes."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= _WRITTEN_BYTES:
            self.flush()
