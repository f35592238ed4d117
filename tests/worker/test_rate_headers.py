"""What endpoints say about waiting, in all the forms that are met."""

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_worker.limits.headers import LONGEST_WAIT_S, exhausted_s, retry_after_s

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("20", 20, id="whole seconds"),
        pytest.param(" 20 ", 20, id="with spaces"),
        pytest.param("0.5", 0.5, id="a fraction"),
        pytest.param("0", 0, id="none"),
        pytest.param("6m0s", 360, id="a Go duration"),
        pytest.param("1m30.5s", 90.5, id="a Go duration with a fraction"),
        pytest.param("12ms", 0.012, id="milliseconds"),
        pytest.param("1h", 3600, id="an hour"),
        pytest.param("99h", LONGEST_WAIT_S, id="no longer than an hour"),
        pytest.param("999999", LONGEST_WAIT_S, id="a number above the longest wait"),
        pytest.param("1800000030", 30, id="a Unix time"),
        pytest.param("1700000000", 0, id="a Unix time in the past"),
        pytest.param(email.utils.formatdate(NOW + 40, usegmt=True), 40, id="an HTTP date"),
        pytest.param(email.utils.formatdate(NOW - 40, usegmt=True), 0, id="an HTTP date in the past"),
        pytest.param("-1", None, id="minus one"),
        pytest.param("", None, id="nothing"),
        pytest.param("soon", None, id="a word"),
        pytest.param("1s 2s", None, id="two durations"),
        pytest.param("NaN", None, id="no number"),
        pytest.param("inf", None, id="infinity"),
        pytest.param("Mon, 99 Foo 2026 99:99:99 GMT", None, id="a date that is none"),
        pytest.param("Mon, 01 Jan 2020 00:00:00 +99999999999999999", None, id="a date with an endless offset"),
    ],
)
def test_retry_after_is_understood(text: str, expected: float | None) -> None:
    found = retry_after_s({"retry-after": text}, NOW)
    assert found == (expected if expected is None else pytest.approx(expected, abs=1e-6))


def test_milliseconds_win_over_seconds() -> None:
    assert retry_after_s({"retry-after-ms": "250", "retry-after": "1"}, NOW) == 0.25


def test_an_endpoint_that_says_nothing_asks_for_nothing() -> None:
    assert retry_after_s({}, NOW) is None
    assert exhausted_s({}, NOW) == 0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6s"}, 6, id="requests"),
        pytest.param({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 0.12, id="tokens"),
        pytest.param({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "6s"}, 0, id="some are left"),
        pytest.param({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "-1"}, 0, id="minus one"),
        pytest.param({"x-ratelimit-remaining-tokens": "0"}, 0, id="no reset"),
        pytest.param({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "later"}, 0, id="a word"),
        pytest.param({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1700000000"}, 0, id="over"),
    ],
)
def test_a_used_up_window_says_when_it_has_room_again(headers: dict[str, str], expected: float) -> None:
    assert max(0.0, exhausted_s(headers, NOW)) == pytest.approx(expected)


_DATES = st.from_regex(r"\A(Mon, )?\d{1,3} (Jan|Feb) \d{1,6} \d{1,3}:\d{1,3}(:\d{1,3})? ?([+-]\d{1,20}|GMT|)\Z")
_NUMBERS = st.from_regex(r"\A-?\d{0,20}(\.\d{0,5})?(s|ms|h|m)?\Z")


@given(name=st.sampled_from(["retry-after", "retry-after-ms"]), text=st.text() | _DATES | _NUMBERS)
def test_nonsense_is_never_an_error_and_no_wait_is_negative_or_endless(name: str, text: str) -> None:
    found = retry_after_s({name: text}, NOW)
    assert found is None or 0 <= found <= LONGEST_WAIT_S


@given(text=st.text() | _NUMBERS)
def test_a_used_up_window_is_never_an_error(text: str) -> None:
    headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": text}
    assert exhausted_s(headers, NOW) <= LONGEST_WAIT_S
