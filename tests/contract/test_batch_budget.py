"""What a batch spends stays within its budget: allowances of many workers, deaths, lost messages, a restart."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.reports import Allowance, Grant, Report, Spent
from llmbatch_contract.sharing import BudgetAccount
from llmbatch_contract.spec import Budget
from llmbatch_contract.usage import Pricing, Usage

_PRICING = Pricing(input_per_million=1.0, output_per_million=4.0)
_PER_TOKEN = 2e-6


@dataclass
class _Worker:
    """Asks while its allowance lasts, by estimates that are a little high."""

    name: str
    size: float
    allowance: Allowance = field(default_factory=lambda: Allowance(tokens=0, cost=0))
    number: int = 0
    spent: float = 0.0
    in_flight: list[float] = field(default_factory=list)
    waits: bool = False

    def may_send(self, tokens: float) -> bool:
        total = self.spent + sum(self.in_flight) + tokens
        limits = self.allowance
        return (limits.tokens is None or total <= limits.tokens) and (
            limits.cost is None or total * _PER_TOKEN <= limits.cost + 1e-12
        )

    def work(self, rng: random.Random) -> None:
        for _ in range(rng.randrange(4)):
            tokens = rng.uniform(0.2, 1) * self.size
            self.waits = not self.may_send(tokens)
            if self.waits:
                break
            self.in_flight.append(tokens)
        for _ in range(rng.randrange(4)):
            if self.in_flight:
                self.spent += rng.uniform(0.7, 1.0) * self.in_flight.pop()

    def report(self, *, leaving: bool = False) -> Report:
        held = Grant(number=self.number, budget=self.allowance if self.number else Allowance())
        in_flight = sum(self.in_flight)
        said = Spent(
            tokens=round(self.spent), cost=self.spent * _PER_TOKEN,
            in_flight_tokens=in_flight, in_flight_cost=in_flight * _PER_TOKEN,
        )  # fmt: skip
        return Report(
            worker=self.name, holds=held, spent=said, largest_tokens=self.size, waits_for_budget=self.waits,
            leaving=leaving,
        )  # fmt: skip

    def obey(self, allowance: Allowance) -> None:
        self.allowance, self.number = allowance, self.number + 1


def _spent(workers: list[_Worker]) -> float:
    return sum(w.spent + sum(w.in_flight) for w in workers)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    budget=st.sampled_from(
        [Budget(max_tokens=20_000), Budget(max_cost=0.05), Budget(max_tokens=30_000, max_cost=0.05)]
    ),
)
def test_no_more_is_spent_than_the_budget_whatever_is_lost(seed: int, budget: Budget) -> None:
    rng = random.Random(seed)
    account = BudgetAccount(budget, _PRICING, Spent())
    most = min(budget.max_tokens or 1e9, (budget.max_cost or 1e9) / _PER_TOKEN)
    workers: list[_Worker] = []
    gone: list[_Worker] = []
    for n in range(400):
        if rng.random() < 0.03 or not workers:
            workers.append(_Worker(f"w{n}", rng.choice([30.0, 300.0, 900.0])))
        worker = rng.choice(workers)
        worker.work(rng)
        fate = rng.choices(["ends", "dies", "report is lost", "reply is lost", "talks"], [1, 1, 5, 5, 60])[0]
        if fate in ("ends", "dies"):
            workers.remove(worker)
            gone.append(worker)
            if fate == "ends":
                worker.in_flight.clear()
                account.heard(worker.report(leaving=True))
            account.left(worker.name, has_said_all=fate == "ends")
        elif fate != "report is lost":
            allowance = account.heard(worker.report())
            if fate == "talks":
                worker.obey(allowance)
        assert _spent(workers) + _spent(gone) <= most + len(workers) + len(gone)  # tokens are told as whole numbers


def _settle(account: BudgetAccount, workers: list[_Worker], seed: int = 1, rounds: int = 400) -> None:
    rng = random.Random(seed)
    for _ in range(rounds):
        for worker in workers:
            worker.work(rng)
            worker.obey(account.heard(worker.report()))


@pytest.mark.parametrize("count", [1, 3, 20])
def test_the_budget_is_used_up_but_for_less_than_a_request_and_then_it_is_told(count: int) -> None:
    account = BudgetAccount(Budget(max_tokens=20_000), None, Spent())
    workers = [_Worker(f"w{n}", 300) for n in range(count)]
    assert not account.is_spent
    _settle(account, workers)
    assert account.is_spent
    assert 20_000 - 300 <= _spent(workers) <= 20_000 + count


def test_a_raised_budget_lets_the_batch_go_on() -> None:
    account = BudgetAccount(Budget(max_tokens=5_000), None, Spent())
    workers = [_Worker(f"w{n}", 300) for n in range(4)]
    _settle(account, workers)
    assert account.is_spent
    account.budget = Budget(max_tokens=9_000)
    assert not account.is_spent
    _settle(account, workers)
    assert 9_000 - 300 <= _spent(workers) <= 9_000 + 4
    account.budget = None
    assert account.heard(workers[0].report()) == Allowance()


@pytest.mark.parametrize("count", [1, 3])
def test_a_worker_that_dies_takes_no_more_with_it_than_it_would_have_used_soon(count: int) -> None:
    account = BudgetAccount(Budget(max_tokens=1_000_000), None, Spent())
    workers = [_Worker(f"w{n}", 300) for n in range(count)]
    account.heard(Report(worker="dies at once"))
    account.left("dies at once", has_said_all=False)
    _settle(account, workers, rounds=10)
    for worker in workers:
        account.left(worker.name, has_said_all=False)
    assert not account.is_spent
    left = account.heard(Report(worker="next", largest_tokens=1e6, waits_for_budget=True)).tokens
    assert left is not None
    assert left >= 1_000_000 - _spent(workers) - count * 8 * 300


def test_after_a_restart_what_was_spent_before_counts_once() -> None:
    first = BudgetAccount(Budget(max_tokens=20_000), None, Spent())
    workers = [_Worker(f"w{n}", 300) for n in range(4)]
    _settle(first, workers, rounds=6)
    before = _spent(workers)
    assert before < 15_000
    second = BudgetAccount(Budget(max_tokens=20_000), None, Spent(tokens=first.spent.tokens))
    for worker in workers:
        worker.obey(second.heard(worker.report()))
    assert second.spent.tokens == pytest.approx(_spent(workers) - sum(sum(w.in_flight) for w in workers), abs=5)
    _settle(second, workers)
    assert 20_000 - 600 <= _spent(workers) <= 20_000 + 4


def test_what_is_written_down_counts_even_if_nobody_told_of_it() -> None:
    account = BudgetAccount(Budget(max_tokens=1_000), None, Spent())
    account.written(Usage(input=900, output=50))
    assert account.spent.tokens == 950
    assert account.heard(Report(worker="a", largest_tokens=10)).tokens == pytest.approx(50)
    account.written(Usage(input=1000))
    assert account.is_spent


def test_without_a_budget_spending_is_counted_and_nothing_is_held_back() -> None:
    account = BudgetAccount(None, _PRICING, Spent(tokens=5))
    assert account.heard(Report(worker="a", spent=Spent(tokens=70, cost=0.5, in_flight_tokens=3))) == Allowance()
    assert account.spent == Spent(tokens=75, cost=0.5, in_flight_tokens=3)
    assert not account.is_spent
