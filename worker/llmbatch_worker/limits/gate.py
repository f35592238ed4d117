"""The one door that every request passes: concurrency, requests and tokens a minute, budget, and waits of any kind.

One dispatcher waits here for one request at a time, so a large request is not overtaken by small ones for ever.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from llmbatch_contract.reports import Demand, Grant, Outage, PushBackKind, Reply, Trouble, Used
from llmbatch_contract.spec import Limits
from llmbatch_contract.usage import Pricing, Usage
from llmbatch_worker.asking import Question
from llmbatch_worker.limits.adaptive import AdaptiveConcurrency
from llmbatch_worker.limits.demands import CONCURRENCY, Demands, Situation
from llmbatch_worker.limits.estimate import TokenEstimate
from llmbatch_worker.limits.lease import Lease
from llmbatch_worker.limits.probing import Probing
from llmbatch_worker.limits.purse import Price, Purse
from llmbatch_worker.limits.push_backs import PushBacks
from llmbatch_worker.limits.rates import Rates
from llmbatch_worker.limits.troubles import Troubles
from llmbatch_worker.waiting import wait_for_event

Clock = Callable[[], float]

_FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Pass:
    """A request's permission, to be handed back."""

    sent_at: float
    input_tokens: float
    tokens: float
    price: Price
    waited_s: float = 0.0
    is_probe: bool = False
    """Of an endpoint that is down."""


class Gate:
    """Admits requests. `clock` is in seconds and monotonic."""

    def __init__(
        self, concurrency: int | None, clock: Clock, *, limits: Limits | None = None, pricing: Pricing | None = None
    ) -> None:
        """With `concurrency` None it adapts to the endpoint. `limits` are those stated of the endpoint."""
        self._clock = clock
        self._fixed = concurrency
        self._adaptive = AdaptiveConcurrency()
        self.grant = Grant()
        """The last that was given."""
        self.purse, self.troubles, self.push_backs, self.probing = Purse(pricing), Troubles(), PushBacks(), Probing()
        self.estimate = TokenEstimate(limits or Limits())
        self.on_news: Callable[[], None] = lambda: None
        """Called when the coordinator should hear of something before the next report's time."""
        self.waits_for_budget = False
        """The next request is larger than what is left of the allowance."""
        self.in_flight = 0
        self._peak_in_flight = 0
        self._rates, self._lease, self._demands = Rates(), Lease(), Demands()
        self._asked_until = self._closed_until = float("-inf")
        self._is_paused = False
        self._is_shut = False
        self._changed = asyncio.Event()

    @property
    def concurrency(self) -> int:
        """Requests that may be in flight now."""
        granted = self.grant.concurrency
        return self._own_concurrency if granted is None else min(self._own_concurrency, granted)

    @property
    def _own_concurrency(self) -> int:
        return self._fixed if self._fixed is not None else self._adaptive.limit

    @property
    def is_at_rest(self) -> bool:
        """Paused, and nothing is in flight any more."""
        return self._is_paused and self.in_flight == 0

    @property
    def backoff_s(self) -> float:
        """How long the endpoint asked this worker to wait, from now on."""
        return max(0.0, self._asked_until - self._clock())

    @property
    def lease_is_over(self) -> bool:
        """Nothing may be sent before there is another reply."""
        return self._lease.is_over(self._clock())

    @property
    def largest_tokens(self) -> float:
        """Tokens of the largest request of the last minute, or that waits, with some room; by estimate."""
        return self._rates.largest_tokens(self._clock())

    @property
    def trouble(self) -> Trouble | None:
        """The endpoint answers nothing, as far as this worker can see."""
        return self.troubles.trouble(self._clock(), is_known=self.probing.is_down)

    @property
    def used(self) -> Used:
        """In the last seconds."""
        return self._rates.used(self._clock(), self.in_flight)

    def demand(self, left: int | None) -> Demand:
        """What could be used; `left` are the items that are not in flight, None while nobody knows."""
        now = self._clock()
        if self._is_paused and self._lease.has_begun:
            left = 0
        seen = Situation(
            used=self._rates.used_just_now(now),
            largest=self._rates.largest_tokens(now),
            in_flight=self.in_flight,
            peak_in_flight=max(self.in_flight, self._peak_in_flight),
            own_concurrency=self._own_concurrency,
            left=left,
            has_begun=self._rates.has_begun,
            is_closed=self._closed_until > now or self.probing.is_down,
        )
        self._peak_in_flight = self.in_flight
        return self._demands.demand(seen, now)

    def obey(self, reply: Reply, reported_at: float, told_largest: float) -> None:
        """Do as the reply says to the report that was sent at `reported_at` and told of the largest request."""
        self._lease.renew(reported_at, reply.grant)
        self._rates.told(told_largest)
        self.use(reply.grant)
        self.close_for(reply.backoff_seconds)
        self.use_outage(reply.outage)

    def telling(self, largest: float) -> None:
        """A report is sent that says so: it may be heard even if it is not answered."""
        self._rates.telling(largest)

    def use(self, grant: Grant) -> None:
        """Stay under a new grant from now on."""
        self._rates.change(grant, self._clock())
        self.estimate.granted(grant)
        self.purse.allowance = grant.budget
        self.grant = grant
        self._changed.set()

    def use_outage(self, outage: Outage | None) -> None:
        """The endpoint is down, or it is not."""
        if self.probing.is_down and outage is None:
            self.troubles.forget()
        self.probing.told(outage, self._clock())
        self._changed.set()

    def pause(self, paused: bool) -> None:
        """Admit nothing, or admit again."""
        self._is_paused = paused
        self._changed.set()

    def close_for(self, seconds: float) -> None:
        """Admit nothing for some seconds."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def asked_to_wait(self, seconds: float) -> None:
        """Admit nothing for some seconds: the endpoint asked everybody for it."""
        self._asked_until = max(self._asked_until, self._clock() + seconds)
        self.close_for(seconds)

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
        while not self._is_shut:
            read, tokens = self.estimate.of(question)
            price = self.purse.price(read, tokens)
            if (wait_s := self._wait_s(read, tokens, price)) <= 0:
                return self._let_in(read, tokens, price, came_at)
            self._changed.clear()
            await wait_for_event(self._changed, wait_s)
        return None

    def _wait_s(self, read: float, tokens: float, price: Price) -> float:
        now = self._clock()
        if self._is_paused or self._lease.is_over(now):
            return _FOREVER
        closed_s = max(self._closed_until - now, self.probing.wait_s(now, self._lease.silent_s(now)))
        if closed_s > 0:
            return closed_s
        if self._rates.is_news(tokens, self.estimate.most(tokens), now):
            self.on_news()
        if self._rates.is_untold(tokens):
            return _FOREVER
        return self._budget_s(price) or self._limits_s(read, tokens, now)

    def _limits_s(self, read: float, tokens: float, now: float) -> float:
        if self.in_flight >= self.concurrency:
            if self.in_flight < self._own_concurrency:
                self._demands.held(CONCURRENCY, now)
            return _FOREVER
        wait_s, held_by = self._rates.wait_s(read, tokens, now)
        for name in held_by:
            self._demands.held(name, now)
        return wait_s

    def _budget_s(self, price: Price) -> float:
        was_waiting, self.waits_for_budget = self.waits_for_budget, not self.purse.allows(price)
        if self.waits_for_budget and not was_waiting:
            self.on_news()
        return _FOREVER if self.waits_for_budget else 0.0

    def _let_in(self, read: float, tokens: float, price: Price, came_at: float) -> Pass:
        now = self._clock()
        self._rates.take(read, tokens, now)
        self.purse.take(price)
        self.in_flight += 1
        self._peak_in_flight = max(self._peak_in_flight, self.in_flight)
        return Pass(now, read, tokens, price, now - came_at, self.probing.begin())

    def leave(self, passed: Pass) -> None:
        """The request is no longer in flight."""
        self.in_flight -= 1
        self.purse.landed(passed.price)
        if passed.is_probe:
            self.probing.end(self._clock())
        self._changed.set()

    def answered(self, passed: Pass, question: Question, used: Usage, latency_s: float) -> None:
        """The endpoint answered: correct the estimates, and learn how fast it is."""
        self.estimate.learn(question, used)
        self._demands.answered(latency_s)
        self.purse.pay(used, passed.price)
        if used.total:
            self._give_back(passed, passed.tokens - used.total, passed.input_tokens - used.input)
        has_eased = self._adaptive.answered(latency_s, self.in_flight + 1)  # it has just left
        if has_eased and self._fixed is None:
            self.push_backs.note(PushBackKind.SLOW, passed.sent_at, now=self._clock())

    def refused(self, passed: Pass, kind: PushBackKind | None = None, message: str = "") -> None:
        """The endpoint did not take the request, so its tokens were not used; if it pushed back, in what way."""
        self._give_back(passed, passed.tokens, passed.input_tokens)
        self.pushed_back(passed, kind, message)

    def pushed_back(self, passed: Pass, kind: PushBackKind | None, message: str = "") -> None:
        """Send less: at once here, and everywhere as soon as the coordinator knows."""
        if kind is None:
            return
        if kind is not PushBackKind.RATE_LIMITED or self.grant.requests_per_minute is None:
            self.slow_down(passed)
        if self.push_backs.note(kind, passed.sent_at, message, now=self._clock()):
            self.on_news()

    def slow_down(self, passed: Pass) -> None:
        """Have fewer requests in flight; failures of requests sent before the last time say nothing new."""
        self._adaptive.pushed_back(passed.sent_at, self._clock())

    def endpoint_answers(self) -> None:
        """There was an answer: the endpoint is not down, whatever the coordinator knows."""
        was_down = self.probing.is_down
        self.troubles.answered()
        if was_down:
            self.use_outage(None)
            self.on_news()

    def _give_back(self, passed: Pass, tokens: float, read: float) -> None:
        self._rates.give_back(read, tokens, passed.sent_at, self._clock())
