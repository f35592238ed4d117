"""What becomes of a request: its failure if it is due one, its answers and its latency. Pure.

The server makes a plan, asks the limits with its tokens, waits and answers.
"""

import math
from dataclasses import dataclass

from llmbatch_cli.simulator.answers import Answer, compose, normal, spoil
from llmbatch_cli.simulator.asked import Api, Asked
from llmbatch_cli.simulator.categories import OF_TEXT, WITHOUT_ANSWER, Category
from llmbatch_cli.simulator.errors import ApiError, invalid
from llmbatch_cli.simulator.failures import error_of
from llmbatch_cli.simulator.fate import DirectiveError, Directives, Failure, failure_of, read_directives
from llmbatch_cli.simulator.settings import SimulatorSettings

_SLOW_FACTOR = 10
_SLOW_AT_LEAST_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """`failure` is what the item is in for, `category` what happens on this attempt."""

    failure: Failure | None
    category: Category | None
    error: ApiError | None
    answers: tuple[Answer, ...]
    output_tokens: int
    latency_s: float


def plan_answer(settings: SimulatorSettings, asked: Asked, attempts_seen: int) -> Plan:
    directives = _directives(asked)
    failure = failure_of(settings, asked.key, directives)
    if asked.api is Api.EMBEDDINGS and failure is not None and failure.category in OF_TEXT:
        failure = None
    category = failure.category if failure is not None and failure.strikes(attempts_seen) else None
    error = error_of(category, asked)
    answers = () if error else tuple(spoil(answer, category, asked) for answer in compose(settings, asked))
    output_tokens = 0 if category in WITHOUT_ANSWER else sum(answer.tokens for answer in answers)
    latency_s = _latency_s(settings, asked, directives, category, error, output_tokens)
    return Plan(failure, category, error, answers, output_tokens, latency_s)


def crowding(settings: SimulatorSettings, in_flight: int) -> float:
    """How much longer everything takes when more are in flight than the model server can serve at once."""
    capacity = settings.overloaded_concurrency
    return 1.0 if capacity is None else max(1.0, in_flight / capacity)


def _directives(asked: Asked) -> Directives:
    try:
        return read_directives(asked.content.texts)
    except DirectiveError as error:
        raise invalid(str(error)) from None


def _latency_s(
    settings: SimulatorSettings,
    asked: Asked,
    directives: Directives,
    category: Category | None,
    error: ApiError | None,
    output_tokens: int,
) -> float:
    # A real endpoint turns requests away at the door; only a 500 comes after some work.
    if error is not None and category is not Category.SERVER_ERROR:
        return 0.0
    latency_s = settings.latency if directives.latency_s is None else directives.latency_s
    if settings.latency_spread and latency_s and directives.latency_s is None:
        latency_s *= math.exp(settings.latency_spread * normal(settings.seed, "latency", asked.key))
    if settings.tokens_per_second:
        latency_s += output_tokens / settings.tokens_per_second
    return max(latency_s * _SLOW_FACTOR, _SLOW_AT_LEAST_S) if category is Category.SLOW else latency_s
