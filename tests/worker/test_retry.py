"""Whether and when an item is asked again."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract.categories import MEANINGS, STOPS_BY_DEFAULT, Category, Rule
from llmbatch_contract.spec import Retry
from llmbatch_worker.retry import PATIENCE, THROTTLED, Again, GiveUp, StopBatch, after_failure

RETRIED = [c for c, (rule, _) in MEANINGS.items() if rule is Rule.RETRY]


def _after(
    category: Category,
    *,
    attempts: int = 1,
    blameless: int = 0,
    excused: int = 0,
    policy: Retry | None = None,
    stop_on: tuple[Category, ...] = STOPS_BY_DEFAULT,
    retry_after_s: float | None = None,
    chance: float = 1.0,
) -> Again | GiveUp | StopBatch:
    return after_failure(
        category,
        attempts=attempts,
        blameless=blameless,
        excused=excused,
        policy=policy or Retry(),
        stop_on=stop_on,
        retry_after_s=retry_after_s,
        chance=chance,
    )


@pytest.mark.parametrize("category", Category)
def test_the_rule_of_the_category_is_followed(category: Category) -> None:
    expected = {Rule.RETRY: Again, Rule.GIVE_UP: GiveUp, Rule.STOP: StopBatch}[MEANINGS[category][0]]
    assert isinstance(_after(category), expected)


@pytest.mark.parametrize("category", STOPS_BY_DEFAULT)
def test_a_category_taken_from_stop_on_gives_up_on_the_item_only(category: Category) -> None:
    assert _after(category, stop_on=()) == GiveUp()


@pytest.mark.parametrize("category", Category)
def test_any_category_can_be_made_to_stop_the_batch(category: Category) -> None:
    assert _after(category, stop_on=(category,)) == StopBatch()


@pytest.mark.parametrize("category", sorted(set(RETRIED) - THROTTLED))
def test_an_item_gets_as_many_attempts_as_the_policy_says(category: Category) -> None:
    policy = Retry(max_attempts=3)
    steps = [_after(category, attempts=n, policy=policy) for n in (1, 2, 3)]
    assert [type(s) for s in steps] == [Again, Again, GiveUp]


@pytest.mark.parametrize("category", sorted(THROTTLED))
def test_a_busy_endpoint_uses_up_attempts_ten_times_slower(category: Category) -> None:
    policy = Retry(max_attempts=3)
    last = next(n for n in itertools.count(1) if _after(category, attempts=n, blameless=n, policy=policy) == GiveUp())
    assert last == 3 * PATIENCE


def test_the_wait_doubles_up_to_the_longest() -> None:
    policy = Retry(max_attempts=9, initial_seconds=1, max_seconds=10)
    waits = [_after(Category.SERVER_ERROR, attempts=n, policy=policy) for n in range(1, 7)]
    assert waits == [Again(1), Again(2), Again(4), Again(8), Again(10), Again(10)]


def test_half_of_the_wait_is_left_to_chance() -> None:
    assert _after(Category.SERVER_ERROR, attempts=3, chance=0) == Again(2)
    assert _after(Category.SERVER_ERROR, attempts=3, chance=1) == Again(4)


def test_retry_after_is_the_least_wait() -> None:
    assert _after(Category.RATE_LIMITED, retry_after_s=90) == Again(90)
    assert _after(Category.RATE_LIMITED, retry_after_s=0.1) == Again(1)


@given(
    category=st.sampled_from(RETRIED),
    attempts=st.integers(1, 10_000),
    blameless=st.integers(0, 10_000),
    initial=st.floats(0.001, 3600),
    longest=st.floats(0.001, 3600),
    asked=st.none() | st.floats(0, 3600),
    chance=st.floats(0, 1),
)
def test_no_wait_is_negative_or_longer_than_asked_for(
    category: Category,
    attempts: int,
    blameless: int,
    initial: float,
    longest: float,
    asked: float | None,
    chance: float,
) -> None:
    policy = Retry(max_attempts=100, initial_seconds=initial, max_seconds=longest)
    step = _after(
        category,
        attempts=attempts,
        blameless=min(attempts, blameless),
        policy=policy,
        retry_after_s=asked,
        chance=chance,
    )
    if isinstance(step, Again):
        assert 0 < step.after_s <= max(longest, asked or 0)


@pytest.mark.parametrize("excused", [1, 100, 10_000])
def test_what_failed_in_an_outage_counts_for_nothing(excused: int) -> None:
    assert isinstance(_after(Category.CONNECTION, attempts=excused + 4, excused=excused), Again)
    assert _after(Category.CONNECTION, attempts=excused + 5, excused=excused) == GiveUp()
