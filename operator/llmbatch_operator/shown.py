"""Numbers, texts and times as statuses and conditions show them. Pure."""

import math
from datetime import datetime
from typing import Protocol

from llmbatch_contract.status import Cost
from llmbatch_contract.usage import Pricing, Usage

RATE_WORDS = {
    "requests_per_minute": "requests/min",
    "tokens_per_minute": "tokens/min",
    "input_tokens_per_minute": "input tokens/min",
}
"""The rates of an endpoint, by their names in `Limits`."""
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_MESSAGE_CHARS = 500
"""Whatever endpoints say, a status stays a few kilobytes."""


class Told(Protocol):
    """A condition of a batch or of an LLMEndpoint, as it was written before."""

    @property
    def status(self) -> str:
        """True, False or Unknown."""

    @property
    def last_transition_time(self) -> datetime:
        """When that changed last."""


def since(before: Told | None, status: str, now: datetime) -> datetime:
    """Time of the last transition of a condition that is `status` now: only another status is one."""
    return before.last_transition_time if before is not None and before.status == status else now


def sentence(text: str) -> str:
    """What a condition says, no longer than a status has room for."""
    return short(text, _MESSAGE_CHARS)


def short(text: str, most: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def duration(seconds: float) -> str:
    """As `3m20s`, `2h5m` or `4d7h`."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest}s" if minutes else f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m" if hours < 24 else f"{hours // 24}d{hours % 24}h"


def rounded(value: float) -> float:
    """A rate, as exactly as anybody wants to know it."""
    return round(value) if value >= 100 else round(value, 1)


def count(number: int, of: str) -> str:
    """As `1 item` or `2,000 items`."""
    return f"{number:,} {of}" if number == 1 else f"{number:,} {of}s"


def readable_bytes(size: int) -> str:
    """As people write it: 2 GiB, 1.5 MiB, 700 bytes."""
    power = max(0, min(len(_UNITS) - 1, (size.bit_length() - 1) // 10))
    return f"{round(size / (1 << 10 * power), 1):g} {_UNITS[power]}"


def money(amount: float, currency: str) -> str:
    """As `12.30 USD`; small amounts with more digits."""
    shown = f"{amount:.2f}" if amount >= 1 else f"{amount:.4f}"
    return f"{shown} {currency}"


def exact_money(amount: float, currency: str) -> str:
    """The same, with all digits where it would be rounded."""
    shown = money(amount, currency)
    return shown if float(shown.split()[0]) == amount else f"{amount} {currency}"


def cost_of(usage: Usage, pricing: Pricing | None) -> Cost | None:
    """What it costs; None where no prices are known."""
    amount = usage.cost(pricing)
    if pricing is None or amount is None:
        return None
    return Cost(amount=round(amount, 6), currency=pricing.currency, display=money(amount, pricing.currency))
