"""The canary: which items are asked before all others, and what they have shown. Pure.

They are the first of some shards, which the pod leaves unfinished, as one does that is interrupted: the pods of these
shards go on after them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llmbatch_contract.latency import percentile_ms
from llmbatch_contract.plan import Shard
from llmbatch_contract.pods import CanaryCounts
from llmbatch_contract.progress import ShardProgress, Totals
from llmbatch_worker.events import Event, ItemDone

_MOST_SHARDS = 20
"""Each takes some calls to the store, whatever is asked of it."""


def first_items(shards: Sequence[Shard], most: int) -> dict[int, int]:
    """How many items to ask of which shard: `most` in all, or all there are, spread evenly over the input."""
    wanted = min(most, sum(shard.items for shard in shards))
    spread = min(len(shards), wanted, _MOST_SHARDS)
    chosen = [shards[(2 * n + 1) * len(shards) // (2 * spread)] for n in range(spread)]
    taken = _shared_out(chosen, wanted)
    for shard in shards:  # those that were chosen are too small
        if (left := wanted - sum(taken.values())) <= 0:
            break
        taken.setdefault(shard.number, min(left, shard.items))
    return {number: items for number, items in sorted(taken.items()) if items}


def _shared_out(chosen: Iterable[Shard], wanted: int) -> dict[int, int]:
    """The same of each, as far as it has so many."""
    by_size = sorted(chosen, key=lambda shard: shard.items)
    taken: dict[int, int] = {}
    for n, shard in enumerate(by_size):
        taken[shard.number] = min(shard.items, wanted // (len(by_size) - n))
        wanted -= taken[shard.number]
    return taken


@dataclass
class Stopwatch:
    """An event listener: how fast this pod gets answers."""

    items: int = 0
    _start: float = float("inf")
    _end: float = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, ItemDone) and (attempt := event.work.attempt) is not None:
            self.items += 1
            self._start = min(self._start, event.work.first_attempt_at or attempt.started)
            self._end = max(self._end, attempt.started + attempt.latency_s)

    @property
    def per_minute(self) -> float | None:
        """None until there is something to measure."""
        return 60 * self.items / (self._end - self._start) if self._end > self._start else None


def canary_counts(shards: Iterable[ShardProgress], per_minute: float | None) -> CanaryCounts:
    """What these shards' first items have shown."""
    totals = Totals()
    for shard in shards:
        totals.add(shard)
    return CanaryCounts(
        succeeded=totals.succeeded,
        failed=totals.failed,
        attempts=totals.attempts,
        usage=totals.usage,
        latency_ms=percentile_ms(totals.latency, 0.5),
        items_per_minute=per_minute,
    )
