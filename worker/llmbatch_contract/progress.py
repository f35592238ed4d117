"""Counts of a shard and of a batch. Pure: merged from reports and from the store, in any order, repeatedly.

A count says what is written down, so it never goes backwards: not when a worker dies, nor when another goes on.
"""

from dataclasses import dataclass, field

from pydantic import Field

from llmbatch_contract.categories import NEVER_ASKED, Category
from llmbatch_contract.latency import Latencies, merge_latencies
from llmbatch_contract.model import Model
from llmbatch_contract.usage import Usage


class Sample(Model):
    """One failed item of a category, to show what it is about."""

    item_id: str
    message: str


class ShardProgress(Model):
    """What is written down of one shard; absolute, earlier attempts included."""

    shard: int
    attempt: int
    items: int
    succeeded: int = 0
    failed: int = 0
    attempts: int = 0
    """Requests about the items that have a record, failed ones included."""
    retries: int = 0
    """Attempts beyond the first, over all items."""
    resent: int = 0
    """Items that an earlier attempt may have sent and that were sent again."""
    usage: Usage = Usage()
    latency: Latencies = Field(default_factory=dict)
    errors: dict[Category, int] = Field(default_factory=dict)
    samples: dict[Category, Sample] = Field(default_factory=dict)
    unwritten_succeeded: int = 0
    """Answered, but not yet written down: for decisions that cannot wait, not for showing."""
    unwritten_errors: dict[Category, int] = Field(default_factory=dict)

    @property
    def unwritten_failed(self) -> int:
        """Failed, but not yet written down."""
        return sum(self.unwritten_errors.values())

    @property
    def is_done(self) -> bool:
        """Every item has a record."""
        return self.succeeded + self.failed == self.items

    def supersedes(self, other: "ShardProgress") -> bool:
        """Whether this is the later word on the same shard."""
        return self._age() >= other._age()

    def _age(self) -> tuple[int, ...]:
        unwritten = self.unwritten_succeeded + self.unwritten_failed
        return (self.succeeded + self.failed, self.attempt, unwritten, self.retries, self.resent)


@dataclass
class Totals:
    """Sums over shards."""

    succeeded: int = 0
    failed: int = 0
    attempts: int = 0
    retries: int = 0
    resent: int = 0
    unwritten_succeeded: int = 0
    unwritten_errors: dict[Category, int] = field(default_factory=dict)
    usage: Usage = Usage()
    latency: Latencies = field(default_factory=dict)
    errors: dict[Category, int] = field(default_factory=dict)
    samples: dict[Category, Sample] = field(default_factory=dict)

    @property
    def finished(self) -> int:
        """Items with a record."""
        return self.succeeded + self.failed

    @property
    def cancelled(self) -> int:
        """Items that failed only because the batch ended before they were answered."""
        return sum(self.errors.get(category, 0) for category in NEVER_ASKED)

    def add(self, part: "ShardProgress | Totals") -> None:
        """Add the counts of one shard, or of several."""
        self.succeeded += part.succeeded
        self.failed += part.failed
        self.attempts += part.attempts
        self.retries += part.retries
        self.resent += part.resent
        self.unwritten_succeeded += part.unwritten_succeeded
        self.usage += part.usage
        merge_latencies(self.latency, part.latency)
        _add_counts(self.errors, part.errors)
        _add_counts(self.unwritten_errors, part.unwritten_errors)
        for category, sample in part.samples.items():
            self.samples.setdefault(category, sample)

    @property
    def unwritten_failed(self) -> int:
        """Failed, but not yet written down."""
        return sum(self.unwritten_errors.values())

    def top_errors(self, most: int = 5) -> list[tuple[Category, int]]:
        """The commonest categories and their counts, unwritten ones included."""
        counts = dict(self.errors)
        _add_counts(counts, self.unwritten_errors)
        return sorted(counts.items(), key=lambda e: (-e[1], e[0]))[:most]


def _add_counts(sums: dict[Category, int], more: dict[Category, int]) -> None:
    for category, count in more.items():
        sums[category] = sums.get(category, 0) + count


class BatchProgress:
    """The latest word on every shard. Finished shards are folded into one sum, so that merging stays cheap."""

    def __init__(self, items: int, shards: int) -> None:
        self.items = items
        self.shards = shards
        self.answered = 0
        """Items that are answered or have failed, written down or not."""
        self.failed = 0
        """Those of them that have failed."""
        self._done_sum = Totals()
        self._done: set[int] = set()
        self._open: dict[int, ShardProgress] = {}

    def merge(self, shard: ShardProgress) -> None:
        """Take in what a worker or the store says of a shard; old and repeated words change nothing."""
        if shard.shard in self._done:
            return
        known = self._open.get(shard.shard)
        if known is not None and not shard.supersedes(known):
            return
        if known is not None:
            self._count(known, -1)
        self._count(shard, 1)
        if shard.is_done:
            self._open.pop(shard.shard, None)
            self._done.add(shard.shard)
            self._done_sum.add(shard)
        else:
            self._open[shard.shard] = shard

    def _count(self, shard: ShardProgress, sign: int) -> None:
        failed = shard.failed + shard.unwritten_failed
        self.failed += sign * failed
        self.answered += sign * (failed + shard.succeeded + shard.unwritten_succeeded)

    @property
    def shards_done(self) -> int:
        """Shards in which every item has a record."""
        return len(self._done)

    def is_shard_done(self, shard: int) -> bool:
        """Whether every item of the shard has a record."""
        return shard in self._done

    def totals(self) -> Totals:
        """Sums over all shards, as a new value."""
        sums = Totals()
        sums.add(self._done_sum)
        for shard in self._open.values():
            sums.add(shard)
        return sums
