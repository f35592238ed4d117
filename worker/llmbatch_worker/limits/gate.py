"""The one door that every request passes: concurrency, requests and tokens a minute, and waits that the endpoint asks.

One dispatcher waits here for one request at a time, so a large request is not overtaken by small ones for ever.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from llmbatch_contract.reports import Grant
from llmbatch_contract.usage import Usage
from llmbatch_worker.asking import Question
from llmbatch_worker.limits.adaptive import AdaptiveConcurrency
from llmbatch_worker.limits.estimate import TokenEstimate
from llmbatch_worker.limits.pacing import Pacer
from llmbatch_worker.waiting import wait_for_event

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Pass:
    """A request's permission, to be handed back."""

    sent_at: float
    input_tokens: float
    tokens: float
    waited_s: float = 0.0


class Gate:
    """Admits requests. `clock` is in seconds and monotonic."""

    def __init__(self, concurrency: int | None, clock: Clock) -> None:
        """With `concurrency` None it adapts to the endpoint."""
        self._clock = clock
        self._fixed = concurrency
        self._adaptive = AdaptiveConcurrency()
        self.grant = Grant()
        """The last that was given."""
        self._requests, self._tokens, self._input_tokens = Pacer(), Pacer(), Pacer()
        self._estimate = TokenEstimate()
        self._closed_until = float("-inf")
        self._is_paused = False
        self._is_shut = False
        self._changed = asyncio.Event()
        self.in_flight = 0
        self.largest_tokens = 0.0
        """Of all requests so far, by estimate."""

    @property
    def concurrency(self) -> int:
        """Requests that may be in flight now."""
        own = self._fixed if self._fixed is not None else self._adaptive.limit
        granted = self.grant.concurrency
        return own if granted is None else min(own, granted)

    @property
    def is_at_rest(self) -> bool:
        """Paused, and nothing is in flight any more."""
        return self._is_paused and self.in_flight == 0

    @property
    def backoff_s(self) -> float:
        """How long the endpoint asked to wait, from now on."""
        return max(0.0, self._closed_until - self._clock())

    def use(self, grant: Grant) -> None:
        """Stay under a new grant from now on."""
        self._requests.per_minute = grant.requests_per_minute
        self._tokens.per_minute = grant.tokens_per_minute
        self._input_tokens.per_minute = grant.input_tokens_per_minute
        self.grant = grant
        self._changed.set()

    def pause(self, paused: bool) -> None:
        """Admit nothing, or admit again."""
        self._is_paused = paused
        self._changed.set()

    def close_for(self, seconds: float) -> None:
        """Admit nothing for some seconds: the endpoint asked for it."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def now(self) -> float:
        """The time by the gate's clock."""
        return self._clock()

    def shut(self) -> None:
        """Admit nothing ever again; who waits is turned away."""
        self._is_shut = True
        self._changed.set()

    async def admit(self, question: Question) -> Pass | None:
        """Wait until a request may be sent, and count it as in flight; None when the gate is shut."""
        came_at = self._clock()
        read = self._estimate.input(question)
        tokens = read + self._estimate.output(question)
        self.largest_tokens = max(self.largest_tokens, tokens)
        while not self._is_shut and (wait_s := self._wait_s(read, tokens)) > 0:
            self._changed.clear()
            await wait_for_event(self._changed, wait_s)
        return None if self._is_shut else self._let_in(read, tokens, came_at)

    def _wait_s(self, read: float, tokens: float) -> float:
        if self._is_paused or self.in_flight >= self.concurrency:
            return float("inf")
        now = self._clock()
        return max(
            self._closed_until - now,
            self._requests.wait_s(now),
            self._tokens.wait_s(now, tokens),
            self._input_tokens.wait_s(now, read),
        )

    def _let_in(self, read: float, tokens: float, came_at: float) -> Pass:
        now = self._clock()
        self._requests.take(1, now)
        self._tokens.take(tokens, now)
        self._input_tokens.take(read, now)
        self.in_flight += 1
        return Pass(now, read, tokens, now - came_at)

    def leave(self, passed: Pass) -> None:
        """The request is no longer in flight."""
        self.in_flight -= 1
        self._changed.set()

    def answered(self, passed: Pass, question: Question, used: Usage, latency_s: float) -> None:
        """The endpoint answered: correct the estimates, and learn how fast it is."""
        self._estimate.learn(question, used)
        if used.total:
            self._tokens.give_back(passed.tokens - used.total)
            self._input_tokens.give_back(passed.input_tokens - used.input)
        self._adaptive.answered(latency_s, self.in_flight + 1)  # it has just left

    def refused(self, passed: Pass, *, pushed_back: bool) -> None:
        """The request failed: its tokens were not used; if `pushed_back`, the endpoint is too busy."""
        self._tokens.give_back(passed.tokens)
        self._input_tokens.give_back(passed.input_tokens)
        if pushed_back:
            self._adaptive.pushed_back(passed.sent_at, self._clock())
