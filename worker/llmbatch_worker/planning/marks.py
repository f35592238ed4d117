"""Where shards may be cut: offsets of every n-th item, in bounded memory, cut into shards at the end. Pure."""

from array import array
from collections.abc import Callable

from llmbatch_contract.plan import Shard

_MOST_MARKS = 1 << 16
_MOST_SHARDS = 10_000
DEFAULT_SHARD_ITEMS = 1000
_SHARDS_PER_WORKER = 4
_LEAST_POD_ITEMS = 100

ShardSize = Callable[[int | None, int, int], int]
"""Items a shard, from what the manifest asks for, the items and the workers."""


class Marks:
    """Offsets of items number 0, step, 2 * step, …; the step doubles when there are too many."""

    def __init__(self, step: int = 1) -> None:
        """With a `step` above 1, shards can be cut at its multiples only."""
        self._step = step
        self._offsets = array("Q")
        self.items = 0

    def add(self, start: int) -> None:
        """Note the next item, by the offset of its first byte."""
        if self.items % self._step == 0:
            if len(self._offsets) == _MOST_MARKS:
                self._thin_out()
            if self.items % self._step == 0:
                self._offsets.append(start)
        self.items += 1

    def _thin_out(self) -> None:
        self._offsets = self._offsets[::2]
        self._step *= 2

    def shards(self, size: int, end: int) -> list[Shard]:
        """Shards of about `size` items: a multiple of the step, and no more shards than a batch can have.

        `end` is the offset after the last item.
        """
        per_shard = max(1, round(size / self._step)) * self._step
        while -(-self.items // per_shard) > _MOST_SHARDS:
            per_shard += self._step
        marks = per_shard // self._step
        starts = [*self._offsets[::marks], end]
        return [
            Shard(n, n * per_shard, min(per_shard, self.items - n * per_shard), starts[n], starts[n + 1])
            for n in range(len(starts) - 1)
        ]


def shard_size(asked: int | None, items: int, workers: int) -> int:
    """Items a shard: as asked, else so that every worker gets several, up to DEFAULT_SHARD_ITEMS."""
    if asked is not None:
        return asked
    return max(1, min(DEFAULT_SHARD_ITEMS, -(-items // (workers * _SHARDS_PER_WORKER))))


def pod_shard_size(asked: int | None, items: int, pods: int) -> int:
    """Items a shard where each shard starts a pod: one for every pod at once, but none that is not worth the start."""
    if asked is not None:
        return asked
    return max(_LEAST_POD_ITEMS, min(DEFAULT_SHARD_ITEMS, -(-items // pods)))
