"""How long after a worker told of a count the status showed it; and whether it ever did. Pure: time is an argument.

Counts only grow, so what a worker told is shown once the status of its batch has reached what all its workers had told
by then.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass
class _Batch:
    told: dict[int, int] = field(default_factory=dict)
    """Items done, by shard."""
    told_in_all: int = 0
    waiting: deque[tuple[int, float]] = field(default_factory=deque)
    """What was told in all, and when: until the status shows it."""
    shown: int = 0


@dataclass
class Seen:
    """What has come within a stretch of time."""

    ages_s: list[float] = field(default_factory=list)
    """From each report to the status that showed it, in the order of the statuses."""
    statuses: int = 0
    reports: int = 0


@dataclass
class Freshness:
    """Of all batches, by uid."""

    seen: Seen = field(default_factory=Seen)
    """Put another one here to begin a stretch of time."""
    _batches: dict[str, _Batch] = field(default_factory=dict)

    def told(self, uid: str, shard: int, done: int, sent_at: float) -> None:
        """A report, sent at that time, was answered."""
        batch = self._batches.setdefault(uid, _Batch())
        batch.told_in_all += done - batch.told.get(shard, 0)
        batch.told[shard] = done
        self.seen.reports += 1
        if batch.told_in_all > batch.shown:
            batch.waiting.append((batch.told_in_all, sent_at))

    def shown(self, uid: str, done: int, at: float) -> None:
        """A status of a batch has come."""
        batch = self._batches.setdefault(uid, _Batch())
        batch.shown = done
        self.seen.statuses += 1
        while batch.waiting and batch.waiting[0][0] <= done:
            self.seen.ages_s.append(at - batch.waiting.popleft()[1])

    @property
    def workers(self) -> int:
        """How many have told anything."""
        return sum(len(batch.told) for batch in self._batches.values())

    @property
    def batches_shown(self) -> int:
        """How many have a status that shows something done."""
        return sum(batch.shown > 0 for batch in self._batches.values())

    @property
    def wrong(self) -> list[str]:
        """Batches whose status does not say what their workers have told."""
        return [uid for uid, batch in self._batches.items() if batch.shown != batch.told_in_all]
