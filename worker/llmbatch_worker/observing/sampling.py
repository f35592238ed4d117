"""Which items get spans: some spread over the whole batch, and the slowest of each attempt at a shard. Pure.

All workers choose alike without a word to each other. Failed items are kept anyway.
"""

import heapq
import itertools
import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

_MOST_SLOW = 20
_SLOW_SHARE = 10
"""One slow item for so many sampled ones."""

Thing = TypeVar("Thing")


class KeptFor(StrEnum):
    """Why an item has a span; the first that is true."""

    FAILED = "failed"
    SAMPLED = "sampled"
    SLOW = "slow"


def is_sampled(index: int, items: int, budget: int) -> bool:
    """Whether an item of a batch of `items` is one of the `budget` that are spread evenly over it."""
    return index * budget % items < budget


def slow_per_shard(budget: int, shards: int) -> int:
    """How many of the slowest items an attempt at a shard keeps."""
    return max(1, min(_MOST_SLOW, round(budget / _SLOW_SHARE / max(shards, 1))))


@dataclass
class Slowest(Generic[Thing]):
    """The few that took longest, of all that were offered."""

    most: int
    _quickest_s: float = -math.inf
    """Of those that are kept, once there are as many as may be."""
    _heap: list[tuple[float, int, Thing]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=lambda: itertools.count(0, -1))

    def wants(self, took_s: float) -> bool:
        """Whether something that took so long is one of the slowest so far; of equals, the first are."""
        return took_s > self._quickest_s

    def keep(self, took_s: float, thing: Thing) -> None:
        """Keep what is wanted, in place of the quickest if there are too many."""
        push = heapq.heappush if len(self._heap) < self.most else heapq.heapreplace
        push(self._heap, (took_s, next(self._order), thing))
        if len(self._heap) == self.most:
            self._quickest_s = self._heap[0][0]

    def take(self) -> list[Thing]:
        """All that are kept, the slowest first."""
        kept = sorted(self._heap, reverse=True)
        self._heap.clear()
        self._quickest_s = -math.inf
        return [thing for _, _, thing in kept]
