"""The limits of the endpoint: who is admitted, and what the headers say about it.

The server asks once per request and charges only what is admitted. Pure: the clock and the number of
requests in flight are arguments.
"""

import math
from dataclasses import dataclass

from llmbatch_cli.simulator.durations import go_duration
from llmbatch_cli.simulator.settings import SimulatorSettings
from llmbatch_cli.simulator.windows import SlidingWindow

_CONCURRENCY_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Violation:
    """A request over a limit. `limit` is requests, tokens or concurrency."""

    limit: str
    message: str
    wait_s: float


class Limits:
    def __init__(self, settings: SimulatorSettings) -> None:
        self._requests: SlidingWindow | None = None
        self._tokens: SlidingWindow | None = None
        self.change(settings)

    def change(self, settings: SimulatorSettings) -> None:
        """What was admitted before still counts, unless its limit was off in between."""
        self._settings = settings
        window_s = settings.limit_window
        self._requests = _changed(self._requests, settings.requests_per_minute, window_s)
        self._tokens = _changed(self._tokens, settings.tokens_per_minute, window_s)

    def admit(self, tokens: int, in_flight: int, now: float) -> Violation | None:
        """Charges the request, or says which limit it is over and charges nothing."""
        violation = (
            self._concurrency_is_used_up(in_flight)
            or self._requests_are_used_up(now)
            or self._tokens_are_used_up(tokens, now)
        )
        if violation is None:
            if self._requests is not None:
                self._requests.charge(1, now)
            if self._tokens is not None:
                self._tokens.charge(tokens, now)
        return violation

    def headers(self, now: float) -> dict[str, str]:
        """The x-ratelimit headers of every answer. Their limit is per minute, whatever the window."""
        if self._requests is None and self._tokens is None:
            return {}
        return {
            **_headers("requests", self._requests, self._settings.requests_per_minute, now),
            **_headers("tokens", self._tokens, self._settings.tokens_per_minute, now),
        }

    def _concurrency_is_used_up(self, in_flight: int) -> Violation | None:
        allowed = self._settings.max_concurrency
        if allowed is None or in_flight < allowed:
            return None
        message = f"Too many concurrent requests: Limit {allowed}. Please try again later."
        return Violation("concurrency", message, _CONCURRENCY_WAIT_S)

    def _requests_are_used_up(self, now: float) -> Violation | None:
        window = self._requests
        if window is None or window.fits(1, now):
            return None
        wait_s = window.wait_s(1, now)
        message = f"Rate limit reached on requests per min (RPM): Limit {self._settings.requests_per_minute}, "
        return Violation("requests", message + f"Requested 1. Please try again in {go_duration(wait_s)}.", wait_s)

    def _tokens_are_used_up(self, tokens: int, now: float) -> Violation | None:
        window = self._tokens
        if window is None or window.fits(tokens, now):
            return None
        wait_s = window.wait_s(tokens, now)
        said = f"on tokens per min (TPM): Limit {self._settings.tokens_per_minute}, Requested {tokens}."
        if tokens > window.allowed:
            return Violation("tokens", f"Request too large {said}", wait_s)
        message = f"Rate limit reached {said} Please try again in {go_duration(wait_s)}."
        return Violation("tokens", message, wait_s)


def _changed(window: SlidingWindow | None, per_minute: int | None, window_s: float) -> SlidingWindow | None:
    if per_minute is None:
        return None
    allowed = math.floor(per_minute * window_s / 60 + 1e-9)
    if window is None:
        return SlidingWindow(allowed, window_s)
    window.allowed, window.window_s = allowed, window_s
    return window


def _headers(what: str, window: SlidingWindow | None, per_minute: int | None, now: float) -> dict[str, str]:
    if window is None:
        return {}
    return {
        f"x-ratelimit-limit-{what}": str(per_minute),
        f"x-ratelimit-remaining-{what}": str(window.remaining(now)),
        f"x-ratelimit-reset-{what}": go_duration(window.reset_s(now)),
    }
