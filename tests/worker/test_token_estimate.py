"""How many tokens a request is thought to use."""

import pytest

from llmbatch_contract.spec import Api
from llmbatch_contract.usage import Usage
from llmbatch_worker.asking import Question
from llmbatch_worker.limits.estimate import TokenEstimate


def _question(tokens: int = 100, limit: int | None = None) -> Question:
    return Question(Api.CHAT, b"x" * 4 * tokens, tokens, limit)


def test_before_the_first_answer_the_limit_of_the_request_is_expected() -> None:
    assert TokenEstimate().output(_question(limit=50)) == 50


def test_before_the_first_answer_an_unlimited_request_is_expected_to_be_answered_at_some_length() -> None:
    assert TokenEstimate().output(_question()) == 256


@pytest.mark.parametrize("limit", [None, 1000])
def test_answers_are_expected_to_be_a_little_longer_than_past_ones(limit: int | None) -> None:
    estimate = TokenEstimate()
    for _ in range(200):
        estimate.learn(_question(), Usage(100, 40))
    assert 40 < estimate.output(_question(limit=limit)) <= 60


def test_no_answer_is_expected_above_the_limit_of_its_request() -> None:
    estimate = TokenEstimate()
    estimate.learn(_question(), Usage(100, 4000))
    assert estimate.output(_question(limit=30)) == 30


def test_the_length_of_prompts_is_learned() -> None:
    estimate = TokenEstimate()
    for _ in range(200):
        estimate.learn(_question(100), Usage(60, 1))
    assert estimate.input(_question(1000)) == pytest.approx(600, rel=0.01)


def test_an_endpoint_that_tells_no_usage_teaches_nothing() -> None:
    estimate = TokenEstimate()
    estimate.learn(_question(), Usage())
    assert (estimate.input(_question()), estimate.output(_question())) == (100, 256)


def test_a_prompt_has_at_least_one_token() -> None:
    estimate = TokenEstimate()
    for _ in range(500):
        estimate.learn(_question(10_000), Usage(1, 1))
    assert estimate.input(_question(1)) == 1
