"""Keeps what a batch spends within its budget: every worker has an allowance, and gets a new one before it is used up.

What is spent, in flight and allowed is never more than the budget, whatever gets lost. Allowances become smaller toward
the end; the last of the budget goes to one worker after the other. Pure but for the state it keeps.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from llmbatch_contract.reports import Allowance, Report, Spent
from llmbatch_contract.spec import Budget
from llmbatch_contract.usage import Pricing, Usage

_Amounts = tuple[float, float]
"""Tokens and cost."""
_BOTH = (0, 1)
_NONE: _Amounts = (0.0, 0.0)
_UNBOUNDED = (math.inf, math.inf)

_REQUESTS_AHEAD = 4
_SECONDS_AHEAD = 30.0
"""An allowance is for so long: what a worker that dies had left of it is lost."""
_MOST_UNKNOWN = 16
_ROUNDING = 1e-9


@dataclass
class _Spender:
    """One worker, by its own counters."""

    base: _Amounts
    """What it had spent when it was first heard, and was counted before."""
    spent: _Amounts = _NONE
    in_flight: _Amounts = _NONE
    allowed: list[_Amounts] = field(default_factory=list)
    """The allowance that it holds, and later ones that may have reached it."""
    largest: float = 0.0
    tokens_per_minute: float = 0.0
    waits: bool = False
    """What it has left is too little for its next request."""
    has_tried: bool = False
    """It had all that is left, and that was too little."""

    @property
    def used(self) -> _Amounts:
        """Requests in flight included."""
        return _plus(self.spent, self.in_flight)

    @property
    def may_spend(self) -> _Amounts:
        """The largest of its allowances."""
        return (max((a[0] for a in self.allowed), default=0.0), max((a[1] for a in self.allowed), default=0.0))

    @property
    def outstanding(self) -> _Amounts:
        """What it may still spend."""
        may, used = self.may_spend, self.used
        return (max(0.0, may[0] - used[0]), max(0.0, may[1] - used[1]))


class BudgetAccount:
    """Of one batch."""

    def __init__(self, budget: Budget | None, pricing: Pricing | None, before: Spent) -> None:
        self.pricing = pricing
        self._budget = budget
        self._before = (float(before.tokens), before.cost)
        self._spenders: dict[str, _Spender] = {}
        self._gone: _Amounts = _NONE
        self._gone_since: _Amounts = _NONE
        self._lost: _Amounts = _NONE
        """What workers that are lost may have spent beyond their last words."""
        self._written: _Amounts = _NONE
        self._is_spent = False

    @property
    def budget(self) -> Budget | None:
        """May be changed at any time."""
        return self._budget

    @budget.setter
    def budget(self, budget: Budget | None) -> None:
        if budget != self._budget:
            self._budget, self._is_spent = budget, False
            self._try_again()

    def heard(self, report: Report) -> Allowance:
        """Take in what a worker has spent, and say what it may spend."""
        spender = self._take_in(report)
        if self._budget is None:
            spender.allowed = [_UNBOUNDED]
            return Allowance()
        left = self._left()
        self._note_end(spender, report, left)
        wanted = self._wanted(spender, left)
        if not spender.allowed or wanted != spender.allowed[-1]:
            spender.allowed = [*_merged(spender.allowed), wanted]
        return _allowance(wanted)

    def written(self, usage: Usage) -> None:
        """So much is in records: at least that is spent."""
        self._written = (float(usage.total), usage.cost(self.pricing) or 0.0)

    def left(self, worker: str, *, has_said_all: bool) -> None:
        """A worker has ended, with a last report or without."""
        if (spender := self._spenders.pop(worker, None)) is None:
            return
        self._gone = _plus(self._gone, spender.spent)
        self._gone_since = _plus(self._gone_since, _minus(spender.spent, spender.base))
        if not has_said_all and self._budget is not None:
            rest = _plus(spender.outstanding, spender.in_flight)
            self._lost = _plus(self._lost, (_finite(rest[0]), _finite(rest[1])))
        self._try_again()

    @property
    def spent(self) -> Spent:
        """By all workers."""
        total, in_flight = self._total(), self._in_flight()
        return Spent(tokens=int(total[0]), cost=total[1], in_flight_tokens=in_flight[0], in_flight_cost=in_flight[1])

    @property
    def is_spent(self) -> bool:
        """No worker can ask anything more; so it stays until the budget is changed."""
        if self._budget is not None and not self._is_spent:
            self._is_spent = not any(self._in_flight()) and min(self._left()) <= _ROUNDING
        return self._is_spent

    @property
    def holds_back(self) -> bool:
        """Some worker has a request that it may not pay."""
        return any(spender.waits for spender in self._spenders.values())

    def _take_in(self, report: Report) -> _Spender:
        said = report.spent
        spent = (float(said.tokens), said.cost)
        spender = self._spenders.get(report.worker)
        if spender is None:
            is_older = report.holds.number > 0
            spender = self._spenders[report.worker] = _Spender(spent if is_older else _NONE)
            if is_older:
                spender.allowed = [_amounts(report.holds.budget)]
        spender.spent = (max(spender.spent[0], spent[0]), max(spender.spent[1], spent[1]))
        spender.in_flight = (said.in_flight_tokens, said.in_flight_cost)
        spender.largest = report.largest_tokens
        spender.tokens_per_minute, spender.waits = report.used.tokens_per_minute, report.waits_for_budget
        held = _amounts(report.holds.budget)
        if report.holds.number and held in spender.allowed:
            del spender.allowed[: spender.allowed.index(held)]
        return spender

    def _wanted(self, spender: _Spender, left: _Amounts) -> _Amounts:
        """The last allowance, if it is good for a while, or another."""
        sharers = self._sharers(left)
        used, may, last = spender.used, spender.may_spend, spender.allowed[-1] if spender.allowed else _NONE
        free = _minus(left, self._outstanding())
        wanted = list(last)
        for n in _BOTH:
            if left[n] == math.inf:
                wanted[n] = math.inf
                continue
            piece = self._piece(n, spender, left, sharers) if spender in sharers else 0.0
            ahead = last[n] - used[n]
            if not spender.waits and piece > 0 and 0.5 * piece <= ahead <= piece * (1 + _ROUNDING):
                continue
            wanted[n] = max(0.0, min(used[n] + piece, max(may[n] + max(0.0, free[n]), 0.0)))
        return (wanted[0], wanted[1])

    def _piece(self, n: int, spender: _Spender, left: _Amounts, sharers: list[_Spender]) -> float:
        """What it will use soon, even if nobody else asks: if it dies, the piece counts as spent."""
        soon = max(_REQUESTS_AHEAD * spender.largest, spender.tokens_per_minute * _SECONDS_AHEAD / 60)
        soon *= self._price if n else 1.0
        if len(sharers) == 1:
            return max(0.0, left[n] if left[n] <= 2 * soon else soon)
        return max(0.0, min(left[n] / (2 * len(sharers)), soon))

    def _sharers(self, left: _Amounts) -> list[_Spender]:
        """As many as can each send the largest request twice; at the end one after the other."""
        able = [s for s in self._spenders.values() if not s.has_tried]
        largest = max((s.largest for s in able), default=0.0)
        for amount, request in ((left[0], largest), (left[1], largest * self._price)):
            if amount != math.inf and request > 0:
                able = able[: max(1, int(amount / (2 * request)))]
        return able

    def _note_end(self, spender: _Spender, report: Report, left: _Amounts) -> None:
        """A worker for whose next request all that is left is too little has tried; when all have, it is over."""
        if not (report.waits_for_budget and report.holds.number) or any(self._in_flight()):
            return
        held, used = _amounts(report.holds.budget), spender.used
        spender.has_tried |= any(
            left[n] != math.inf and held[n] - used[n] >= left[n] - _ROUNDING * max(1.0, left[n]) for n in _BOTH
        )
        if all(s.has_tried for s in self._spenders.values()):
            self._is_spent = True

    def _try_again(self) -> None:
        for spender in self._spenders.values():
            spender.has_tried = False

    def _left(self) -> _Amounts:
        """Of the budget, beside what is spent, in flight, or may have been spent by workers that are lost."""
        if self._budget is None:
            return _UNBOUNDED
        most = (
            math.inf if self._budget.max_tokens is None else float(self._budget.max_tokens),
            math.inf if self._budget.max_cost is None else self._budget.max_cost,
        )
        return _minus(most, _plus(_plus(self._total(), self._in_flight()), self._lost))

    def _total(self) -> _Amounts:
        """At least what each of three counts says: one may not know what came before, another not what is written."""
        counted = _sum((s.spent for s in self._spenders.values()), self._gone)
        since = _sum((_minus(s.spent, s.base) for s in self._spenders.values()), self._gone_since)
        since = _plus(since, self._before)
        return (max(counted[0], since[0], self._written[0]), max(counted[1], since[1], self._written[1]))

    def _in_flight(self) -> _Amounts:
        return _sum((s.in_flight for s in self._spenders.values()), _NONE)

    def _outstanding(self) -> _Amounts:
        return _sum((s.outstanding for s in self._spenders.values()), _NONE)

    @property
    def _price(self) -> float:
        """Of a token, at most."""
        if self.pricing is None:
            return 0.0
        return max(self.pricing.input_per_million, self.pricing.output_per_million) / 1e6


def _merged(allowed: list[_Amounts]) -> list[_Amounts]:
    if len(allowed) <= _MOST_UNKNOWN:
        return allowed
    first, second, *rest = allowed
    return [(max(first[0], second[0]), max(first[1], second[1])), *rest]


def _amounts(allowance: Allowance) -> _Amounts:
    tokens, cost = allowance.tokens, allowance.cost
    return (math.inf if tokens is None else tokens, math.inf if cost is None else cost)


def _allowance(amounts: _Amounts) -> Allowance:
    tokens, cost = (None if amount == math.inf else amount for amount in amounts)
    return Allowance(tokens=tokens, cost=cost)


def _finite(amount: float) -> float:
    return 0.0 if amount == math.inf else amount


def _plus(a: _Amounts, b: _Amounts) -> _Amounts:
    return (a[0] + b[0], a[1] + b[1])


def _minus(a: _Amounts, b: _Amounts) -> _Amounts:
    """What is left of infinitely much, whatever is taken from it, is infinite."""
    return (a[0] - b[0] if a[0] != math.inf else a[0], a[1] - b[1] if a[1] != math.inf else a[1])


def _sum(amounts: Iterable[_Amounts], start: _Amounts) -> _Amounts:
    tokens, cost = start
    for each in amounts:
        tokens += each[0]
        cost += each[1]
    return tokens, cost
