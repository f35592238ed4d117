"""The built-in store of one batch, as the simulated pods see it: the plan, what is written of shards, the outputs."""

from collections import Counter
from dataclasses import dataclass, field

from llmbatch_contract.categories import Category
from llmbatch_contract.pods import CanaryCounts, ErrorCount, FinalCounts
from llmbatch_contract.progress import ShardProgress
from llmbatch_contract.reports import PlanFacts, StopReason
from llmbatch_contract.usage import Usage

_CATEGORIES = (Category.TIMEOUT, Category.CONTENT_FILTER, Category.REFUSAL, Category.TRUNCATED)


@dataclass
class ShardRecords:
    """What is written down of one shard. It only grows."""

    items: int
    succeeded: int = 0
    failed: int = 0
    attempts: int = 0

    @property
    def left(self) -> int:
        """Items without a record."""
        return self.items - self.succeeded - self.failed

    @property
    def errors(self) -> dict[Category, int]:
        """Failed items by category: one after the other has its turn."""
        counts = {c: len(range(n, self.failed, len(_CATEGORIES))) for n, c in enumerate(_CATEGORIES)}
        return {category: count for category, count in counts.items() if count}

    def progress(self, shard: int, attempt: int) -> ShardProgress:
        """As a pod reports it."""
        return ShardProgress(
            shard=shard,
            attempt=attempt,
            items=self.items,
            succeeded=self.succeeded,
            failed=self.failed,
            attempts=self.succeeded + self.failed,
            usage=Usage(self.succeeded, self.succeeded),
            errors=self.errors,
        )


@dataclass
class WorldStore:
    """What outlives every pod."""

    sizes: tuple[int, ...]
    """Items of each shard, once it is planned."""
    plan: PlanFacts | None = None
    shards: list[ShardRecords] = field(default_factory=list)
    summary: FinalCounts | None = None
    has_work: bool = False
    """There are working objects, as far as pods are to remove them."""

    def make_plan(self) -> PlanFacts:
        """Plan, or read the plan."""
        if self.plan is None:
            self.has_work = True
            self.plan = PlanFacts(items=sum(self.sizes), shards=len(self.sizes))
            self.shards = [ShardRecords(items) for items in self.sizes]
        return self.plan

    @property
    def succeeded(self) -> int:
        """Items that are answered."""
        return sum(shard.succeeded for shard in self.shards)

    @property
    def failed(self) -> int:
        """Items that are given up."""
        return sum(shard.failed for shard in self.shards)

    @property
    def canary(self) -> CanaryCounts:
        """What its pod says, if nobody else has asked anything yet."""
        answered = self.succeeded + self.failed
        usage = Usage(self.succeeded, self.succeeded)
        return CanaryCounts(
            succeeded=self.succeeded, failed=self.failed, attempts=answered, usage=usage, items_per_minute=60
        )

    def finalize(self, stop: StopReason | None) -> FinalCounts | None:
        """Write the outputs, or find them written; None if items lack a record and nothing says why."""
        if self.summary is not None:
            return self.summary
        plan = self.make_plan()
        left = plan.items - self.succeeded - self.failed
        if left and stop is None:
            return None
        self.has_work = False
        self.summary = FinalCounts(
            items=plan.items,
            succeeded=self.succeeded,
            failed=self.failed,
            cancelled=left,
            attempts=self.succeeded + self.failed,
            retries=0,
            resent=0,
            usage=Usage(self.succeeded, self.succeeded),
            latency_ms={"p50": None, "p95": None, "p99": None},
            errors=self._errors(left),
            output_bytes=0,
            results_name="results.jsonl",
        )
        return self.summary

    def _errors(self, left: int) -> list[ErrorCount]:
        counts = Counter({Category.CANCELLED: left})
        for shard in self.shards:
            counts.update(shard.errors)
        return [ErrorCount(category=category, count=count) for category, count in counts.most_common() if count]
