"""Durations as people write them ("80ms") and as rate limit headers carry them ("6m0s").

Settings and directives are read with `parse_duration`, the headers of an answer are written with
`go_duration`. Pure: knows nothing of settings or HTTP.
"""

import math
import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|h)?")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(value: object) -> float:
    """Seconds from "80ms", "2s", "1.5m", "1h", or a plain number of seconds."""
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"not a duration: {value!r}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"a duration cannot be {value!r}")
    return float(value)


def _parse_text(text: str) -> float:
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a duration: {text!r}")
    return float(match[1]) * _UNIT_S[match[2] or "s"]


def go_duration(seconds: float) -> str:
    """As Go prints a duration, in whole milliseconds rounded up: "0s", "12ms", "1.5s", "6m0s", "1h0m0s"."""
    total_ms = max(0, math.ceil(round(seconds * 1000, 6)))
    if 0 < total_ms < 1000:
        return f"{total_ms}ms"
    minutes, rest_ms = divmod(total_ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest_ms / 1000:g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
