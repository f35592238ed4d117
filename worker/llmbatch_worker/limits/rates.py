"""What may be sent a minute, and what is: requests, tokens and input tokens. Pure: time is an argument.

Whoever shares out the limits keeps room for the largest request of each worker. So a request larger than those before
is not sent until the coordinator was told of it; a little more is told, so that not each has to wait for that.
"""

from llmbatch_contract.reports import Grant, Used
from llmbatch_worker.limits.demands import RATES
from llmbatch_worker.limits.largest import Largest
from llmbatch_worker.limits.pacing import Pacer, TokenPacer
from llmbatch_worker.limits.recent import Recent

_AHEAD = 1.1


class Rates:
    """Of one worker."""

    def __init__(self) -> None:
        self._requests, self._tokens, self._input_tokens = Pacer(), TokenPacer(), TokenPacer()
        self._recent = Recent()
        self._largest, self._told_largest = Largest(), 0.0

    def change(self, grant: Grant, now: float) -> None:
        """Another grant holds from now on."""
        self._requests.change(grant.requests_per_minute, now)
        self._tokens.change(grant.tokens_per_minute, now)
        self._input_tokens.change(grant.input_tokens_per_minute, now)

    @property
    def has_begun(self) -> bool:
        """Something was sent."""
        return self._recent.has_begun

    def used(self, now: float, in_flight: int) -> Used:
        """By the last ten seconds or so."""
        return self._recent.used(now, in_flight)

    def used_just_now(self, now: float) -> tuple[float, float, float]:
        """Of each rate, by the last two seconds or so."""
        return self._recent.used_just_now(now)

    def largest_tokens(self, now: float) -> float:
        """Tokens of the largest request of the last minute, or that waits; by estimate."""
        return self._largest.last_minute(now)

    def telling(self, largest: float) -> None:
        """A report is sent that says so: it may be heard even if it is not answered."""
        self._told_largest = min(self._told_largest, largest)

    def told(self, largest: float) -> None:
        """A report that says so was answered."""
        self._told_largest = largest

    def is_news(self, tokens: float, most: float, now: float) -> bool:
        """Take in that a request of so many tokens waits; True if the coordinator has to be told. None has `most`."""
        if tokens <= self._largest.last_minute(now):
            return False
        self._largest.note(min(_AHEAD * tokens, most), now)
        return self._is_limited_in_tokens

    def is_untold(self, tokens: float) -> bool:
        """Whether so large a request has to wait until the coordinator was told of it."""
        return tokens > self._told_largest and self._is_limited_in_tokens

    def wait_s(self, read: float, tokens: float, now: float) -> tuple[float, list[str]]:
        """Seconds until a request may go, and the limits that hold it back for so long."""
        waits = (
            self._requests.wait_s(now),
            self._tokens.wait_s(now, tokens),
            self._input_tokens.wait_s(now, read),
        )
        longest = max(waits)
        if longest <= 0:
            return 0.0, []
        return longest, [name for name, wait_s in zip(RATES, waits, strict=True) if wait_s == longest]

    def take(self, read: float, tokens: float, now: float) -> None:
        """A request goes."""
        self._requests.take(1, now)
        self._tokens.take(tokens, now)
        self._input_tokens.take(read, now)
        self._recent.sent(tokens, read, now)
        self._largest.note(tokens, now)

    def give_back(self, read: float, tokens: float, sent_at: float, now: float) -> None:
        """What was sent then has not used so much of its estimate, or (negative) more than it."""
        self._tokens.give_back(tokens, sent_at, now)
        self._input_tokens.give_back(read, sent_at, now)
        self._recent.correct(tokens, read, sent_at, now)

    @property
    def _is_limited_in_tokens(self) -> bool:
        return self._tokens.per_minute is not None or self._input_tokens.per_minute is not None
