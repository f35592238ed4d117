"""How often and how patiently a request is tried, and what answers mean."""

import pytest

from llmbatch_contract.webhook_answers import Delivered, GiveUp, Outcome, TryAgain, judge
from llmbatch_worker.delivering.trying import MOST_TRIES, PATIENCE_S, wait_s, why_given_up

_AGAIN = TryAgain("why")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        pytest.param(200, Delivered(), id="OK"),
        pytest.param(204, Delivered(), id="nothing to say"),
        pytest.param(400, GiveUp("it answers HTTP 400"), id="a bad request stays one"),
        pytest.param(410, GiveUp("it answers HTTP 410", is_gone=True), id="gone ends all"),
        pytest.param(408, TryAgain("it answers HTTP 408"), id="a timeout passes"),
        pytest.param(425, TryAgain("it answers HTTP 425"), id="too early passes"),
        pytest.param(429, TryAgain("it answers HTTP 429"), id="too many passes"),
        pytest.param(500, TryAgain("it answers HTTP 500"), id="an error of the server passes"),
    ],
)
def test_what_an_answer_means(status: int, outcome: Outcome) -> None:
    assert judge(status) == outcome


def test_waits_double_and_end_with_the_tenth_try() -> None:
    waits = [wait_s(_AGAIN, tries, 0, 0.5) for tries in range(1, MOST_TRIES + 1)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, None]


def test_those_that_failed_together_do_not_come_back_together() -> None:
    assert wait_s(_AGAIN, 3, 0, 0.0) == 3
    assert wait_s(_AGAIN, 3, 0, 1.0) == 5


def test_nothing_is_tried_after_a_quarter_of_an_hour() -> None:
    assert wait_s(_AGAIN, 2, PATIENCE_S - 2, 0.5) == 2
    assert wait_s(_AGAIN, 2, PATIENCE_S - 1, 0.5) is None


def test_retry_after_is_waited_for() -> None:
    assert wait_s(TryAgain("why", 120), 1, 0, 0.5) == 120
    assert wait_s(TryAgain("why", 120), 9, 0, 0.5) == 256


@pytest.mark.parametrize(("tries", "words"), [(1, "no; 1 try"), (10, "no; 10 tries")])
def test_tries_are_counted_in_words(tries: int, words: str) -> None:
    assert why_given_up("no", tries) == words
