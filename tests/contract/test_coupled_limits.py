"""Requests and tokens go together, and nobody keeps what it cannot use: who uses how much in the end."""

from dataclasses import dataclass, field

import pytest

from llmbatch_contract.reports import Demand, Grant, Report, Used
from llmbatch_contract.sharing import EndpointShares, Member
from llmbatch_contract.spec import Limits

_REQUESTS, _TOKENS = 6_000, 6_000_000


@dataclass
class _Pod:
    """Uses all that it is granted, or as much as it can."""

    member: Member
    tokens_each: float
    possible: float | None
    held: Grant = field(default_factory=lambda: Grant(requests_per_minute=0, tokens_per_minute=0))

    @property
    def rates(self) -> dict[str, float]:
        """Requests a minute, as each limit lets them go."""
        granted = {
            "requests_per_minute": self.held.requests_per_minute,
            "tokens_per_minute": None if self.held.tokens_per_minute is None else self.held.tokens_per_minute,
        }
        each = {"requests_per_minute": 1.0, "tokens_per_minute": self.tokens_each}
        return {name: amount / each[name] for name, amount in granted.items() if amount is not None}

    @property
    def sends(self) -> float:
        """Requests a minute."""
        return min([*self.rates.values(), *([] if self.possible is None else [self.possible])])

    def report(self) -> Report:
        """As a worker's gate would say it."""
        sends, rates = self.sends, self.rates
        wants = {"requests_per_minute": 1.25 * sends + 12, "tokens_per_minute": (1.25 * sends + 12) * self.tokens_each}
        demand = {name: None if rates.get(name) == sends else wants[name] for name in wants}
        return Report(
            worker=self.member.worker,
            holds=self.held if self.held.number else Grant(),
            largest_tokens=self.tokens_each,
            demand=Demand(
                **demand,
                concurrency=8,
                possible_requests_per_minute=None if self.possible is None else 1.1 * self.possible,
            ),
            used=Used(requests_per_minute=sends, tokens_per_minute=sends * self.tokens_each),
        )


def _settled(limits: Limits, pods: list[_Pod], seconds: int = 90) -> EndpointShares:
    shares = EndpointShares(limits, 0.0)
    for second in range(seconds):
        for place, pod in enumerate(pods):
            pod.held = shares.heard(pod.member, pod.report(), second + place / len(pods)).grant
    return shares


def _pods(batch: str, count: int, tokens_each: float, possible: float | None = None) -> list[_Pod]:
    return [_Pod(Member("one", batch, f"{batch}-{n}"), tokens_each, possible) for n in range(count)]


def _sent(pods: list[_Pod]) -> float:
    return sum(pod.sends for pod in pods)


@pytest.mark.parametrize(
    ("short_each", "long_each", "short", "long"),
    [
        pytest.param(100, 200, 3_000, 3_000, id="tokens are plenty: equal requests"),
        pytest.param(100, 4_000, 4_615, 1_385, id="long ones use up the tokens, short ones the requests that are left"),
        pytest.param(4_000, 4_000, 750, 750, id="tokens are what all wait for: equal tokens"),
        pytest.param(1_500, 6_000, 2_000, 500, id="tokens are what all wait for, some for more of them"),
    ],
)
def test_both_limits_are_used_as_far_as_they_go_together(
    short_each: float, long_each: float, short: float, long: float
) -> None:
    shorts, longs = _pods("short", 3, short_each), _pods("long", 3, long_each)
    _settled(Limits(requests_per_minute=_REQUESTS, tokens_per_minute=_TOKENS), [*shorts, *longs])
    assert (_sent(shorts), _sent(longs)) == pytest.approx((short, long), rel=0.04)


@pytest.mark.parametrize("tokens", [None, _TOKENS], ids=["requests alone", "requests and tokens"])
def test_whoever_waits_for_tokens_leaves_the_requests_that_it_cannot_use(tokens: float | None) -> None:
    shorts, longs = _pods("short", 3, 100), _pods("long", 3, 8_000)
    shares = _settled(Limits(requests_per_minute=_REQUESTS, tokens_per_minute=tokens), [*shorts, *longs])
    granted = shares.facts(90).by_batch["long"].granted.requests_per_minute
    assert granted <= 1.05 * _sent(longs)
    assert _sent(shorts) + _sent(longs) >= 0.97 * _REQUESTS


@pytest.mark.parametrize(
    ("slow", "possible", "keeps"),
    [
        pytest.param(20, 3, 4.6, id="answers of twenty seconds, one at a time"),
        pytest.param(20, 40, 44, id="some tens a minute"),
        pytest.param(5, 600, 680, id="far more than a part"),
    ],
)
def test_a_slow_worker_keeps_no_more_than_it_can_send(slow: int, possible: float, keeps: float) -> None:
    slows, fasts = _pods("slow", slow, 100, possible), _pods("fast", 5, 100)
    shares = _settled(Limits(requests_per_minute=_REQUESTS), [*slows, *fasts])
    facts = shares.facts(90)
    assert facts.by_batch["slow"].granted.requests_per_minute <= slow * keeps
    assert _sent(slows) >= 0.97 * min(slow * possible, _REQUESTS / 2)
    assert facts.granted.requests_per_minute >= _REQUESTS - slow - 5 - 60
