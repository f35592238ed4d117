"""A thousand pods under one limit: fair, used up, quick to move, and no minute with more than the limit."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest

from llmbatch_contract.reports import Demand, Grant, Report, Used
from llmbatch_contract.sharing import EndpointShares, Member
from llmbatch_contract.spec import Limits
from llmbatch_worker.limits.pacing import Pacer

_STEP_S = 0.1
_GROW_BY, _ROOM = 1.25, 12.0
_USED_OVER_S = 10.0


@dataclass
class _Pod:
    """Sends as fast as it may, but no faster than it can; reports every second or so."""

    member: Member
    can: float
    """Requests a minute."""
    report_at: float
    sent: list[float] = field(default_factory=list)
    held: Grant = Grant()
    was_held_back: bool = True
    ends_at: float = float("inf")

    def __post_init__(self) -> None:
        self.pacer, self.own = Pacer(0.0), Pacer(self.can)
        self.next_at, self.is_held_back = float("inf"), True

    def send(self, now: float) -> int:
        """Requests that go in this step."""
        count = 0
        while now >= self.next_at and now < self.ends_at:
            self.pacer.take(1, now)
            self.own.take(1, now)
            self.sent.append(now)
            self._look_ahead(now)
            count += 1
        return count

    def _look_ahead(self, now: float) -> None:
        """When the next request goes, and whether the grant is what it waits for."""
        paced_s, own_s = self.pacer.wait_s(now), self.own.wait_s(now)
        self.is_held_back = paced_s > own_s
        self.was_held_back |= self.is_held_back
        self.next_at = now + max(paced_s, own_s)

    def report(self, now: float) -> Report:
        self.sent = [at for at in self.sent if at > now - _USED_OVER_S]
        used = len(self.sent) * 60 / _USED_OVER_S
        wants = 0.0 if now >= self.ends_at else None if self.was_held_back else _GROW_BY * used + _ROOM
        self.was_held_back = self.is_held_back
        return Report(
            worker=self.member.worker,
            holds=self.held,
            demand=Demand(requests_per_minute=wants),
            used=Used(requests_per_minute=used),
        )

    def obey(self, grant: Grant, now: float) -> None:
        if grant.number != self.held.number:
            self.held = grant
            self.pacer.change(grant.requests_per_minute, now)
            self._look_ahead(now)


@dataclass
class _Simulation:
    limit: float
    pods: list[_Pod]
    rng: random.Random
    report_every_s: tuple[float, float] = (1, 2)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.shares = EndpointShares(Limits(requests_per_minute=self.limit), self.now)
        self.sent: list[dict[str, int]] = []
        """Of each step, by batch."""

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / _STEP_S)):
            self.step()

    def step(self) -> None:
        self.now += _STEP_S
        counts: dict[str, int] = {}
        for pod in self.pods:
            if pod.report_at <= self.now:
                share = self.shares.heard(pod.member, pod.report(self.now), self.now)
                pod.obey(share.grant, self.now)
                pod.report_at = self.now + (0.3 if share.is_urgent else self.rng.uniform(*self.report_every_s))
            if pod.next_at <= self.now:
                counts[pod.member.batch] = counts.get(pod.member.batch, 0) + pod.send(self.now)
        self.sent.append(counts)

    def busiest_minute(self) -> int:
        totals = [sum(counts.values()) for counts in self.sent]
        width = round(60 / _STEP_S)
        minute = most = sum(totals[:width])
        for n in range(width, len(totals)):
            minute += totals[n] - totals[n - width]
            most = max(most, minute)
        return most

    def rate(self, seconds: float, batches: Callable[[str], bool] = bool) -> float:
        """Requests a minute over the last so many seconds."""
        steps = self.sent[-round(seconds / _STEP_S) :]
        return sum(n for counts in steps for batch, n in counts.items() if batches(batch)) * 60 / seconds


def _pods(sizes: Iterable[tuple[str, str, int, float]], rng: random.Random, weight: float = 100) -> list[_Pod]:
    return [
        _Pod(Member(space, batch, f"{batch}-{n}", weight), can, rng.uniform(0, 1))
        for space, batch, count, can in sizes
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def busy() -> _Simulation:
    """A thousand pods of 30 batches in 6 namespaces; some could use far more than their part, some far less."""
    rng = random.Random(1)
    sizes = []
    for n in range(30):
        count = 4 + 2 * n if n < 29 else 1000 - sum(4 + 2 * m for m in range(29))
        sizes.append((f"space-{n % 6}", f"batch-{n:02}", count, rng.choice([10.0, 100.0, 500.0, 1500.0])))
    simulation = _Simulation(150_000, _pods(sizes, rng), rng)
    simulation.run(70)
    return simulation


def test_a_thousand_pods_use_the_limit_up(busy: _Simulation) -> None:
    assert len(busy.pods) == 1000
    assert busy.rate(20) >= 0.97 * busy.limit


def test_no_minute_holds_more_than_the_limit(busy: _Simulation) -> None:
    assert busy.busiest_minute() <= busy.limit


def test_namespaces_that_want_more_get_equal_parts(busy: _Simulation) -> None:
    could: dict[str, float] = {}
    for pod in busy.pods:
        could[pod.member.namespace] = could.get(pod.member.namespace, 0) + pod.can
    spaces = {pod.member.batch: pod.member.namespace for pod in busy.pods}
    gets = dict.fromkeys(could, 0.0)
    for batch, space in spaces.items():
        gets[space] += busy.rate(20, batch.__eq__)
    assert min(could.values()) > busy.limit / 6, "all want more"
    assert max(gets.values()) <= 1.06 * min(gets.values())


def _two_batches(limit: float, weight: float = 100) -> _Simulation:
    rng = random.Random(2)
    pods = _pods([("one", "old", 8, 10_000)], rng) + _pods([("one", "new", 8, 10_000)], rng, weight)
    for pod in pods[8:]:
        pod.report_at = 40.0
    return _Simulation(limit, pods, rng, (0.9, 1.1))


@pytest.mark.parametrize(("weight", "part"), [(100, 0.5), (300, 0.75)], ids=["equal", "three times as important"])
def test_a_new_batch_has_its_part_within_five_seconds_of_its_first_report(weight: float, part: float) -> None:
    simulation = _two_batches(12_000, weight)
    simulation.run(39)
    assert simulation.rate(20) >= 0.97 * simulation.limit
    simulation.run(1 + 5)
    simulation.run(3)
    assert simulation.rate(3, "new".__eq__) >= 0.95 * part * simulation.limit
    simulation.run(30)
    assert simulation.rate(20) >= 0.97 * simulation.limit
    assert simulation.busiest_minute() <= simulation.limit


@pytest.mark.parametrize("how", ["leaves", "has nothing to ask any more"])
def test_a_share_that_is_not_used_any_more_is_used_by_others_within_three_seconds(how: str) -> None:
    simulation = _two_batches(12_000)
    simulation.run(60)
    assert simulation.rate(5, "old".__eq__) < 0.55 * simulation.limit
    for pod in simulation.pods[:8]:
        pod.ends_at = simulation.now
        if how == "leaves":
            simulation.shares.left(pod.member.batch, pod.member.worker, simulation.now)
    simulation.pods = [pod for pod in simulation.pods if how != "leaves" or pod.ends_at > simulation.now]
    simulation.run(3)
    simulation.run(3)
    assert simulation.rate(3) >= 0.95 * simulation.limit
    assert simulation.busiest_minute() <= simulation.limit
