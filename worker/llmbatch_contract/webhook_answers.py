"""What becomes of a webhook by what its receiver answers: that of the operator, and that of results. Pure."""

from dataclasses import dataclass

LONGEST_WAIT_S = 300.0
_GONE = 410
_WORTH_ANOTHER_TRY = frozenset((408, 425, 429))


@dataclass(frozen=True)
class Delivered:
    """It has arrived."""


@dataclass(frozen=True)
class TryAgain:
    """It may arrive later."""

    why: str
    after_s: float = 0
    """Not earlier than this."""


@dataclass(frozen=True)
class GiveUp:
    """It never will."""

    why: str
    is_gone: bool = False
    """The receiver wants nothing more at all."""


Outcome = Delivered | TryAgain | GiveUp


def judge(status: int, retry_after: str | None = None) -> Outcome:
    """The meaning of an HTTP status, and of the header that may come with it."""
    what = f"it answers HTTP {status}"
    if 200 <= status < 300:
        return Delivered()
    if 300 <= status < 400:
        return GiveUp(f"{what}, a redirect, which is not followed: give the address that it leads to")
    if 400 <= status < 500 and status not in _WORTH_ANOTHER_TRY:
        return GiveUp(what, is_gone=status == _GONE)
    return TryAgain(what, _seconds(retry_after))


def _seconds(retry_after: str | None) -> float:
    """Of a Retry-After in seconds; one that is a date is passed over."""
    text = (retry_after or "").strip()
    return min(float(text), LONGEST_WAIT_S) if text.isascii() and text.isdecimal() else 0.0
