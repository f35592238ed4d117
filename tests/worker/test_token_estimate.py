"""How many tokens a request is thought to use."""

import pytest

from llmbatch_contract.reports import Grant
from llmbatch_contract.spec import Api, Limits
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


_LIMITED = Limits(tokens_per_minute=1000, input_tokens_per_minute=800)


@pytest.mark.parametrize(
    ("question", "why"),
    [
        pytest.param(Question(Api.CHAT, b"", 700, 200), None, id="fits"),
        pytest.param(Question(Api.CHAT, b"", 700, 4000), None, id="fits, whatever the answer may be at most"),
        pytest.param(
            Question(Api.CHAT, b"", 900, 10),
            "the request needs about 900 input tokens, more than the endpoint's limits.inputTokensPerMinute of 800 "
            "allows in a minute",
            id="too many input tokens",
        ),
    ],
)
def test_a_request_that_no_limit_ever_allows_is_told_from_others(question: Question, why: str | None) -> None:
    assert TokenEstimate(_LIMITED).too_large(question) == why


def test_a_request_is_too_large_for_what_answers_are_known_to_need() -> None:
    estimate = TokenEstimate(Limits(tokens_per_minute=1000))
    question = Question(Api.CHAT, b"", 900, None)
    assert estimate.too_large(question) is None
    estimate.learn(question, Usage(900, 300))
    assert estimate.too_large(question) is not None
    estimate.granted(Grant(tokens_per_minute=2000))
    assert estimate.too_large(question) is None


@pytest.mark.parametrize("limits", [Limits(), Limits(requests_per_minute=1)])
def test_without_a_limit_of_tokens_nothing_is_too_large(limits: Limits) -> None:
    estimate = TokenEstimate(limits)
    estimate.granted(Grant(tokens_per_minute=5))
    assert estimate.too_large(Question(Api.CHAT, b"", 10**9, None)) is None


def test_an_answer_that_may_be_longer_than_the_limit_is_not_taken_to_be() -> None:
    read, tokens = TokenEstimate(_LIMITED).of(Question(Api.CHAT, b"", 100, 50_000))
    assert (read, tokens) == (100, 500)
