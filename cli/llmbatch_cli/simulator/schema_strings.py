"""Strings for schema_sample.py: of a known format, or words of the length asked for."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fern", "grove", "hazel", "iris", "juniper", "lark")


def sample_string(rng: Random, schema: Mapping[str, Any]) -> str:
    form = schema.get("format")
    if form in _BY_FORMAT:
        return _BY_FORMAT[form](rng)
    least, most = schema.get("minLength") or 0, schema.get("maxLength")
    text = " ".join(rng.choices(_WORDS, k=rng.randint(1, 3)))
    while len(text) < least:
        text += " " + rng.choice(_WORDS)
    if most is None or len(text) <= most:
        return text
    return text[:most].rstrip().ljust(least, "s")


def _date(rng: Random) -> str:
    return f"20{rng.randint(10, 29)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def _time(rng: Random) -> str:
    return f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}Z"


def _uuid(rng: Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


_BY_FORMAT: dict[str, Callable[[Random], str]] = {
    "date": _date,
    "time": _time,
    "date-time": lambda rng: f"{_date(rng)}T{_time(rng)}",
    "email": lambda rng: f"{rng.choice(_WORDS)}@example.com",
    "uri": lambda rng: f"https://example.com/{rng.choice(_WORDS)}",
    "uuid": _uuid,
    "hostname": lambda rng: f"{rng.choice(_WORDS)}.example.com",
    "ipv4": lambda rng: f"192.0.2.{rng.randint(1, 254)}",
    "ipv6": lambda rng: f"2001:db8::{rng.randint(1, 9999)}",
    "duration": lambda rng: f"PT{rng.randint(1, 59)}M",
}
