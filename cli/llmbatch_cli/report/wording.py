"""Numbers, times and sizes for people. Pure."""

import math
from collections.abc import Callable, Iterable
from datetime import datetime

NONE = "–"
_BYTES = ("bytes", "kB", "MB", "GB", "TB")


def whole(number: float) -> str:
    """A count: 12,345."""
    return f"{number:,.0f}"


def plural(number: int, one: str, many: str = "") -> str:
    """A count with its noun: 1 item, 2 items."""
    return f"{whole(number)} {one if number == 1 else many or one + 's'}"


def compact(number: float) -> str:
    """A number in little room: 950, 12k, 1.5M."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size * 0.9995:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def share(part: float, whole_: float) -> str:
    """Percent. All is said only of all, nothing only of nothing."""
    if not whole_:
        return NONE
    percent = 100 * part / whole_
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f}".removesuffix(".0") + " %"


def duration(seconds: float) -> str:
    """A time in its two largest units: 0.4 s, 4 min 10 s, 2 h 5 min, 3 d 4 h."""
    if seconds < 59.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    for large, unit, small, part in (
        (days, "d", hour, "h"),
        (hours, "h", minute, "min"),
        (minutes, "min", second, "s"),
    ):
        if large:
            return f"{large:,} {unit} {small} {part}" if small else f"{large:,} {unit}"
    return NONE


def latency(ms: float | None) -> str:
    """How long a request took: 0.5 ms, 850 ms, 1.25 s, 12.3 s, 2 min 5 s."""
    if ms is None:
        return NONE
    if ms < 999.5 or ms >= 60_000:
        return short_latency(ms)
    return f"{ms / 1000:.2f} s" if ms < 9_995 else f"{ms / 1000:.1f} s"


def short_latency(ms: float) -> str:
    """A round latency, for an axis: 2 s."""
    if ms < 999.5:
        return f"{ms:.0f} ms" if ms >= 10 or not ms else f"{ms:.2g} ms"
    return f"{ms / 1000:.3g} s" if ms < 60_000 else duration(ms / 1000)


def money(amount: float, currency: str) -> str:
    """An amount: 12.40 USD; small ones with as many digits as they need, 0.0154 USD."""
    is_round = amount >= 0.995 or round(amount, 2) == amount
    digits = 2 if is_round else min(8, 2 - math.floor(math.log10(amount)))
    return f"{amount:,.{digits}f} {currency}"


def size(number: float) -> str:
    """Bytes: 850 bytes, 12.3 MB."""
    unit = 0
    while number >= 999.5 and unit < len(_BYTES) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.3g} {_BYTES[unit]}"


def moment(iso: str | None) -> str:
    """A moment to the second, in UTC."""
    when = when_of(iso)
    return NONE if when is None else f"{when:%Y-%m-%d %H:%M:%S} UTC"


def clock_of(isos: Iterable[object]) -> Callable[[object], str]:
    """Writes moments as times of day in UTC; with the day where they are of several."""
    days = {when.date() for when in map(when_of, isos) if when is not None}
    form = "%H:%M:%S" if len(days) < 2 else "%b %d, %H:%M:%S"

    def clock(iso: object) -> str:
        when = when_of(iso)
        return NONE if when is None else when.strftime(form)

    return clock


def when_of(iso: object) -> datetime | None:
    """A moment that was written down; None where none was."""
    if not isinstance(iso, str):
        return None
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return when if when.tzinfo is not None else None


def without_query(uri: str) -> str:
    """What follows the `?` of a URL may be a signature that lets anybody read."""
    if not uri.startswith(("http://", "https://")):
        return uri
    place, mark, _query = uri.partition("?")
    return f"{place}?…" if mark else place
