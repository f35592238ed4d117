"""Whether and when to ask again after a failure. Pure: chance is an argument."""

from dataclasses import dataclass

from llmbatch_contract.categories import Category, Rule, rule_of
from llmbatch_contract.spec import Retry

THROTTLED = frozenset({Category.RATE_LIMITED, Category.OVERLOADED})
"""The endpoint had no room: nothing is wrong with the item."""

PATIENCE = 10
"""Blameless attempts count only a tenth, so that a busy or absent endpoint does not use up an item's attempts."""


@dataclass(frozen=True, slots=True)
class Again:
    """Ask again."""

    after_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The item is a dead letter."""


@dataclass(frozen=True, slots=True)
class StopBatch:
    """The batch stops; the item stays unanswered."""


def after_failure(
    category: Category,
    *,
    attempts: int,
    blameless: int,
    excused: int,
    policy: Retry,
    stop_on: tuple[Category, ...],
    retry_after_s: float | None,
    chance: float,
) -> Again | GiveUp | StopBatch:
    """The next step of an item that has failed `attempts` times, `blameless` of these through no fault of its own.

    `excused` ones count for nothing: the endpoint was known to be down.

    `chance` is from 0 to 1. The wait is half fixed and half random, so that items which failed together do not come
    back together: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter ("equal jitter").
    """
    match rule_of(category, stop_on):
        case Rule.STOP:
            return StopBatch()
        case Rule.GIVE_UP:
            return GiveUp()
        case Rule.RETRY:
            counted = attempts - blameless - excused
            if counted >= policy.max_attempts or blameless >= policy.max_attempts * PATIENCE:
                return GiveUp()
            doubled = policy.initial_seconds * 2.0 ** min(attempts - 1, 30)
            wait = min(policy.max_seconds, doubled) * (0.5 + chance / 2)
            return Again(max(wait, retry_after_s or 0.0))
