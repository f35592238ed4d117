"""Numbers, times and foreign text, for people. Pure."""

from datetime import datetime

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_SHORT_CHARS = 160


def span(seconds: float) -> str:
    """A time as kubectl writes it, in its two largest units: 45s, 3m20s, 2h5m, 3d."""
    left, parts = max(0, int(seconds)), list[str]()
    for name, size in _UNITS:
        amount, left = divmod(left, size)
        if amount or parts:
            parts.append(f"{amount}{name}" if amount else "")
        if len(parts) == 2:
            break
    return "".join(parts) or "0s"


def since(start: datetime | None, end: datetime | None) -> str:
    """The time between two moments, `-` where one is not known."""
    return "-" if start is None or end is None else span((end - start).total_seconds())


def clock(moment: datetime) -> str:
    """A moment to the second, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def rate(per_minute: float | None) -> str:
    """Items a minute, `-` where not known."""
    if per_minute is None:
        return "-"
    return f"{per_minute:,.0f}/min" if per_minute >= 10 or not per_minute else f"{per_minute:.1f}/min"


def percent(share: float) -> str:
    """A share from 0 to 1, rounded down: 100 is said of all, not of nearly all."""
    return f"{int(100 * min(1.0, max(0.0, share)) + 1e-9)} %"


def size(bytes_: int) -> str:
    """Bytes as people write them: 2 GiB, 1.5 MiB, 700 bytes."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB")
    power = max(0, min(len(units) - 1, (bytes_.bit_length() - 1) // 10))
    return f"{round(bytes_ / (1 << 10 * power), 1):g} {units[power]}"


def bar(share: float, width: int) -> str:
    """A bar of `width` characters, filled to a share from 0 to 1."""
    filled = int(min(1.0, max(0.0, share)) * width)
    return "━" * filled + "─" * (width - filled)


def clean(text: str, chars: int = _SHORT_CHARS) -> str:
    """Text from elsewhere on one line, short, without what would command a terminal."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= chars else f"{line[: chars - 1]}…"
