"""When a window of hours is open, in its own time zone. Pure: time is an argument.

The hours are those of the clock on the wall. Where clocks are put forward, a time that is left out is the end of the
gap; where they are put back, a time that comes twice is the first of the two.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from llmbatch_contract.spec import Window

_DAYS_BEFORE, _DAYS_AFTER = 2, 4
"""Windows that may be open at a moment began at most so long before it; the next one begins at most so long after."""
_MOST_DAYS = 1000
_SECOND = timedelta(seconds=1)


def next_open(window: Window, now: datetime) -> datetime | None:
    """When it opens next, in UTC; None while it is open."""
    start, _ = _current_or_next(window, now)
    return start if start > now else None


def closes_at(window: Window, now: datetime) -> datetime | None:
    """When it closes, in UTC; None while it is closed."""
    start, end = _current_or_next(window, now)
    return end if start <= now else None


def end_of_work(window: Window | None, now: datetime, seconds: float) -> datetime | None:
    """When work of so many seconds is done that rests while the window is closed; None: not in years."""
    left = timedelta(seconds=min(seconds, _MOST_DAYS * 86_400.0))
    if window is None:
        return now + left
    for start, end in _openings(window, now, _MOST_DAYS):
        begin = max(start, now)
        if left <= end - begin:
            return begin + left
        left -= end - begin
    return None


def _current_or_next(window: Window, now: datetime) -> tuple[datetime, datetime]:
    return next(_openings(window, now, _DAYS_AFTER))


def _openings(window: Window, now: datetime, days: int) -> Iterator[tuple[datetime, datetime]]:
    """The times, in UTC, from which to which it is open, from the one that ends after `now`."""
    zone = ZoneInfo(window.time_zone)
    today = now.astimezone(zone).date()
    is_over_midnight = window.closes_at <= window.opens_at
    for n in range(-_DAYS_BEFORE, days):
        day = today + timedelta(days=n)
        start = _instant(day, window.opens_at, zone)
        end = _instant(day + timedelta(days=is_over_midnight), window.closes_at, zone)
        if end > max(start, now):  # one that lies wholly in a gap does not open that day
            yield start, end


def _instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """The moment at which a clock in that zone shows this time, in UTC."""
    wall = datetime.combine(day, clock)
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    if _wall(moment, zone) == wall:
        return moment
    return _after_gap(wall, moment, zone)


def _after_gap(wall: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which the clock shows more than a time that it never shows."""
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while late - early > _SECOND:
        middle = early + (late - early) / 2
        early, late = (middle, late) if _wall(middle, zone) < wall else (early, middle)
    return late.replace(microsecond=0)


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)
