"""Shares one endpoint among all workers that use it. Pure but for the state it keeps; no I/O, no clock.

Every report is taken in by `heard`, which says what its sender may use. What each should have is worked out anew
some times a second; the ledger sees to it that the way there never takes more than there is.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

from llmbatch_contract.reports import LEASE_S, Grant, Report
from llmbatch_contract.sharing.amounts import (
    ALL,
    CONCURRENCY,
    EVERYTHING,
    INPUT_TOKENS,
    NOTHING,
    REQUESTS,
    TOKENS,
    UNBOUNDED,
    Vector,
    grant_of,
    limited,
    used_vector,
    vector_of,
)
from llmbatch_contract.sharing.demand import DemandMemory
from llmbatch_contract.sharing.division import Asking, Division, asking_for
from llmbatch_contract.sharing.facts import EndpointFacts, Key, Member, Share
from llmbatch_contract.sharing.found_limits import FoundLimits
from llmbatch_contract.sharing.ledger import MARGIN_S, Holding, Ledger
from llmbatch_contract.sharing.outages import Outages
from llmbatch_contract.sharing.steady import SteadyClock
from llmbatch_contract.sharing.summing import LastError, Seen, facts_of
from llmbatch_contract.spec import Limits

_DIVIDE_EVERY_S = 0.2
_FEW_WORKERS, _WORKERS_A_SECOND = 50, 2000
"""Few workers cost nothing; with more, divisions are so far apart that no more workers a second are looked at."""
_SILENT_S = 20.0
"""Who has not reported for so long is not given a share, though it may still use the one it has."""
_UNCHANGED = 0.01
"""A grant is not changed for less."""
_LARGEST_UNKNOWN = 0.01
"""Of a limit of tokens: taken for the largest request before one is known."""


@dataclass
class _Worker:
    """What a worker said last."""

    member: Member
    demand: DemandMemory
    in_flight: int = 0
    has_vanished: bool = False


class EndpointShares:
    """One endpoint."""

    def __init__(self, limits: Limits, now: float, *, expected: Collection[Key] = ()) -> None:
        """`expected`: workers that may hold grants of an earlier coordinator. Until each was heard or has left, or its
        lease is over, nobody gets more than it holds already."""
        self.limits = limits
        self._stated = vector_of(limits)
        self._workers: dict[Key, _Worker] = {}
        self._expected = set(expected)
        self._clock = SteadyClock(now)
        self._ledger = Ledger()
        self._division = Division()
        self._found = FoundLimits()
        self._outages = Outages()
        self._targets: dict[Key, Vector] = {}
        self._effective = EVERYTHING
        self._divided_at = float("-inf")
        self._is_outdated = True
        self._backoff_until = float("-inf")
        self._backoff_since: float | None = None
        self._last_error: LastError | None = None
        self._hold_to(self._stated, now)
        self._is_outdated = True

    def set_limits(self, limits: Limits, now: float) -> None:
        """Other limits hold from now on; workers learn of it with their next reports."""
        self.limits = limits
        self._stated = vector_of(limits)
        self._hold_to(tuple(map(min, self._stated, self._found.amounts)), now)

    def heard(self, member: Member, report: Report, now: float) -> Share:
        """Take in what a worker says of the endpoint, and say what it may use."""
        key, steady = member.key, self._clock.at(now)
        may_keep = bool(self._expected)
        if report.leaving:
            self._hear_of_endpoint(key, report, now)
            self.left(member.batch, member.worker, now)
            return Share(Grant(), self._backoff_s(now), None)
        self._take_in(member, report, now)
        extra = self._extra(self._workers[key])
        holding = self._ledger.acknowledge(key, report.holds, report.in_flight, extra, steady, may_keep=may_keep)
        self._is_no_longer_expected(key, now)
        self._hear_of_endpoint(key, report, now)
        self._divide_if_due(now)
        grant = self._next_grant(key, holding, steady)
        for limit in self._found.of.values():
            limit.bursts.told(key, grant.number)
            limit.bursts.holds(key, report.holds.number, now)
        return Share(
            grant,
            self._backoff_s(now),
            self._outages.told(key, self._workers, now, may_send=min(holding.last) > 0),
            is_urgent=self._is_urgent(key, holding, report.holds.number),
        )

    def left(self, batch: str, worker: str, now: float) -> None:
        """A worker has ended for certain: its share is free at once."""
        key = (batch, worker)
        self._forget(key, now)
        self._ledger.drop(key)
        self._is_no_longer_expected(key, now)

    def vanished(self, batch: str, worker: str, now: float) -> None:
        """Nobody knows whether a worker still runs: its share is free when its lease is over."""
        if (known := self._workers.get((batch, worker))) is not None:
            known.has_vanished = True
            self._outages.gone((batch, worker))
            self._is_outdated = True

    def facts(self, now: float) -> EndpointFacts:
        """How it is used."""
        self._clock.at(now)
        seen = {
            key: Seen(w.member.batch, self._ledger.holdings[key].may_use, w.demand.used, self._waits(key))
            for key, w in self._workers.items()
            if key in self._ledger.holdings and self._is_live(w, now)
        }
        return facts_of(
            seen,
            limits=self.limits,
            effective=self._effective,
            granted=self._ledger.may_use(),
            found=self._found,
            outages=self._outages,
            backoff_s=self._backoff_s(now),
            backoff_since=self._backoff_since,
            last_error=self._last_error,
            now=now,
        )

    def _take_in(self, member: Member, report: Report, now: float) -> None:
        worker = self._workers.get(member.key)
        if worker is None:
            worker = self._workers[member.key] = _Worker(member, DemandMemory(now))
            self._is_outdated = True
        possible = report.demand.possible_requests_per_minute
        worker.demand.heard(
            vector_of(report.demand),
            used_vector(report.used),
            report.largest_tokens,
            UNBOUNDED if possible is None else possible,
            now,
        )
        worker.member, worker.in_flight, worker.has_vanished = member, report.in_flight, False

    def _hear_of_endpoint(self, key: Key, report: Report, now: float) -> None:
        if report.backoff_seconds > 0 and now + report.backoff_seconds > self._backoff_until:
            self._backoff_since = now if now >= self._backoff_until else self._backoff_since
            self._backoff_until = now + report.backoff_seconds
        was_down = self._outages.since is not None
        self._outages.heard(key, report, now)
        if report.trouble is not None:
            self._last_error = LastError(report.trouble.message, now)
        if self._outages.since is not None:
            if not was_down:
                self._found.undo(self._outages.since)
                self._is_outdated = True
            return
        for said in report.push_backs:
            self._last_error = LastError(said.message or said.kind, now)
            self._is_outdated |= self._found.pushed_back(said, self._used(now), self._live(now), now)

    def _forget(self, key: Key, now: float) -> None:
        self._outages.gone(key)
        for limit in self._found.of.values():
            limit.bursts.gone(key, now)
        self._is_outdated |= self._workers.pop(key, None) is not None

    def _backoff_s(self, now: float) -> float:
        return max(0.0, self._backoff_until - now)

    def _is_live(self, worker: _Worker, now: float) -> bool:
        return not worker.has_vanished and now - worker.demand.at <= _SILENT_S

    def _live(self, now: float) -> list[Key]:
        return [key for key, worker in self._workers.items() if self._is_live(worker, now)]

    def _used(self, now: float) -> Vector:
        sums = [0.0] * len(ALL)
        for worker in self._workers.values():
            if self._is_live(worker, now):
                for d in ALL:
                    sums[d] += worker.demand.used[d]
                sums[CONCURRENCY] += max(0.0, worker.in_flight - worker.demand.used[CONCURRENCY])
        return tuple(sums)

    # What each should have.

    def _divide_if_due(self, now: float) -> None:
        cost_s = max(0.0, (len(self._workers) - _FEW_WORKERS) / _WORKERS_A_SECOND)
        due_s = cost_s if self._is_outdated else max(cost_s, _DIVIDE_EVERY_S)
        if now - self._divided_at >= due_s or now < self._divided_at:
            self._divide(now)

    def _divide(self, now: float) -> None:
        steady = self._clock.at(now)
        self._divided_at, self._is_outdated = now, False
        if steady > LEASE_S + MARGIN_S:
            for key in list(self._expected):
                self._is_no_longer_expected(key, now)
        for key in list(self._ledger.sweep(steady)):
            self._forget(key, now)
        used = self._used(now)
        self._found.grow(now, self._stated, used, self._used_up(now))
        effective = tuple(map(min, self._stated, self._found.amounts))
        if effective != self._effective:
            self._hold_to(effective, now)
        else:
            self._targets = self._worked_out(now, steady)

    def _used_up(self, now: float) -> Vector:
        """In which limits somebody is held back."""
        held_back = [0.0] * len(ALL)
        for key in self._live(now):
            most = self._workers[key].demand.said
            for d in ALL:
                held_back[d] += most[d] == UNBOUNDED
        return tuple(held_back)

    def _is_no_longer_expected(self, key: Key, now: float) -> None:
        """Once the last is heard, all that is out is known: it may be more than the limits of today."""
        if key in self._expected:
            self._expected.discard(key)
            if not self._expected:
                self._hold_to(self._effective, now, is_lower=True)

    def _hold_to(self, effective: Vector, now: float, *, is_lower: bool = False) -> None:
        """Other limits hold: work out the shares, and let nobody keep more where they are lower."""
        steady = self._clock.at(now)
        is_lower |= any(new < old for new, old in zip(effective, self._effective, strict=True))
        self._effective = effective
        requests = effective[REQUESTS]
        # A single worker never puts more into a minute than a whole number of requests; each further one may put one.
        whole = requests if requests == UNBOUNDED else math.floor(requests) + 1 if requests >= 1 else requests + 1
        self._ledger.capacity = (whole, *effective[1:])
        for key, worker in self._workers.items():
            if key in self._ledger.holdings:
                holding = self._ledger.holdings[key]
                holding.extra, holding.has_changed = self._extra(worker), True
        for key in list(self._ledger.sweep(steady)):
            self._forget(key, now)
        self._divided_at = now
        self._targets = self._worked_out(now, steady)
        if is_lower:
            self._ledger.lower(self._targets)

    def _worked_out(self, now: float, steady: float) -> dict[Key, Vector]:
        among = limited(self._effective)
        if not among:
            return dict.fromkeys(self._workers, EVERYTHING)
        room, asking = list(self._ledger.capacity), []
        for key, holding in self._ledger.holdings.items():
            worker = self._workers.get(key)
            if worker is None or not self._is_live(worker, now):
                room = [a - b if a != UNBOUNDED else a for a, b in zip(room, holding.charge, strict=True)]
                continue
            is_paid = holding.counts_until > steady
            if is_paid:
                room = [a - b for a, b in zip(room, holding.extra, strict=True)]
            asking.append(_asking(worker, holding, among, is_paid=is_paid))
        return self._division.targets(tuple(max(0.0, r) for r in room), asking, among, now)

    def _extra(self, worker: _Worker) -> Vector:
        """What a worker can put into a minute beyond its rates: one request, of its largest size."""
        extra = list(NOTHING)
        extra[REQUESTS] = 1.0 if self._effective[REQUESTS] != UNBOUNDED else 0.0
        for d in (TOKENS, INPUT_TOKENS):
            if (limit := self._effective[d]) != UNBOUNDED:
                extra[d] = min(worker.demand.largest or _LARGEST_UNKNOWN * limit, limit / 2)
        return tuple(extra)

    # What each gets.

    def _next_grant(self, key: Key, holding: Holding, steady: float) -> Grant:
        amounts = self._allowed(key, holding)
        if holding.number == 0 or not _are_alike(amounts, holding):
            self._ledger.give(key, amounts, steady)
        return grant_of(holding.number, holding.last)

    def _allowed(self, key: Key, holding: Holding) -> Vector:
        if self._expected:
            held = zip(holding.last, self._effective, strict=True)
            return tuple(limit if limit == UNBOUNDED else min(last, limit) for last, limit in held)
        target, left = self._targets.get(key), self._ledger.left_for(key)
        if target is None:
            target = tuple(0.0 if limit != UNBOUNDED else UNBOUNDED for limit in self._effective)
        ceiling = EVERYTHING if holding.ceiling is None else holding.ceiling[1]
        return tuple(
            _rounded(min(target[d], max(min(target[d], holding.last[d]), left[d]), ceiling[d]), d) for d in ALL
        )

    def _waits(self, key: Key) -> bool:
        """It could send, but has no share."""
        wants = all(amount > 0 for amount in self._workers[key].demand.said)
        return wants and any(amount <= 0 for amount in self._ledger.holdings[key].last)

    def _is_urgent(self, key: Key, holding: Holding, held_number: int) -> bool:
        """Others wait for its word that it uses less now, or it has yet to get what it should have."""
        if holding.number == held_number:
            return False
        gives_up = any(now < 0.95 * may for now, may in zip(holding.last, holding.may_use, strict=True))
        return gives_up or key not in self._targets


def _asking(worker: _Worker, holding: Holding, among: Collection[int], *, is_paid: bool) -> Asking:
    wanted = worker.demand.wanted(holding.last, among)
    return asking_for(
        worker.member,
        wanted,
        extra=NOTHING if is_paid else holding.extra,
        largest=worker.demand.largest,
        is_sending=all(holding.last[d] > 0 for d in among),
    )


def _rounded(amount: float, d: int) -> float:
    """Down, to amounts that read well."""
    if amount == UNBOUNDED:
        return amount
    return float(math.floor(amount + 1e-9)) if d == CONCURRENCY else math.floor(amount * 100 + 1e-6) / 100


def _are_alike(amounts: Vector, holding: Holding) -> bool:
    """Whether a grant may stay as it is."""
    if holding.ceiling is not None and holding.number < holding.ceiling[0]:
        return False
    for new, old in zip(amounts, holding.last, strict=True):
        if new != old and not (0 < new < UNBOUNDED and 0 < old < UNBOUNDED and abs(new - old) <= _UNCHANGED * old):
            return False
    return True
