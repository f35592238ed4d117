"""Whatever gets lost, whoever dies, whichever clock leaps: workers together never use more than the limits."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmbatch_contract.reports import LEASE_S, Demand, Grant, Report
from llmbatch_contract.sharing import EndpointShares, Member, Share
from llmbatch_contract.spec import Limits

_ROUNDING = 1e-6
_REQUESTS = [None, 0.5, 1.0, 3.0, 60.0, 601.5, 5000.0]
_TOKENS = [None, 100.0, 90_000.0]
_AT_ONCE = [None, 1, 4, 100]
_DIMENSIONS = ("requests_per_minute", "tokens_per_minute", "concurrency")


@dataclass
class _Worker:
    """Uses the grant that reached it last, until it has had no reply for as long as the lease."""

    member: Member
    demand: Demand = Demand()
    largest: float = 0
    held: Grant = Grant()
    clock: float = 0.0
    counts_from: float = -math.inf
    """When it sent the report that was answered last."""
    is_gone: bool = False
    """Nobody knows that it runs, and it reports no more."""
    waits_for: tuple[float, Share] | None = None
    """A reply on its way, and when its report was sent."""
    late: list[Report] = field(default_factory=list)
    """Reports that it has given up, and that may still arrive."""

    @property
    def may_send(self) -> bool:
        return self.held.number > 0 and self.clock - self.counts_from < LEASE_S

    def uses(self, dimension: str) -> float:
        amount = getattr(self.held, dimension)
        return (math.inf if amount is None else amount) if self.may_send else 0.0

    def report(self) -> Report:
        holds = self.held if self.may_send else self.held.lapsed()
        return Report(worker=self.member.worker, holds=holds, demand=self.demand, largest_tokens=self.largest)

    def take(self, sent_at: float, share: Share) -> None:
        self.held, self.counts_from, self.waits_for = share.grant, sent_at, None


@dataclass
class _World:
    """Workers around one endpoint, where everything goes wrong."""

    rng: random.Random
    now: float = 1000.0
    """By the coordinator's clock."""
    leaps: int = 0
    born: int = 0
    workers: dict[str, _Worker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.limits = self.some_limits()
        self.all_are_known = True
        self.bounds = [self.limits]
        """Those that somebody may still keep to."""
        self.shares = EndpointShares(self.limits, self.now)

    def some_limits(self) -> Limits:
        return Limits(
            requests_per_minute=self.rng.choice(_REQUESTS),
            tokens_per_minute=self.rng.choice(_TOKENS),
            concurrency=self.rng.choice(_AT_ONCE),
        )

    def some_demand(self) -> Demand:
        return Demand(
            requests_per_minute=self.rng.choice([None, None, 0.0, 7.5, 1000.0]),
            tokens_per_minute=self.rng.choice([None, None, 500.0]),
            concurrency=self.rng.choice([None, None, 0, 3]),
        )

    def step(self) -> None:
        event, *_ = self.rng.choices(list(_EVENTS), list(_EVENTS.values()))
        event(self)
        for dimension in _DIMENSIONS:
            amounts = [getattr(bound, dimension) for bound in self.bounds]
            most = math.inf if None in amounts else max(amounts)
            used = sum(worker.uses(dimension) for worker in self.workers.values())
            assert used <= most + _ROUNDING, (event.__name__, dimension)

    def pick(self) -> _Worker | None:
        present = [w for w in self.workers.values() if not w.is_gone]
        return self.rng.choice(present) if present else None

    def a_worker_begins(self) -> None:
        self.born += 1
        batch = self.rng.randrange(3)
        member = Member(f"space-{batch % 2}", f"batch-{batch}", f"w{self.born}")
        largest = self.rng.choice([0.0, 30.0, 4000.0])
        self.workers[member.worker] = _Worker(member, self.some_demand(), largest)

    def a_worker_wants_something_else(self) -> None:
        if (worker := self.pick()) is not None:
            worker.demand = self.some_demand()

    def a_worker_reports(self) -> None:
        worker = self.pick()
        if worker is not None and worker.waits_for is None:
            self.report(worker, self.rng.choice(["arrives", "arrives", "arrives", "is lost", "is late"]))

    def report(self, worker: _Worker, fate: str) -> None:
        sent_at, share = worker.clock, self.shares.heard(worker.member, worker.report(), self.now)
        if fate == "arrives":
            worker.take(sent_at, share)
        elif fate == "is late":
            worker.waits_for = (sent_at, share)

    def all_report(self) -> None:
        for worker in self.workers.values():
            if not worker.is_gone and worker.waits_for is None:
                self.report(worker, "arrives")

    def a_late_reply_arrives_or_is_given_up(self) -> None:
        for worker in self.workers.values():
            if worker.waits_for is not None and self.rng.random() < 0.5:
                worker.late.append(worker.report())
                worker.waits_for = None
            elif worker.waits_for is not None:
                worker.take(*worker.waits_for)

    def a_report_that_was_given_up_arrives(self) -> None:
        worker = self.pick()
        if worker is not None and worker.late:
            self.shares.heard(worker.member, worker.late.pop(), self.now)

    def a_worker_ends(self) -> None:
        if (worker := self.pick()) is None:
            return
        del self.workers[worker.member.worker]
        if self.rng.random() < 0.5:
            last = worker.report().model_copy(update={"leaving": True})
            self.shares.heard(worker.member, last, self.now)
        else:
            self.shares.left(worker.member.batch, worker.member.worker, self.now)

    def a_worker_vanishes_and_goes_on(self) -> None:
        if (worker := self.pick()) is not None:
            worker.is_gone = True
            self.shares.vanished(worker.member.batch, worker.member.worker, self.now)

    def a_worker_goes_on_but_is_not_heard(self) -> None:
        if (worker := self.pick()) is not None:
            worker.is_gone = True

    def a_worker_that_was_not_heard_is_back(self) -> None:
        for worker in self.workers.values():
            worker.is_gone = False

    def the_coordinator_restarts(self) -> None:
        for worker in self.workers.values():
            worker.waits_for = None
            worker.late.clear()
        self.leaps, self.all_are_known = 0, False
        self.shares = EndpointShares(self.limits, self.now, expected=[w.member.key for w in self.workers.values()])

    def the_limits_are_changed(self) -> None:
        self.limits = self.some_limits()
        self.shares.set_limits(self.limits, self.now)
        self.bounds.append(self.limits)

    def time_passes(self) -> None:
        self.pass_time(self.rng.choice([0.1, 1.0, 1.0, 5.0, 70.0, 200.0, 400.0]), looks=self.rng.random() < 0.5)

    def pass_time(self, seconds: float, *, looks: bool) -> None:
        for worker in self.workers.values():
            worker.clock += seconds
        steps = math.ceil(seconds / 2) if looks else 1
        for _ in range(steps):
            self.now += seconds / steps
            self.shares.facts(self.now)

    def the_coordinators_clock_leaps(self) -> None:
        if self.leaps < 5:
            self.leaps += 1
            self.now += self.rng.choice([10.0, 1000.0, 1e6])

    def the_clock_of_a_worker_leaps(self) -> None:
        if (worker := self.pick()) is not None:
            worker.clock += self.rng.choice([10.0, 1000.0])

    def all_know_of_the_limits(self) -> None:
        """Limits that were lowered hold as soon as every worker has heard of them, once all were heard of."""
        if any(worker.is_gone for worker in self.workers.values()):
            return
        for worker in self.workers.values():
            if worker.waits_for is not None:
                worker.take(*worker.waits_for)
        for _ in range(1 if self.all_are_known else 2):
            self.pass_time(1.0, looks=True)
            self.all_report()
        self.all_are_known = True
        self.bounds = [self.limits]

    def leases_end(self) -> None:
        for _ in range(180):
            self.pass_time(2.0, looks=False)
            self.all_report()
        self.leaps = 0
        if not any(worker.waits_for for worker in self.workers.values()):
            self.bounds = [self.limits]


_EVENTS: dict[Callable[[_World], None], int] = {
    _World.a_worker_begins: 8,
    _World.a_worker_wants_something_else: 5,
    _World.a_worker_reports: 60,
    _World.all_report: 8,
    _World.a_late_reply_arrives_or_is_given_up: 8,
    _World.a_report_that_was_given_up_arrives: 4,
    _World.a_worker_ends: 4,
    _World.a_worker_vanishes_and_goes_on: 1,
    _World.a_worker_goes_on_but_is_not_heard: 1,
    _World.a_worker_that_was_not_heard_is_back: 1,
    _World.the_coordinator_restarts: 2,
    _World.the_limits_are_changed: 3,
    _World.time_passes: 20,
    _World.the_coordinators_clock_leaps: 1,
    _World.the_clock_of_a_worker_leaps: 1,
    _World.all_know_of_the_limits: 3,
    _World.leases_end: 1,
}


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32))
@example(seed=2190)
def test_no_more_is_used_than_there_is(seed: int) -> None:
    world = _World(random.Random(seed))
    for _ in range(150):
        world.step()
