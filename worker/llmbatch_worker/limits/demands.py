"""What a worker could use of each limit: all it can get where that holds it back, else a little more than it uses.

Pure: time is an argument. A wait that the endpoint asked for changes nothing about what could be used after it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from llmbatch_contract.reports import Demand

_HELD_S = 1.0
_AFTER_CLOSING_S = 10.0
_GROWTH = 1.25
_ROOM = 12.0
"""Requests a minute that somebody who sends hardly anything has room for."""
_LEARN = 0.1
_POSSIBLE, _POSSIBLE_ROOM = 1.1, 0.5

RATES = ("requests_per_minute", "tokens_per_minute", "input_tokens_per_minute")
CONCURRENCY = "concurrency"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a worker does at the moment."""

    used: tuple[float, float, float]
    """Of the rates, just now."""
    largest: float
    """Tokens of the largest request."""
    in_flight: int
    peak_in_flight: int
    own_concurrency: int
    """What the worker would allow itself."""
    left: int | None
    """Items that are not in flight; None: nobody knows how many will come."""
    has_begun: bool
    """Something was sent."""
    is_closed: bool
    """The endpoint asked to wait, or answers nothing."""


class Demands:
    """Of one worker."""

    def __init__(self) -> None:
        self._held_at: dict[str, float] = {}
        self._before: Mapping[str, float | None] = {}
        """What was wanted when nothing was closed; nothing known: all."""
        self._closed_at = float("-inf")
        self._latency_s: float | None = None
        """Of answers, on average."""
        self._full_since: float | None = None
        """As many as the worker allows itself are in flight, and none was answered since."""

    def answered(self, latency_s: float) -> None:
        """An answer took so long."""
        self._full_since = None
        old_s = latency_s if self._latency_s is None else self._latency_s
        self._latency_s = old_s + _LEARN * (latency_s - old_s)

    def held(self, by: str, now: float) -> None:
        """A request waits because of this limit."""
        self._held_at[by] = now

    def demand(self, seen: Situation, now: float) -> Demand:
        """What goes into the next report."""
        if seen.in_flight < seen.own_concurrency:
            self._full_since = None
        elif self._full_since is None:
            self._full_since = now
        if seen.is_closed:
            self._closed_at = now
            return self._demand(self._before, seen, now)
        wanted = self._wanted(seen, now)
        if now - self._closed_at < _AFTER_CLOSING_S:
            wanted = {name: _larger(wanted[name], self._before.get(name)) for name in wanted}
        self._before = wanted
        return self._demand(wanted, seen, now)

    def _demand(self, wanted: Mapping[str, float | None], seen: Situation, now: float) -> Demand:
        amounts = _capped(wanted, seen)
        busy = amounts.pop(CONCURRENCY)
        return Demand(
            **amounts,
            concurrency=None if busy is None else int(busy),
            possible_requests_per_minute=self._possible(seen.own_concurrency, now),
        )

    def _possible(self, own_concurrency: int, now: float) -> float | None:
        silent_s = 0.0 if self._full_since is None else now - self._full_since
        latency_s = max(self._latency_s or 0.0, silent_s)
        return _POSSIBLE * own_concurrency * 60 / latency_s + _POSSIBLE_ROOM if latency_s > 0 else None

    def _wanted(self, seen: Situation, now: float) -> dict[str, float | None]:
        rooms = (_ROOM, _ROOM * seen.largest, _ROOM * seen.largest)
        wanted: dict[str, float | None] = {
            name: None if not seen.has_begun or self._is_held(name, now) else _GROWTH * used + room
            for name, used, room in zip(RATES, seen.used, rooms, strict=True)
        }
        busy = float(seen.own_concurrency)
        if seen.has_begun and not self._is_held(CONCURRENCY, now):
            busy = min(busy, math.ceil(_GROWTH * seen.peak_in_flight) + 1.0)
        return {**wanted, CONCURRENCY: busy}

    def _is_held(self, name: str, now: float) -> bool:
        return now - self._held_at.get(name, float("-inf")) <= _HELD_S


def _larger(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else max(one, other)


def _capped(wanted: Mapping[str, float | None], seen: Situation) -> dict[str, float | None]:
    """No more than the items that are left can use."""
    caps: tuple[float, ...] = (math.inf,) * 4
    if seen.left is not None:
        rate = 60.0 * seen.left
        caps = (rate, rate * seen.largest, rate * seen.largest, seen.in_flight + seen.left)
    return {name: _least(wanted.get(name), cap) for name, cap in zip((*RATES, CONCURRENCY), caps, strict=True)}


def _least(amount: float | None, cap: float) -> float | None:
    if math.isinf(cap):
        return amount
    return cap if amount is None else min(amount, cap)
