"""Amounts of the four limits side by side, in the order of `DIMENSIONS`. Infinite: no limit."""

from llmbatch_contract.reports import Demand, Grant, Used
from llmbatch_contract.spec import Limits

Vector = tuple[float, ...]

DIMENSIONS = ("requests_per_minute", "tokens_per_minute", "input_tokens_per_minute", "concurrency")
"""The limits that an endpoint can have, as `Limits`, `Grant`, `Demand` and `Used` name them."""
REQUESTS, TOKENS, INPUT_TOKENS, CONCURRENCY = ALL = range(len(DIMENSIONS))
RATES = (REQUESTS, TOKENS, INPUT_TOKENS)

UNBOUNDED = float("inf")
NOTHING: Vector = (0.0,) * len(DIMENSIONS)
EVERYTHING: Vector = (UNBOUNDED,) * len(DIMENSIONS)


def vector_of(amounts: Limits | Grant | Demand) -> Vector:
    """None is infinite."""
    return (
        _number(amounts.requests_per_minute),
        _number(amounts.tokens_per_minute),
        _number(amounts.input_tokens_per_minute),
        _number(amounts.concurrency),
    )


def used_vector(used: Used) -> Vector:
    """What is in use has no infinite amounts."""
    return (used.requests_per_minute, used.tokens_per_minute, used.input_tokens_per_minute, float(used.concurrency))


def grant_of(number: int, amounts: Vector) -> Grant:
    """The way back."""
    requests, tokens, input_tokens, concurrency = (None if a == UNBOUNDED else a for a in amounts)
    return Grant(
        number=number,
        requests_per_minute=requests,
        tokens_per_minute=tokens,
        input_tokens_per_minute=input_tokens,
        concurrency=None if concurrency is None else int(concurrency),
    )


def limits_of(amounts: Vector) -> Limits:
    """As a manifest states them; a limit is never 0."""
    requests, tokens, input_tokens, concurrency = (None if a == UNBOUNDED else a for a in amounts)
    return Limits(
        requests_per_minute=requests,
        tokens_per_minute=tokens,
        input_tokens_per_minute=input_tokens,
        concurrency=None if concurrency is None else max(1, int(concurrency)),
    )


def limited(amounts: Vector) -> tuple[int, ...]:
    """Which of them are limits."""
    return tuple(d for d in ALL if amounts[d] != UNBOUNDED)


def _number(amount: float | None) -> float:
    return UNBOUNDED if amount is None else float(amount)
