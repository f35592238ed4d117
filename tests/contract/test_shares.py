"""Max-min fairness, and a ledger that is never overdrawn whatever gets lost."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.shares import UNBOUNDED, Ledger, max_min

_DEMANDS = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=2), st.floats(0, 1000) | st.just(UNBOUNDED), max_size=8
)
_LIMITS = st.floats(0.1, 2000)
_ROUNDING = 1e-6


@given(limit=_LIMITS, demands=_DEMANDS)
def test_nobody_gets_more_than_it_asks_for_and_all_together_no_more_than_there_is(
    limit: float, demands: dict[str, float]
) -> None:
    shares = max_min(limit, demands)
    assert shares.keys() == demands.keys()
    assert all(0 <= shares[name] <= demand for name, demand in demands.items())
    assert sum(shares.values()) <= limit + _ROUNDING


@given(limit=_LIMITS, demands=_DEMANDS)
def test_nothing_is_left_over_while_somebody_wants_more(limit: float, demands: dict[str, float]) -> None:
    shares = max_min(limit, demands)
    assert sum(shares.values()) == pytest.approx(min(limit, sum(demands.values())))


@given(limit=_LIMITS, demands=_DEMANDS)
def test_whoever_gets_less_than_it_asks_for_gets_as_much_as_anybody(limit: float, demands: dict[str, float]) -> None:
    shares = max_min(limit, demands)
    most = max(shares.values(), default=0)
    for name, share in shares.items():
        if share < demands[name] - _ROUNDING:
            assert share >= most - _ROUNDING


@given(limit=_LIMITS, demands=_DEMANDS, rng=st.randoms(use_true_random=False))
def test_the_order_of_asking_does_not_matter(limit: float, demands: dict[str, float], rng: random.Random) -> None:
    mixed = list(demands.items())
    rng.shuffle(mixed)
    assert max_min(limit, dict(mixed)) == max_min(limit, demands)


@pytest.mark.parametrize(
    ("limit", "demands", "shares"),
    [
        pytest.param(10, {}, {}, id="nobody asks"),
        pytest.param(10, {"a": UNBOUNDED}, {"a": 10}, id="one gets all"),
        pytest.param(10, {"a": UNBOUNDED, "b": UNBOUNDED}, {"a": 5, "b": 5}, id="two share evenly"),
        pytest.param(10, {"a": 2, "b": 3, "c": 100}, {"a": 2, "b": 3, "c": 5}, id="what one leaves another gets"),
        pytest.param(10, {"a": 0, "b": 4}, {"a": 0, "b": 4}, id="more than all ask for"),
    ],
)
def test_shares_are_max_min_fair(limit: float, demands: dict[str, float], shares: dict[str, float]) -> None:
    assert max_min(limit, demands) == pytest.approx(shares)


@dataclass
class _Worker:
    """Uses the last grant that reached it, and says which one that is."""

    demand: float
    holds: int = 0
    uses: float = 0.0
    granted: int = 0
    """Number of the last grant made for it, whether it arrived or not."""


@dataclass
class _World:
    """Workers that come, report, lose replies and leave, around one ledger."""

    ledger: Ledger
    rng: random.Random
    workers: dict[str, _Worker] = field(default_factory=dict)
    born: int = 0

    def step(self) -> None:
        event = self.rng.choice(["join", "report", "report", "report", "lose", "lose", "change", "leave"])
        if event == "join":
            self.workers[f"w{self.born}"] = _Worker(self._demand())
            self.born += 1
        elif self.workers:
            self._happen(event, self.rng.choice(sorted(self.workers)))

    def _happen(self, event: str, name: str) -> None:
        match event:
            case "report" | "lose":
                self.report(name, arrives=event == "report")
            case "change":
                self.workers[name].demand = self._demand()
            case _:
                del self.workers[name]
                self.ledger.leave(name)

    def report(self, name: str, *, arrives: bool = True) -> None:
        worker = self.workers[name]
        worker.granted += 1
        demands = {n: w.demand for n, w in self.workers.items()}
        amount = self.ledger.grant(name, worker.granted, worker.holds, demands)
        if arrives:
            worker.holds, worker.uses = worker.granted, amount

    def _demand(self) -> float:
        return self.rng.choice([0.0, 1.0, 7.5, 40.0, 1000.0, UNBOUNDED])

    @property
    def used(self) -> float:
        return sum(w.uses for w in self.workers.values())


@settings(max_examples=200, deadline=None)
@given(limit=_LIMITS, rng=st.randoms(use_true_random=False), steps=st.integers(1, 80))
def test_what_is_really_used_never_exceeds_the_limit_whatever_gets_lost(
    limit: float, rng: random.Random, steps: int
) -> None:
    world = _World(Ledger(limit), rng)
    for _ in range(steps):
        world.step()
        assert world.used <= limit + _ROUNDING
        assert world.used <= world.ledger.in_use() + _ROUNDING
        assert world.ledger.in_use() <= limit + _ROUNDING


@settings(max_examples=100, deadline=None)
@given(limit=_LIMITS, rng=st.randoms(use_true_random=False), steps=st.integers(1, 60))
def test_after_any_history_a_few_quiet_rounds_give_the_max_min_shares_in_whole_amounts(
    limit: float, rng: random.Random, steps: int
) -> None:
    world = _World(Ledger(limit), rng)
    for _ in range(steps):
        world.step()
    for _ in range(4):
        for name in world.workers:
            world.report(name)
    fair = max_min(limit, {n: w.demand for n, w in world.workers.items()})
    uses = {name: worker.uses for name, worker in world.workers.items()}
    assert all(uses[name] <= share + 1 for name, share in fair.items())
    assert sum(uses.values()) >= sum(fair.values()) - _ROUNDING


def test_a_reduced_grant_frees_its_share_only_when_its_holder_says_so() -> None:
    ledger = Ledger(100)
    both = {"a": UNBOUNDED, "b": UNBOUNDED}
    assert ledger.grant("a", 1, 0, {"a": UNBOUNDED}) == 100
    assert ledger.grant("b", 1, 0, both) == 0
    assert ledger.grant("a", 2, 1, both) == 50
    assert ledger.grant("b", 2, 1, both) == 0, "a may not know yet"
    assert ledger.grant("a", 3, 2, both) == 50
    assert ledger.grant("b", 3, 2, both) == 50


def test_a_worker_that_left_frees_its_share_at_once() -> None:
    ledger = Ledger(100)
    ledger.grant("a", 1, 0, {"a": UNBOUNDED})
    ledger.leave("a")
    ledger.leave("never seen")
    assert ledger.in_use() == 0
    assert ledger.grant("b", 1, 0, {"b": UNBOUNDED}) == 100


def test_a_worker_that_asks_for_nothing_known_gets_nothing() -> None:
    assert Ledger(100).grant("a", 1, 0, {}) == 0
