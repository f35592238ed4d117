"""The coordinator's mind: a report in, a reply out. Pure but for the state it keeps; no I/O, no clock.

A local run calls it directly or through pipes; the operator will serve it over HTTPS.
"""

from dataclasses import dataclass, field

from llmbatch_contract.categories import Category
from llmbatch_contract.progress import BatchProgress, Totals
from llmbatch_contract.reports import Command, Demand, Grant, Reply, Report, StopReason
from llmbatch_contract.shares import UNBOUNDED, Ledger
from llmbatch_contract.spec import FailurePolicy, Limits


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
    demand: Demand = Demand()
    grant: Grant = Grant()
    in_flight: int = 0
    waiting: dict[Category, int] = field(default_factory=dict)
    largest_tokens: float = 0


@dataclass
class Coordinator:
    """Keeps the batch's counts, shares its limits among workers, and says when to stop."""

    limits: Limits
    policy: FailurePolicy
    progress: BatchProgress
    stop: StopReason | None = None
    paused: bool = False
    report_every_s: float = 1.0
    answered_before: int = 0
    """Items known to be answered from before a restart: a share of failures counts once as many are heard of again."""
    _workers: dict[str, _Worker] = field(default_factory=dict)
    _backoff_until: float = float("-inf")
    _ledgers: dict[str, Ledger] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.set_limits(self.limits)

    def set_limits(self, limits: Limits) -> None:
        """Other limits hold from now on; workers learn of it with their next reports."""
        self.limits = limits
        for name in _DIMENSIONS:
            limit = getattr(limits, name)
            if limit is None:
                self._ledgers.pop(name, None)
            elif name in self._ledgers:
                self._ledgers[name].limit = limit
            else:
                self._ledgers[name] = Ledger(limit)

    def reply(self, report: Report, now: float) -> Reply:
        """Take in a report, at `now` seconds of a monotonic clock, and say what its sender shall do."""
        for shard in report.shards:
            self.progress.merge(shard)
        self._backoff_until = max(self._backoff_until, now + report.backoff_seconds)
        self.stop = self.stop or report.stop or self._too_many_failures()
        if report.leaving:
            self.lost(report.worker)
            return Reply(command=self._command())
        worker = self._workers.setdefault(report.worker, _Worker())
        worker.demand, worker.in_flight, worker.waiting = report.demand, report.in_flight, report.waiting
        worker.largest_tokens = report.largest_tokens
        worker.grant = self._next_grant(report.worker, worker.grant, report.holds)
        return Reply(
            command=self._command(),
            grant=worker.grant,
            backoff_seconds=self.backoff_s(now),
            next_report_seconds=self.report_every_s,
        )

    def lost(self, worker: str) -> None:
        """A worker has gone for certain: its shares are free."""
        self._workers.pop(worker, None)
        for ledger in self._ledgers.values():
            ledger.leave(worker)

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

    def backoff_s(self, now: float) -> float:
        """How long the endpoint asked everybody to wait, from `now`."""
        return max(0.0, self._backoff_until - now)

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

    def _next_grant(self, name: str, last: Grant, holds: int) -> Grant:
        number = last.number + 1
        amounts = {d: self._share(d, name, number, holds) for d in self._ledgers}
        if all(getattr(last, d) == amounts.get(d) for d in _DIMENSIONS) and last.number:
            return last
        return Grant.model_validate({"number": number, **amounts})

    def _those_with_room(self, limit: float, demands: dict[str, float]) -> dict[str, float]:
        """As many workers as can each send the largest request twice a minute; a smaller share would be exceeded."""
        largest = max((w.largest_tokens for w in self._workers.values()), default=0.0)
        most = max(1, int(limit / (2 * largest))) if largest else len(demands)
        asking = sorted(name for name, demand in demands.items() if demand > 0)
        return {name: demands[name] for name in asking[:most]}

    def _share(self, dimension: str, name: str, number: int, holds: int) -> float:
        demands = {n: _demand(w.demand, dimension) for n, w in self._workers.items()}
        if dimension in _TOKENS:
            demands = self._those_with_room(self._ledgers[dimension].limit, demands)
        in_use = self._workers[name].in_flight if dimension == "concurrency" else 0
        return self._ledgers[dimension].grant(name, number, holds, demands, in_use)


_TOKENS = ("tokens_per_minute", "input_tokens_per_minute")
_DIMENSIONS = ("requests_per_minute", "tokens_per_minute", "input_tokens_per_minute", "concurrency")


def _demand(demand: Demand, dimension: str) -> float:
    amount = getattr(demand, dimension)
    return UNBOUNDED if amount is None else float(amount)
