"""One endpoint among batches: parts, a restart, push-backs, waits, outages, and the facts about it."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.progress import ShardProgress
from llmbatch_contract.reports import LEASE_S, Demand, Grant, PushBack, PushBackKind, Report, Trouble, Used
from llmbatch_contract.sharing import EndpointShares, Member, Share
from llmbatch_contract.spec import Limits

_429, _503, _SLOW = PushBackKind.RATE_LIMITED, PushBackKind.OVERLOADED, PushBackKind.SLOW


@dataclass
class _Room:
    """Workers that report every second, in the same order."""

    shares: EndpointShares
    now: float = 0.0
    held: dict[Member, Grant] = field(default_factory=dict)
    said: dict[Member, dict[str, Any]] = field(default_factory=dict)

    def join(self, name: str, batch: str = "b", space: str = "s", weight: float = 100, **said: Any) -> Member:
        member = Member(space, batch, name, weight)
        self.said[member] = said
        return member

    def report(self, member: Member, **more: Any) -> Share:
        held = self.held.get(member, Grant())
        report = Report(worker=member.worker, holds=held, **self.said[member] | more)
        share = self.shares.heard(member, report, self.now)
        self.held[member] = share.grant
        return share

    def rounds(self, count: int, every_s: float = 1.0) -> None:
        for _ in range(count):
            self.now += every_s
            for member in self.said:
                self.report(member)

    def get(self, member: Member, what: str = "requests_per_minute") -> float:
        return float(getattr(self.held[member], what))


def _room(**limits: Any) -> _Room:
    return _Room(EndpointShares(Limits(**limits), 0.0))


def test_namespaces_get_equal_parts_and_batches_within_them_by_weight() -> None:
    room = _room(requests_per_minute=6000)
    lone = room.join("lone", "x", "one")
    light, heavy = room.join("light", "y", "two", 100), room.join("heavy", "z", "two", 200)
    room.rounds(30)
    assert room.get(lone) == pytest.approx(3000, rel=0.02)
    assert room.get(light) == pytest.approx(1000, rel=0.02)
    assert room.get(heavy) == pytest.approx(2000, rel=0.02)


def test_a_small_share_goes_to_one_worker_of_a_batch() -> None:
    room = _room(requests_per_minute=100)
    workers = [room.join(f"w{n}") for n in range(8)]
    room.rounds(90)
    assert sorted(room.get(w) for w in workers) == [0] * 7 + [100]
    assert room.shares.facts(room.now).waiting_pods == 7


def test_a_worker_with_large_requests_gets_tokens_for_two_of_them() -> None:
    room = _room(tokens_per_minute=20_000)
    small = [room.join(f"small{n}", largest_tokens=100) for n in range(3)]
    large = room.join("large", largest_tokens=3000)
    room.rounds(90)
    assert room.get(large, "tokens_per_minute") >= 6000
    assert sum(room.get(w, "tokens_per_minute") for w in small) > 0


def test_with_fewer_places_than_workers_some_wait_and_batches_take_turns() -> None:
    room = _room(concurrency=2)
    workers = [room.join(f"w{n}", f"batch-{n}") for n in range(5)]
    had_one: set[str] = set()
    for _ in range(400):
        room.rounds(1)
        assert sum(room.get(w, "concurrency") for w in workers) <= 2
        had_one |= {w.worker for w in workers if room.get(w, "concurrency")}
    assert len(had_one) == 5


def test_requests_in_flight_beyond_a_smaller_grant_are_in_use_until_they_end() -> None:
    room = _room(concurrency=4)
    old = room.join("old", in_flight=4)
    room.rounds(2)
    new = room.join("new", "other")
    room.rounds(5)
    assert (room.get(old, "concurrency"), room.get(new, "concurrency")) == (2, 0)
    room.said[old] = {"in_flight": 2}
    room.rounds(3)
    assert room.get(new, "concurrency") == 2


def test_after_a_restart_everybody_keeps_what_it_holds_until_all_were_heard() -> None:
    shares = EndpointShares(Limits(requests_per_minute=1000), 0.0, expected=[("b", "one"), ("b", "two")])
    room = _Room(shares)
    one, new = room.join("one"), room.join("new")
    room.held[one] = Grant(number=7, requests_per_minute=300)
    room.rounds(10)
    assert (room.get(one), room.held[one].number, room.get(new)) == (300, 7, 0)
    shares.left("b", "two", room.now)
    room.rounds(5)
    assert room.get(one) + room.get(new) == pytest.approx(1000, rel=0.01)


def test_an_expected_worker_that_is_never_heard_is_waited_for_as_long_as_its_lease() -> None:
    room = _Room(EndpointShares(Limits(requests_per_minute=1000), 0.0, expected=[("b", "gone")]))
    new = room.join("new")
    room.rounds(round(LEASE_S))
    assert room.get(new) == 0
    room.rounds(60)
    assert room.get(new) > 0


@pytest.mark.parametrize(
    ("kind", "limit", "before", "after"),
    [
        pytest.param(_429, "requests_per_minute", 600, 480, id="429 makes requests a minute fewer"),
        pytest.param(_503, "concurrency", 40, 28, id="overload makes requests at once fewer"),
        pytest.param(_SLOW, "concurrency", 40, 36, id="slowness makes requests at once a little fewer"),
    ],
)
def test_a_push_back_on_one_worker_slows_all(kind: PushBackKind, limit: str, before: float, after: float) -> None:
    room = _room()
    used = Used(requests_per_minute=300, concurrency=20)
    workers = [room.join(f"w{n}", used=used, in_flight=20) for n in range(2)]
    room.rounds(3)
    assert getattr(room.held[workers[0]], limit) is None
    room.report(workers[0], push_backs=[PushBack(kind=kind, count=5, sent_ago_s=0.5, message="slow down")])
    facts = room.shares.facts(room.now)
    assert (facts.slowdowns, facts.push_backs[kind], facts.last_error) == (1, 5, "slow down")
    room.rounds(3)
    effective = getattr(room.shares.facts(room.now).effective, limit)
    assert effective == pytest.approx(after, rel=0.05)
    assert sum(room.get(worker, limit) for worker in workers) <= effective + 1
    assert sum(getattr(used, limit) for _ in workers) == before


def test_a_burst_of_push_backs_counts_once_until_everybody_has_learnt() -> None:
    room = _room(requests_per_minute=6000)
    workers = [room.join(f"w{n}", used=Used(requests_per_minute=1000)) for n in range(4)]
    room.rounds(5)
    for worker in workers * 2:
        room.report(worker, push_backs=[PushBack(kind=_429, count=3, sent_ago_s=0.2)])
    assert room.shares.facts(room.now).slowdowns == 1
    room.rounds(3)
    late = PushBack(kind=_429, count=1, sent_ago_s=10)
    room.report(workers[0], push_backs=[late])
    assert room.shares.facts(room.now).slowdowns == 1, "it was sent before"
    room.report(workers[1], push_backs=[PushBack(kind=_429, count=1, sent_ago_s=0.1)])
    assert room.shares.facts(room.now).slowdowns == 2


def test_a_found_limit_grows_while_it_is_used_up_and_is_forgotten_at_the_stated_one() -> None:
    room = _room(requests_per_minute=600)
    worker = room.join("a", used=Used(requests_per_minute=590))
    room.rounds(3)
    room.report(worker, push_backs=[PushBack(kind=_429, count=1, sent_ago_s=0.1)])
    room.rounds(2)
    assert room.get(worker) == pytest.approx(472, rel=0.02)
    assert room.shares.facts(room.now).throttled_since_s is not None
    room.rounds(30)
    assert 480 < room.get(worker) < 560
    room.rounds(120)
    assert room.get(worker) == pytest.approx(600, rel=0.011)
    assert room.shares.facts(room.now).throttled_since_s is None


def test_a_wait_that_one_was_asked_for_holds_for_all_batches() -> None:
    room = _room()
    one, other = room.join("a", "x"), room.join("b", "y", "elsewhere")
    room.report(one, backoff_seconds=30)
    room.now = 10
    assert room.report(other).backoff_s == 20
    assert room.shares.facts(room.now).backoff_s == 20
    room.now = 31
    assert room.report(other).backoff_s == 0


def _trouble(for_s: float, failures: int = 9) -> Trouble:
    return Trouble(category=Category.CONNECTION, message="connection refused", failures=failures, for_s=for_s)


def _answers(count: int) -> list[ShardProgress]:
    return [ShardProgress(shard=0, attempt=1, items=1000, unwritten_succeeded=count)]


def _down(room: _Room, *names: str) -> list[Member]:
    workers = [room.join(name) for name in names]
    room.rounds(1)
    room.now += 10
    for worker in workers:
        room.said[worker] = {"trouble": _trouble(6)}
        room.report(worker)
    return workers


def test_when_nobody_is_answered_one_worker_asks_and_the_others_wait() -> None:
    room = _room(requests_per_minute=600)
    first, second = _down(room, "a", "b")
    told = [room.report(worker).outage for worker in (first, second)]
    assert [outage is not None and outage.probe for outage in told] == [True, False]
    facts = room.shares.facts(room.now)
    assert (facts.is_down, facts.down_since_s) == (True, 6)
    assert facts.trouble is not None
    assert facts.trouble.message == "connection refused"


def test_probes_come_ever_more_rarely() -> None:
    room = _room()
    (worker,) = _down(room, "a")
    waits = []
    for failures in range(10, 18):
        room.now += 1
        outage = room.report(worker, trouble=_trouble(6, failures)).outage
        assert outage is not None
        waits.append(outage.probe_after_s)
    assert waits == [2, 4, 8, 16, 30, 30, 30, 30]


@pytest.mark.parametrize("goes", ["left", "vanished"])
def test_another_worker_asks_when_the_one_that_did_is_gone(goes: str) -> None:
    room = _room()
    first, second = _down(room, "a", "b")
    getattr(room.shares, goes)(first.batch, first.worker, room.now)
    outage = room.report(second).outage
    assert outage is not None
    assert outage.probe


def test_batches_probe_in_turns_so_that_one_cut_off_from_the_endpoint_does_not_hold_the_others() -> None:
    room = _room()
    first, second = _down(room, "a", "b")
    other = room.join("c", "c", "elsewhere")
    probers = []
    for failures in range(10, 34):
        room.now += 1
        for worker in (first, second, other):
            outage = room.report(worker, trouble=_trouble(6, failures)).outage
            if outage is not None and outage.probe:
                probers.append(worker.worker)
    assert set(probers) >= {"a", "c"}
    assert 8 <= probers.count("c") <= 16


def test_a_worker_without_a_share_leaves_the_probe_to_one_that_has_one() -> None:
    room = _room(requests_per_minute=60)
    first, second = _down(room, "a", "b")
    assert (room.get(first), room.get(second)) == (60, 0)
    room.said[first]["demand"] = Demand(requests_per_minute=0)
    room.rounds(75)
    told = [room.report(worker).outage for worker in (first, second)]
    assert [outage is not None and outage.probe for outage in told] == [False, True]


def test_the_first_answer_ends_the_outage_for_all() -> None:
    room = _room()
    first, second = _down(room, "a", "b")
    room.report(first, trouble=None)
    assert room.report(second).outage is None
    facts = room.shares.facts(room.now)
    assert (facts.is_down, facts.has_answered, facts.trouble) == (False, True, None)


def test_an_endpoint_that_answers_somebody_is_not_down() -> None:
    room = _room()
    troubled, lucky = room.join("a"), room.join("b", shards=_answers(1))
    room.rounds(1)
    room.now += 10
    room.report(lucky, shards=_answers(2))
    assert room.report(troubled, trouble=_trouble(8)).outage is None
    room.now += 20
    assert room.report(troubled, trouble=_trouble(18)).outage is not None


def test_failures_of_an_endpoint_that_turns_out_to_be_down_are_no_push_backs() -> None:
    room = _room()
    worker = room.join("a", in_flight=50, used=Used(concurrency=50))
    room.rounds(3)
    room.report(worker, push_backs=[PushBack(kind=_503, count=9, sent_ago_s=0.1)])
    assert room.shares.facts(room.now).effective.concurrency == 35
    room.now += 5
    room.report(worker, trouble=_trouble(6))
    room.rounds(2)
    assert room.shares.facts(room.now).effective.concurrency is None


def test_facts_tell_what_each_batch_has_and_uses() -> None:
    room = _room(requests_per_minute=600)
    room.join("a", "x", used=Used(requests_per_minute=100), demand=Demand(requests_per_minute=125))
    room.join("b", "y", "elsewhere")
    room.rounds(40)
    facts = room.shares.facts(room.now)
    assert (facts.batches, facts.pods, facts.waiting_pods) == (2, 2, 0)
    assert facts.by_batch["x"].used.requests_per_minute == facts.used.requests_per_minute == 100
    assert 100 <= facts.by_batch["x"].granted.requests_per_minute <= 110
    assert facts.granted.requests_per_minute == pytest.approx(599, abs=1)
    assert facts.limits == facts.effective == Limits(requests_per_minute=600)
