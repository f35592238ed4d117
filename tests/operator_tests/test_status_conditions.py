"""Conditions as Kubernetes knows them, the size of a status, and what it becomes when it is written and read back."""

from datetime import timedelta

import orjson
import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.progress import Sample, Totals
from llmbatch_contract.reports import PlanFacts
from llmbatch_contract.status import Condition, ConditionType, LLMBatchStatus, Phase, Reason
from llmbatch_contract.usage import Usage
from llmbatch_operator.observed import Decision, Fact, Talk
from llmbatch_operator.status_of import Pace, conditions, status_of
from operator_tests.operator_builders import NOW, PLANNED_CONDITION, batch, condition

_LATER = NOW + timedelta(minutes=1)
_BLOCKED = ConditionType.BLOCKED


def _one(before: list[Condition], fact: Fact) -> Condition:
    [made] = conditions(before, {_BLOCKED: fact}, 3, _LATER)
    return made


def test_a_new_condition_begins_now() -> None:
    made = _one([], Fact(True, Reason.STORE_FULL, "full"))
    assert (made.status, made.reason, made.message) == ("True", Reason.STORE_FULL, "full")
    assert (made.last_transition_time, made.observed_generation) == (_LATER, 3)


@pytest.mark.parametrize(
    ("fact", "since"),
    [
        pytest.param(Fact(True, Reason.STORE_FULL), NOW, id="the same"),
        pytest.param(Fact(True, Reason.SECRET_MISSING), NOW, id="another reason, but still true"),
        pytest.param(Fact(False, Reason.NOT_BLOCKED), _LATER, id="no longer true"),
    ],
)
def test_the_time_of_transition_changes_only_with_true_and_false(fact: Fact, since: object) -> None:
    made = _one([condition(_BLOCKED, Reason.STORE_FULL)], fact)
    assert (made.last_transition_time, made.reason) == (since, fact.reason)


def test_what_never_was_need_not_be_denied() -> None:
    assert conditions([], {_BLOCKED: Fact(False, Reason.NOT_BLOCKED)}, 1, NOW) == []


def test_conditions_that_are_not_spoken_of_stay_as_they_are() -> None:
    made = conditions([PLANNED_CONDITION], {_BLOCKED: Fact(True, Reason.STORE_FULL)}, 3, _LATER)
    assert made[0] == PLANNED_CONDITION
    assert [c.type for c in made] == [ConditionType.PLANNED, _BLOCKED]


def _largest(texts: str) -> LLMBatchStatus:
    """A status with as much in it as can be: many errors, long ids and messages, all conditions."""
    counts = {category: 10**9 + n for n, category in enumerate(Category)}
    samples = {category: Sample(item_id=texts, message=texts) for category in Category}
    totals = Totals(
        10**9, 10**9, 10**9, 10**9, usage=Usage(10**12, 10**12, 10**12, 10**12), errors=counts, samples=samples
    )
    facts = {type_: Fact(True, Reason.FAILURE_POLICY_EXCEEDED, texts) for type_ in ConditionType}
    seen = batch(talk=Talk(plan=PlanFacts(items=10**10, shards=10_000)))
    return status_of(seen, Decision(Phase.RUNNING, facts=facts), Pace(totals, items_per_second=1e3), NOW)


@pytest.mark.parametrize(
    ("texts", "most_bytes"),
    [
        pytest.param("HTTP 500: the server had an error", 4096, id="as usual"),
        pytest.param("x" * 100_000, 12_000, id="very long ids and messages"),
        pytest.param("語" * 100_000, 30_000, id="in any language"),
    ],
)
def test_a_status_stays_small_whatever_is_in_it(texts: str, most_bytes: int) -> None:
    assert len(orjson.dumps(_largest(texts).dump())) <= most_bytes


def test_a_status_read_back_is_the_one_that_was_written() -> None:
    made = _largest("x")
    assert LLMBatchStatus.model_validate(orjson.loads(orjson.dumps(made.dump()))) == made
