"""When a window is open: over midnight, and in the nights in which clocks are changed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract.spec import Window
from llmbatch_operator.window import closes_at, end_of_work, next_open

BERLIN, NEW_YORK, LORD_HOWE, SAMOA = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _window(start: str, end: str, zone: str = "UTC") -> Window:
    return Window(start=start, end=end, time_zone=zone)


@pytest.mark.parametrize(
    ("window", "now", "opens"),
    [
        pytest.param(_window("09:00", "17:00"), "2026-05-04 08:59:59", "2026-05-04 09:00", id="a second before"),
        pytest.param(_window("09:00", "17:00"), "2026-05-04 09:00:00", None, id="at the moment it opens"),
        pytest.param(_window("09:00", "17:00"), "2026-05-04 16:59:59", None, id="a second before it closes"),
        pytest.param(_window("09:00", "17:00"), "2026-05-04 17:00", "2026-05-05 09:00", id="at the moment it closes"),
        pytest.param(_window("22:00", "06:00"), "2026-05-04 21:00", "2026-05-04 22:00", id="overnight: before"),
        pytest.param(_window("22:00", "06:00"), "2026-05-04 23:00", None, id="overnight: in the evening"),
        pytest.param(_window("22:00", "06:00"), "2026-05-05 05:59", None, id="overnight: in the morning"),
        pytest.param(_window("22:00", "06:00"), "2026-05-05 06:00", "2026-05-05 22:00", id="overnight: after"),
        pytest.param(_window("00:00", "00:01"), "2026-05-05 00:01", "2026-05-06 00:00", id="one minute at midnight"),
        pytest.param(_window("00:00", "23:59"), "2026-05-05 23:59:30", "2026-05-06 00:00", id="a day minus a minute"),
        pytest.param(_window("12:01", "12:00"), "2026-05-05 12:00:30", "2026-05-05 12:01", id="the same at noon"),
        pytest.param(_window("22:00", "06:00", BERLIN), "2026-07-01 19:59", "2026-07-01 20:00", id="in summer"),
        pytest.param(_window("22:00", "06:00", BERLIN), "2026-12-01 20:59", "2026-12-01 21:00", id="in winter"),
        pytest.param(
            _window("08:00", "09:00", NEW_YORK), "2026-03-07 20:00", "2026-03-08 12:00", id="the day it changes"
        ),
        pytest.param(_window("02:30", "04:00", BERLIN), "2026-03-28 20:00", "2026-03-29 01:00", id="begins in the gap"),
        pytest.param(_window("02:30", "04:00", BERLIN), "2026-03-29 00:59:59", "2026-03-29 01:00", id="just before it"),
        pytest.param(_window("02:10", "02:50", BERLIN), "2026-03-28 20:00", "2026-03-30 00:10", id="wholly in the gap"),
        pytest.param(
            _window("02:30", "04:00", BERLIN), "2026-10-24 20:00", "2026-10-25 00:30", id="begins twice: once"
        ),
        pytest.param(_window("02:30", "04:00", BERLIN), "2026-10-25 01:10", None, id="goes on while it is 2:10 again"),
        pytest.param(_window("22:00", "02:30", BERLIN), "2026-10-25 00:30", "2026-10-25 21:00", id="ends twice: once"),
        pytest.param(_window("01:30", "05:00", NEW_YORK), "2026-11-01 05:00", "2026-11-01 05:30", id="in New York"),
        pytest.param(
            _window("02:15", "05:00", LORD_HOWE), "2026-10-03 15:00", "2026-10-03 15:30", id="a gap of 30 min"
        ),
        pytest.param(_window("01:45", "05:00", LORD_HOWE), "2026-04-04 14:00", "2026-04-04 14:45", id="30 min twice"),
        pytest.param(_window("08:00", "09:00", SAMOA), "2011-12-29 20:00", "2011-12-30 18:00", id="a day left out"),
    ],
)
def test_when_it_opens(window: Window, now: str, opens: str | None) -> None:
    assert next_open(window, _utc(now)) == (None if opens is None else _utc(opens))


@pytest.mark.parametrize(
    ("window", "now", "closes"),
    [
        pytest.param(_window("09:00", "17:00"), "2026-05-04 09:00", "2026-05-04 17:00", id="by day"),
        pytest.param(_window("09:00", "17:00"), "2026-05-04 17:00", None, id="it is closed"),
        pytest.param(_window("22:00", "06:00"), "2026-05-04 23:00", "2026-05-05 06:00", id="tomorrow"),
        pytest.param(_window("22:00", "06:00", BERLIN), "2026-03-28 22:00", "2026-03-29 04:00", id="an hour shorter"),
        pytest.param(_window("22:00", "06:00", BERLIN), "2026-10-24 22:00", "2026-10-25 05:00", id="an hour longer"),
        pytest.param(_window("22:00", "02:30", BERLIN), "2026-03-28 22:00", "2026-03-29 01:00", id="ends in the gap"),
        pytest.param(_window("22:00", "02:30", BERLIN), "2026-10-24 22:00", "2026-10-25 00:30", id="the first 2:30"),
        pytest.param(_window("22:00", "21:59", NEW_YORK), "2026-03-08 05:00", "2026-03-09 01:59", id="nearly all day"),
    ],
)
def test_when_it_closes(window: Window, now: str, closes: str | None) -> None:
    assert closes_at(window, _utc(now)) == (None if closes is None else _utc(closes))


_CLOCKS = st.times(timezones=st.none()).map(lambda t: f"{t:%H:%M}")
_MOMENTS = st.integers(0, 4 * 366 * 86_400).map(lambda s: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
_ZONES = st.sampled_from(
    [BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Asia/Kathmandu", "America/St_Johns", "Africa/Casablanca"]
)


@given(_CLOCKS, _CLOCKS, _ZONES, _MOMENTS)
def test_it_is_open_or_closed_and_changes_when_it_says(start: str, end: str, zone: str, now: datetime) -> None:
    if start == end:
        return
    window, second = _window(start, end, zone), timedelta(seconds=1)
    opens, closes = next_open(window, now), closes_at(window, now)
    assert (opens is None) != (closes is None)
    if opens is not None:
        assert now < opens <= now + timedelta(days=2, hours=2)
        assert next_open(window, opens - second) == opens
        assert next_open(window, opens) is None
    if closes is not None:
        assert now < closes <= now + timedelta(days=1, hours=2)
        assert closes_at(window, closes - second) == closes


@pytest.mark.parametrize(
    ("window", "now", "hours", "end"),
    [
        pytest.param(None, "2026-05-04 08:00", 30, "2026-05-05 14:00", id="at any time"),
        pytest.param(_window("09:00", "17:00"), "2026-05-04 09:00", 8, "2026-05-04 17:00", id="it just suffices"),
        pytest.param(_window("09:00", "17:00"), "2026-05-04 16:00", 2, "2026-05-05 10:00", id="the rest tomorrow"),
        pytest.param(_window("09:00", "17:00"), "2026-05-04 18:00", 2, "2026-05-05 11:00", id="it is closed now"),
        pytest.param(_window("09:00", "17:00"), "2026-05-04 09:00", 80, "2026-05-13 17:00", id="ten days"),
        pytest.param(_window("22:00", "06:00", BERLIN), "2026-03-28 21:00", 8, "2026-03-29 21:00", id="a short night"),
        pytest.param(_window("00:00", "00:01"), "2026-05-04 00:00", 100, None, id="not in years"),
    ],
)
def test_when_work_is_done_that_rests_while_it_is_closed(
    window: Window | None, now: str, hours: float, end: str | None
) -> None:
    assert end_of_work(window, _utc(now), hours * 3600) == (None if end is None else _utc(end))
