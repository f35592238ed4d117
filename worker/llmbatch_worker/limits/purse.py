"""What a worker has spent of a budget and what it may still spend. Pure.

A request is counted by estimate from when it is sent, so the requests in flight never spend more than is allowed,
except by what an estimate was too low.
"""

from dataclasses import dataclass

from llmbatch_contract.reports import Allowance, Spent
from llmbatch_contract.usage import Pricing, Usage

_CLOSE = 1e-9


@dataclass(frozen=True, slots=True)
class Price:
    """What a request will use of a budget, by estimate."""

    tokens: float
    cost: float


class Purse:
    """Of one worker."""

    def __init__(self, pricing: Pricing | None = None) -> None:
        self._pricing = pricing
        self.allowance = Allowance()
        self._tokens, self._cost = 0, 0.0
        self._in_flight = 0
        self._in_flight_tokens = self._in_flight_cost = 0.0

    @property
    def spent(self) -> Spent:
        """So far, and by requests in flight."""
        return Spent(
            tokens=self._tokens,
            cost=self._cost,
            in_flight_tokens=self._in_flight_tokens,
            in_flight_cost=self._in_flight_cost,
        )

    def price(self, read: float, tokens: float) -> Price:
        """Of a request that reads so many tokens and uses so many in all."""
        if self._pricing is None:
            return Price(tokens, 0.0)
        usage = Usage(round(read), round(max(0.0, tokens - read)))
        return Price(tokens, usage.cost(self._pricing) or 0.0)

    def allows(self, price: Price) -> bool:
        """Whether there is enough left for a request."""
        most_tokens, most_cost = self.allowance.tokens, self.allowance.cost
        tokens = self._tokens + self._in_flight_tokens + price.tokens
        cost = self._cost + self._in_flight_cost + price.cost
        return (most_tokens is None or tokens <= most_tokens * (1 + _CLOSE)) and (
            most_cost is None or cost <= most_cost * (1 + _CLOSE)
        )

    def take(self, price: Price) -> None:
        """A request goes."""
        self._in_flight += 1
        self._in_flight_tokens += price.tokens
        self._in_flight_cost += price.cost

    def landed(self, price: Price) -> None:
        """A request is no longer in flight."""
        self._in_flight -= 1
        self._in_flight_tokens = self._in_flight_tokens - price.tokens if self._in_flight else 0.0
        self._in_flight_cost = self._in_flight_cost - price.cost if self._in_flight else 0.0

    def pay(self, used: Usage, price: Price) -> None:
        """An answer has used so much; one that does not say how much has used what was estimated."""
        self._tokens += used.total or round(price.tokens)
        self._cost += (used.cost(self._pricing) or 0.0) if used.total else price.cost
