"""Numbers, times and foreign text for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_cli.kubectl.words import bar, clean, percent, rate, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-3, "0s"),
        (45.9, "45s"),
        (60, "1m"),
        (200, "3m20s"),
        (7_500, "2h5m"),
        (7_200 + 7, "2h"),
        (86_400 * 3, "3d"),
        (86_400 * 400 + 3_600 * 7, "400d7h"),
    ],
)
def test_a_span_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.29, "29 %"), (0.58, "58 %"), (0.9999, "99 %"), (1, "100 %"), (2, "100 %")]
)
def test_a_hundred_percent_is_said_of_all_only(share: float, text: str) -> None:
    assert percent(share) == text


@given(done=st.integers(0, 10_000), total=st.integers(1, 10_000))
def test_percent_is_exact_for_counts(done: int, total: int) -> None:
    assert percent(done / total) == f"{100 * min(done, total) // total} %"


@pytest.mark.parametrize(
    ("per_minute", "text"), [(None, "-"), (0, "0/min"), (0.4, "0.4/min"), (12.4, "12/min"), (12_345, "12,345/min")]
)
def test_a_rate(per_minute: float | None, text: str) -> None:
    assert rate(per_minute) == text


@given(share=st.floats(-1, 2), width=st.integers(0, 80))
def test_a_bar_keeps_its_width(share: float, width: int) -> None:
    drawn = bar(share, width)
    assert len(drawn) == width
    assert drawn == "━" * drawn.count("━") + "─" * drawn.count("─")


@given(text=st.text(), chars=st.integers(1, 200))
def test_foreign_text_stays_on_its_line_and_commands_no_terminal(text: str, chars: int) -> None:
    cleaned = clean(text, chars)
    assert cleaned.isprintable()
    assert len(cleaned) <= chars


def test_an_escape_sequence_loses_its_escape() -> None:
    assert clean("\x1b[31mred\nalert\x07") == "[31mred alert"
