"""The coordinator's mind: a report in, a reply out. Pure but for the state it keeps; no I/O, no clock.

A local run calls it directly or through pipes; the operator will serve it over HTTPS.
"""

from dataclasses import dataclass, field

from llmbatch_contract.categories import Category
from llmbatch_contract.progress import BatchProgress, Totals
from llmbatch_contract.reports import Command, Reply, Report, Spent, StopReason
from llmbatch_contract.sharing import BudgetAccount, EndpointShares, Member
from llmbatch_contract.spec import Budget, FailurePolicy
from llmbatch_contract.usage import Pricing

_COUNT_EVERY_S = 1.0
_URGENT_S = 0.3


def failures_exceed_policy(policy: FailurePolicy, totals: Totals) -> StopReason | None:
    """The reason to stop when too large a share of the answered items has failed."""
    failed = totals.failed + totals.unwritten_failed
    answered = failed + totals.succeeded + totals.unwritten_succeeded
    if policy.max_failure_percent is None or not _are_too_many(failed, answered, policy):
        return None
    percent = 100 * failed / answered
    category, count = next(iter(totals.top_errors(1)), (Category.UNKNOWN, failed))
    sample = totals.samples.get(category)
    detail = f" (item {sample.item_id}: {sample.message})" if sample else ""
    message = (
        f"{failed} of {answered} answered items failed ({percent:.1f} %), more than maxFailurePercent "
        f"{policy.max_failure_percent:g} allows; mostly {category}, {count} times{detail}"
    )
    return StopReason(category=category, message=message)


def _are_too_many(failed: int, answered: int, policy: FailurePolicy) -> bool:
    most = policy.max_failure_percent
    return most is not None and answered >= policy.min_items and 100 * failed > most * answered


@dataclass
class _Worker:
    in_flight: int = 0
    waiting: dict[Category, int] = field(default_factory=dict)


class Coordinator:
    """Keeps the batch's counts and budget, hands on its shares of the endpoint, and says when to stop."""

    def __init__(
        self,
        policy: FailurePolicy,
        progress: BatchProgress,
        shares: EndpointShares,
        *,
        namespace: str = "",
        batch: str = "",
        weight: float = 100.0,
        budget: Budget | None = None,
        pricing: Pricing | None = None,
        report_every_s: float = 1.0,
        answered_before: int = 0,
        spent_before: Spent | None = None,
    ) -> None:
        """`batch` is its uid; `weight` holds among the batches of its namespace.

        `answered_before`, `spent_before`: what is known of the time before a restart. A share of failures counts once
        as many items are heard of again.
        """
        self.policy, self.progress, self.shares = policy, progress, shares
        self.namespace, self.batch, self.weight = namespace, batch, weight
        self.report_every_s = report_every_s
        self.answered_before = answered_before
        self.stop: StopReason | None = None
        self.paused = False
        self._account = BudgetAccount(budget, pricing, spent_before or Spent())
        self._counted_at = float("-inf")
        self._workers: dict[str, _Worker] = {}

    def reply(self, report: Report, now: float) -> Reply:
        """Take in a report, at `now` seconds of a monotonic clock, and say what its sender shall do."""
        for shard in report.shards:
            self.progress.merge(shard)
        self.stop = self.stop or report.stop or self._too_many_failures()
        self._count_written(now)
        share = self.shares.heard(Member(self.namespace, self.batch, report.worker, self.weight), report, now)
        allowance = self._account.heard(report)
        if report.leaving:
            self._workers.pop(report.worker, None)
            self._account.left(report.worker, has_said_all=True)
            return Reply(command=self._command())
        worker = self._workers.setdefault(report.worker, _Worker())
        worker.in_flight, worker.waiting = report.in_flight, report.waiting
        return Reply(
            command=self._command(),
            grant=share.grant.model_copy(update={"budget": allowance}),
            backoff_seconds=share.backoff_s,
            outage=share.outage,
            next_report_seconds=min(self.report_every_s, _URGENT_S) if share.is_urgent else self.report_every_s,
        )

    def lost(self, worker: str, now: float) -> None:
        """A worker has ended for certain: its share is free at once."""
        self._workers.pop(worker, None)
        self.shares.left(self.batch, worker, now)
        self._account.left(worker, has_said_all=False)

    def vanished(self, worker: str, now: float) -> None:
        """Nobody knows whether a worker still runs: its share is free when its lease is over."""
        self._workers.pop(worker, None)
        self.shares.vanished(self.batch, worker, now)
        self._account.left(worker, has_said_all=False)

    @property
    def budget(self) -> Budget | None:
        """May be changed at any time."""
        return self._account.budget

    @budget.setter
    def budget(self, budget: Budget | None) -> None:
        self._account.budget = budget

    @property
    def pricing(self) -> Pricing | None:
        """May be changed at any time; what is spent already stays."""
        return self._account.pricing

    @pricing.setter
    def pricing(self, pricing: Pricing | None) -> None:
        self._account.pricing = pricing

    @property
    def in_flight(self) -> int:
        """Requests in flight, by the workers' last reports."""
        return sum(w.in_flight for w in list(self._workers.values()))

    @property
    def workers(self) -> int:
        """Workers that report."""
        return len(self._workers)

    @property
    def waiting(self) -> dict[Category, int]:
        """Items that wait to be asked again, by the failure that they wait after."""
        counts: dict[Category, int] = {}
        for worker in list(self._workers.values()):
            for category, count in worker.waiting.items():
                counts[category] = counts.get(category, 0) + count
        return counts

    @property
    def spent(self) -> Spent:
        """By all workers, requests in flight included."""
        return self._account.spent

    @property
    def budget_is_spent(self) -> bool:
        """Nothing more can be asked until the budget is raised."""
        return self._account.is_spent

    @property
    def budget_holds_back(self) -> bool:
        """Something is left to ask that the budget does not allow."""
        return self._account.holds_back

    def _count_written(self, now: float) -> None:
        """Sums over all shards are dear: not with every report."""
        if self.budget is not None and not self._counted_at <= now < self._counted_at + _COUNT_EVERY_S:
            self._counted_at = now
            self._account.written(self.progress.totals().usage)

    def _too_many_failures(self) -> StopReason | None:
        """Sums over all shards are dear, and this is asked with every report: so only when they are needed."""
        if self.progress.answered < self.answered_before:
            return None
        if not _are_too_many(self.progress.failed, self.progress.answered, self.policy):
            return None
        return failures_exceed_policy(self.policy, self.progress.totals())

    def _command(self) -> Command:
        if self.stop is not None:
            return Command.STOP
        return Command.PAUSE if self.paused else Command.RUN
