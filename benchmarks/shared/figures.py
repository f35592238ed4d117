"""What came of a trial, from counts by the second. Pure."""

from collections.abc import Collection, Mapping

_STRETCH_S = 10
_BACK_AT = 0.95
_BURST = 1.1


def used(counts: Mapping[int, float], seconds: range, per_minute: float) -> float:
    """The share of a limit that was used in these seconds."""
    return sum(counts.get(second, 0) for second in seconds) / len(seconds) * 60 / per_minute


def evenness(amounts: Collection[float]) -> float:
    """1 if all have the same, 1/n if one has everything: Jain, Chiu & Hawe, DEC-TR-301."""
    squares = sum(amount * amount for amount in amounts)
    return sum(amounts) ** 2 / (len(amounts) * squares) if squares else 0.0


def back_after_s(counts: Mapping[int, int], seconds: range, per_minute: float) -> int | None:
    """Seconds until 10 s begin in which 95 % of the limit is used; None: never. A burst makes up for no pause."""
    even = {second: min(counts.get(second, 0), _BURST * per_minute / 60) for second in seconds}
    for begin in seconds[: -_STRETCH_S + 1]:
        if used(even, range(begin, begin + _STRETCH_S), per_minute) >= _BACK_AT:
            return begin - seconds.start
    return None
