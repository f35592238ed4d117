"""Where shards may be cut: positions of every n-th item, in bounded memory, cut into shards at the end. Pure."""

from array import array
from collections.abc import Callable, Sequence

from llmbatch_contract.plan import Shard

_MOST_MARKS = 1 << 16
_AT_A_TIME = 1 << 12
MOST_SHARDS = 10_000
DEFAULT_SHARD_ITEMS = 1000
_SHARDS_PER_WORKER = 4
_LEAST_POD_ITEMS = 100

ShardSize = Callable[[int | None, int, int], int]
"""Items a shard, from what the manifest asks for, the items and the workers."""


class Marks:
    """Positions of items number 0, step, 2 * step, …; the step doubles when there are too many."""

    def __init__(self, step: int = 1) -> None:
        """With a `step` above 1, shards can be cut at its multiples only."""
        self._step = step
        self._objects = array("L")
        self._offsets = array("Q")
        self.items = 0

    def add(self, number: int, starts: Sequence[int]) -> None:
        """Note the next items, by the offsets of their first bytes in the object with this number."""
        for at in range(0, len(starts), _AT_A_TIME):
            self._add(number, starts[at : at + _AT_A_TIME])

    def _add(self, number: int, starts: Sequence[int]) -> None:
        while len(self._offsets) + len(starts) // self._step + 1 > _MOST_MARKS:
            self._thin_out()
        marked = starts[-self.items % self._step :: self._step]
        self._offsets.extend(marked)
        self._objects.extend([number] * len(marked))
        self.items += len(starts)

    def _thin_out(self) -> None:
        self._offsets, self._objects = self._offsets[::2], self._objects[::2]
        self._step *= 2

    def shards(self, size: int, bounds: Sequence[tuple[int, int]]) -> list[Shard]:
        """Shards of about `size` items: a multiple of the step, and no more shards than a batch can have.

        `bounds` are, of each object, the offset of its first item and the one after its last.
        """
        per_shard = max(1, round(size / self._step)) * self._step
        while -(-self.items // per_shard) > MOST_SHARDS:
            per_shard += self._step
        marks = per_shard // self._step
        starts = list(zip(self._objects[::marks], self._offsets[::marks], strict=True))
        ends = [*(_end_before(start, bounds) for start in starts[1:]), _end_before((len(bounds), 0), bounds)]
        return [
            Shard(
                number=n,
                first_item=n * per_shard,
                items=min(per_shard, self.items - n * per_shard),
                start=start,
                end=end,
                first_object=first_object,
                last_object=last_object,
            )
            for n, ((first_object, start), (last_object, end)) in enumerate(zip(starts, ends, strict=False))
        ]


def _end_before(start: tuple[int, int], bounds: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Where the items before a position end: there, or in an earlier object that holds any."""
    number, offset = start
    if number < len(bounds) and offset > bounds[number][0]:
        return start
    earlier = next((n for n in reversed(range(number)) if bounds[n][1] > bounds[n][0]), 0)
    return earlier, bounds[earlier][1]


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
