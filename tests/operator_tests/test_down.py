"""What is said of an endpoint that answers nothing."""

from dataclasses import replace

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.reports import Trouble
from llmbatch_contract.status import ConditionType, Phase, Reason
from llmbatch_operator.decide import decide
from llmbatch_operator.down import endpoint_is_down
from llmbatch_operator.observed import Down, Talk
from operator_tests.operator_builders import NOW, PLANNED_CONDITION, SHARD, batch, condition, job, pod, spec, status

_REFUSED = Trouble(category=Category.CONNECTION, message="connection refused", failures=9, for_s=7)
_KNOWN = condition(ConditionType.ENDPOINT_DOWN, Reason.ENDPOINT_DOWN, "connection: refused")


@pytest.mark.parametrize(
    ("talk", "was_known", "said"),
    [
        pytest.param(Talk(), False, None, id="nothing is known of any trouble"),
        pytest.param(Talk(down=Down(3, _REFUSED)), False, None, id="three seconds are worth no word"),
        pytest.param(Talk(down=Down(6, _REFUSED)), False, True, id="it is down"),
        pytest.param(Talk(down=Down(6)), False, True, id="it is down and nobody says why"),
        pytest.param(Talk(down=Down(1, _REFUSED)), True, True, id="it is still down, after a restart"),
        pytest.param(Talk(), True, None, id="after a restart nobody knows yet"),
        pytest.param(Talk(has_answered=True), True, False, id="it answers again"),
        pytest.param(Talk(has_answered=True), False, None, id="it has always answered"),
    ],
)
def test_the_condition_follows_what_workers_say(talk: Talk, was_known: bool, said: bool | None) -> None:
    seen = status(Phase.RUNNING, *([_KNOWN] if was_known else []))
    facts = endpoint_is_down(batch(talk=talk, status=seen))
    assert [fact.holds for fact in facts.values()] == ([] if said is None else [said])
    assert set(facts) <= {ConditionType.ENDPOINT_DOWN}


def test_the_message_holds_what_was_seen() -> None:
    fact = endpoint_is_down(batch(talk=Talk(down=Down(6, _REFUSED))))[ConditionType.ENDPOINT_DOWN]
    assert fact.reason is Reason.ENDPOINT_DOWN
    assert fact.message.startswith("connection: connection refused; the batch waits and goes on by itself")


def test_a_batch_that_is_held_does_not_wait_for_its_endpoint() -> None:
    held = spec(suspend=True)
    seen = batch(held, jobs=[job(SHARD, is_suspended=True)], status=status(Phase.SUSPENDED, PLANNED_CONDITION, _KNOWN))
    assert decide(seen, NOW).facts[ConditionType.ENDPOINT_DOWN].reason is Reason.RECOVERED
    at_work = replace(seen, jobs={SHARD: job(SHARD)}, pods=(pod(SHARD),))
    assert ConditionType.ENDPOINT_DOWN not in decide(at_work, NOW).facts
