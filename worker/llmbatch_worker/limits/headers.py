"""What an endpoint says about waiting: Retry-After and x-ratelimit-*, as they are met in the wild. Pure.

Seen: whole seconds, Go durations ("6m0s", "12ms"), HTTP dates, Unix times, -1, 0, empty, words. Nonsense is no advice.
https://www.rfc-editor.org/rfc/rfc9110#name-retry-after, https://platform.openai.com/docs/guides/rate-limits
"""

import datetime
import email.utils
import re
from collections.abc import Mapping

LONGEST_WAIT_S = 3600.0

_KINDS = ("requests", "tokens", "input-tokens")

_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|µs|ns))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LEAST_UNIX_TIME = 1e9


def retry_after_s(headers: Mapping[str, str], wall_now: float) -> float | None:
    """How long the endpoint asks to wait, in seconds; None: it does not say. `wall_now` is Unix time."""
    if _NUMBER.fullmatch(in_ms := headers.get("retry-after-ms", "").strip()):
        return min(float(in_ms) / 1000, LONGEST_WAIT_S)
    text = headers.get("retry-after", "")
    wait = _wait_s(text, wall_now)
    if wait is None:
        wait = _until_date_s(text, wall_now)
    return None if wait is None else min(max(0.0, wait), LONGEST_WAIT_S)


def exhausted_s(headers: Mapping[str, str], wall_now: float) -> float:
    """How long until the endpoint's window has room again, if it says that nothing is left of it; else 0."""
    used_up = [k for k in _KINDS if headers.get(f"x-ratelimit-remaining-{k}", "").strip() == "0"]
    waits = [_wait_s(headers.get(f"x-ratelimit-reset-{kind}", ""), wall_now) or 0.0 for kind in used_up]
    return min(max(waits, default=0.0), LONGEST_WAIT_S)


def _wait_s(text: str, wall_now: float) -> float | None:
    text = text.strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        return number - wall_now if number >= _LEAST_UNIX_TIME else number
    if _DURATION.fullmatch(text):
        return sum(float(amount) * _UNITS_S[unit] for amount, unit in _PART.findall(text))
    return None


def _until_date_s(text: str, wall_now: float) -> float | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
        if date.tzinfo is None:
            date = date.replace(tzinfo=datetime.UTC)
        return date.timestamp() - wall_now
    except (ValueError, OverflowError):
        return None
