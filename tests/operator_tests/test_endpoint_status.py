"""What an LLMEndpoint says of itself, and which Events that is worth."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.llmendpoint import EndpointConditionType, EndpointReason, LLMEndpointStatus
from llmbatch_contract.reports import Trouble
from llmbatch_contract.sharing import Amounts, EndpointFacts
from llmbatch_contract.spec import Limits
from llmbatch_operator.endpoints.endpoint_conditions import endpoint_events
from llmbatch_operator.endpoints.endpoint_status import endpoint_status, twins_of
from llmbatch_operator.endpoints.known import KnownEndpoint
from operator_tests.endpoint_builders import LIMITS, NOW, URL, endpoint_facts, known

_DOWN = endpoint_facts(
    is_down=True,
    down_since_s=30,
    trouble=Trouble(category=Category.CONNECTION, message="cannot connect", failures=9, for_s=30),
    has_answered=False,
)
_FOUND = Limits.model_validate({"requestsPerMinute": 480.0, "tokensPerMinute": 100_000.0})
_SLOWED = endpoint_facts(effective=_FOUND, throttled_since_s=12, last_error="HTTP 429: slow down", last_error_ago_s=3)


def _status(
    facts: EndpointFacts | None,
    old: LLMEndpointStatus | None = None,
    *,
    endpoint: KnownEndpoint | None = None,
    twins: Sequence[str] = (),
    later_s: float = 0,
) -> LLMEndpointStatus:
    now = NOW + timedelta(seconds=later_s)
    return endpoint_status(endpoint or known(limits=LIMITS), facts, batches=3, twins=twins, old=old, now=now)


def _condition(status: LLMEndpointStatus, type_: EndpointConditionType) -> tuple[str, EndpointReason, str]:
    [found] = [(c.status, c.reason, c.message) for c in status.conditions if c.type is type_]
    return found


def test_numbers_are_those_of_all_pods_as_people_read_them() -> None:
    status = _status(endpoint_facts(waiting_pods=2))
    assert (status.batches, status.pods, status.waiting_pods, status.observed_generation) == (3, 8, 2, 1)
    assert status.granted is not None
    assert status.granted.dump() == {"requestsPerMinute": 592, "tokensPerMinute": 98_000}
    assert status.used is not None
    assert status.used.dump() == {
        "requestsPerMinute": 571,
        "tokensPerMinute": 80_123,
        "inputTokensPerMinute": 60_000,
        "concurrency": 12,
    }


def test_small_numbers_keep_a_digit() -> None:
    used = _status(endpoint_facts(used=Amounts(0.4567))).used
    assert used is not None
    assert used.requests_per_minute == 0.5


@pytest.mark.parametrize(
    ("facts", "endpoint", "health", "condition", "words"),
    [
        pytest.param(None, None, "Unused", ("Unknown", EndpointReason.UNUSED), "nobody has asked", id="unused"),
        pytest.param(endpoint_facts(), None, "Healthy", ("True", EndpointReason.ANSWERS), "it answers", id="healthy"),
        pytest.param(_SLOWED, None, "Throttled", ("True", EndpointReason.ANSWERS), "it answers", id="throttled"),
        pytest.param(
            _DOWN, None, "Down", ("False", EndpointReason.DOWN), "it answers nothing: cannot connect", id="down"
        ),
        pytest.param(
            endpoint_facts(),
            known(headers={"a b": "c"}),
            "Invalid",
            ("False", EndpointReason.INVALID_SPEC),
            "spec.headers: 'a b' is no name of a header; batches that run go on as they were",
            id="invalid",
        ),
    ],
)
def test_its_health_is_said_in_a_word_and_in_a_sentence(
    facts: EndpointFacts | None,
    endpoint: KnownEndpoint | None,
    health: str,
    condition: tuple[str, EndpointReason],
    words: str,
) -> None:
    status = _status(facts, endpoint=endpoint)
    *told, message = _condition(status, EndpointConditionType.HEALTHY)
    assert (status.health, tuple(told)) == (health, condition)
    assert words in message


def test_what_is_sent_instead_of_the_limits_is_said_with_the_reason() -> None:
    status = _status(_SLOWED)
    assert _condition(status, EndpointConditionType.THROTTLED) == (
        "True",
        EndpointReason.PUSHED_BACK,
        "pods send at most 480 requests/min of 600; it answered: HTTP 429: slow down",
    )
    assert status.throttled_since == NOW - timedelta(seconds=12)
    assert (status.last_error, status.last_error_time) == ("HTTP 429: slow down", NOW - timedelta(seconds=3))


def test_where_no_limit_is_stated_the_found_one_is_told() -> None:
    found = Limits.model_validate({"concurrency": 7})
    status = _status(endpoint_facts(limits=Limits(), effective=found, throttled_since_s=1))
    assert "pods send at most 7 in flight" in _condition(status, EndpointConditionType.THROTTLED)[2]
    assert status.granted is not None
    assert status.granted.requests_per_minute is None, "of what is not limited, no number says what may be used"


def test_a_wait_that_it_asked_for_is_told_with_its_end() -> None:
    status = _status(endpoint_facts(throttled_since_s=1, backoff_s=20))
    assert status.throttled_until == NOW + timedelta(seconds=20)
    assert "pods send less than the limits allow" in _condition(status, EndpointConditionType.THROTTLED)[2]


def test_a_status_that_says_nothing_new_stays_as_it_is() -> None:
    first = _status(_SLOWED)
    aged = {"throttled_since_s": 17.4, "last_error_ago_s": 8.2, "effective": _FOUND, "last_error": _SLOWED.last_error}
    assert _status(endpoint_facts(**aged), first, later_s=5) == first


def test_what_was_known_before_a_restart_stands_until_somebody_knows_better() -> None:
    silent = endpoint_facts(has_answered=False)
    down = _status(_DOWN)
    assert _status(silent, down).health == "Down"
    assert _status(None, down).health == "Unused", "nobody would notice that it is up again"
    healthy = _status(endpoint_facts())
    assert _status(silent, healthy).health == _status(None, healthy).health == "Healthy"


def test_times_of_transition_change_with_the_condition_only() -> None:
    first = _status(endpoint_facts())
    again = _status(endpoint_facts(pods=9), first, later_s=60)
    assert [c.last_transition_time for c in again.conditions] == [NOW]
    down = _status(_DOWN, again, later_s=120)
    assert [c.last_transition_time for c in down.conditions] == [NOW + timedelta(seconds=120)]


@pytest.mark.parametrize(
    ("others", "twins"),
    [
        pytest.param([known("b")], ["b"], id="the same URL, and no key"),
        pytest.param([known("b", url=f"{URL}/"), known("c", url=URL)], ["b", "c"], id="written in another way"),
        pytest.param([known("b", url="https://api.example.com/v2")], [], id="another URL"),
        pytest.param([known("b", apiKeySecret={"name": "x", "key": "y"})], [], id="another key"),
        pytest.param([known("b", headers={"a b": "c"})], [], id="a broken one"),
        pytest.param([known("a")], [], id="itself"),
    ],
)
def test_others_with_the_same_url_and_key_are_found(others: list[KnownEndpoint], twins: list[str]) -> None:
    assert twins_of(known("a"), others) == twins


def test_a_duplicate_is_pointed_out_until_there_is_none() -> None:
    first = _status(None, twins=["b"])
    _, reason, message = _condition(first, EndpointConditionType.DUPLICATE)
    assert reason is EndpointReason.SAME_URL_AND_KEY
    assert message.startswith("the LLMEndpoint b has the same URL and key, and their limits add up")
    assert _condition(_status(None, first), EndpointConditionType.DUPLICATE)[:2] == ("False", EndpointReason.UNIQUE)
    assert len(_status(None).conditions) == 1, "nobody needs to be told that there never was one"


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        pytest.param([None, endpoint_facts()], [], id="that it is used for the first time is no news"),
        pytest.param([_DOWN], [("Warning", EndpointReason.DOWN)], id="down"),
        pytest.param(
            [endpoint_facts(), _DOWN, _DOWN, endpoint_facts()],
            [("Warning", EndpointReason.DOWN), ("Normal", EndpointReason.ANSWERS)],
            id="down for a while",
        ),
        pytest.param(
            [endpoint_facts(), _SLOWED, endpoint_facts(effective=_FOUND, throttled_since_s=2), None],
            [("Warning", EndpointReason.PUSHED_BACK), ("Normal", EndpointReason.RECOVERED)],
            id="throttled for a while",
        ),
    ],
)
def test_events_tell_of_what_has_changed(
    facts: list[EndpointFacts | None], told: list[tuple[str, EndpointReason]]
) -> None:
    old: LLMEndpointStatus | None = None
    events = []
    for each in facts:
        new = _status(each, old)
        events += endpoint_events(old.conditions if old is not None else [], new.conditions)
        old = new
    assert [(event.type, event.reason) for event in events] == told


def test_whatever_an_endpoint_says_a_status_stays_small() -> None:
    facts: dict[str, Any] = {"throttled_since_s": 1, "last_error": "x" * 100_000, "last_error_ago_s": 1}
    assert len(_status(endpoint_facts(**facts)).dump_json()) < 4000
