"""The parts of the manifest that hold or watch a batch: budget, canary, window, alerts, webhooks.

Written beside the validators: the same rules in CEL, for the API server.
"""

import re
import zoneinfo
from datetime import time
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from llmbatch_contract.cel import rule, rules
from llmbatch_contract.endpoint import WholeUrl
from llmbatch_contract.model import SpecModel

_NO_BUDGET = "needs maxCost or maxTokens"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_NO_CLOCK = "must be a time of day from 00:00 to 23:59, as in 22:00; put quotes around it"
_EMPTY_WINDOW = "end: is the same as start: the window would never open; leave window out to run at any time"
_NO_ZONE = "must be the name of a time zone, as in Europe/Berlin"


class Budget(SpecModel):
    """What a batch may spend. At the limit it is held, and goes on when the budget is raised."""

    model_config = ConfigDict(json_schema_extra=rules(rule(_NO_BUDGET, "has(self.maxCost) || has(self.maxTokens)")))

    max_cost: float | None = Field(
        default=None, gt=0, description="The most that all answers may cost, in the currency of `pricing`."
    )
    max_tokens: int | None = Field(
        default=None, ge=1, description="The most tokens of all prompts and answers together."
    )

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.max_cost is None and self.max_tokens is None:
            raise ValueError(_NO_BUDGET)
        return self


class Approval(StrEnum):
    """Who lets a batch go on after its canary."""

    AUTO = "auto"
    MANUAL = "manual"


class Canary(SpecModel):
    """A few items, spread over the input, that are asked first, by one pod. Their answers count."""

    items: int = Field(default=20, ge=1, le=10_000, description="Items to ask first.")
    max_failure_percent: float = Field(
        default=5, ge=0, le=100, description="The batch goes on by itself if no larger share of them fails."
    )
    approve: Approval = Field(
        default=Approval.AUTO,
        strict=False,
        description="`auto`: go on if few enough fail, else wait for approval. `manual`: wait in any case.",
    )
    approved: bool = Field(
        default=False, description="Go on, whatever the canary showed. `kubectl llmbatch approve` sets it."
    )


def _clock(value: str) -> str:
    if not re.fullmatch(_CLOCK, value):
        raise ValueError(_NO_CLOCK)
    return value


def _zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(_NO_ZONE) from None
    return value


Clock = Annotated[
    str,
    Field(max_length=5, json_schema_extra=rules(rule(_NO_CLOCK, f"self.matches('^{_CLOCK}$')"))),
    AfterValidator(_clock),
]


class Window(SpecModel):
    """The hours of each day in which a batch runs. Outside them it is held."""

    model_config = ConfigDict(json_schema_extra=rules(rule(_EMPTY_WINDOW, "self.start != self.end")))

    start: Clock = Field(description="When it opens, as in `22:00`.")
    end: Clock = Field(description="When it closes, as in `06:00`; before `start`, it is on the next day.")
    time_zone: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_zone)] = Field(
        default="UTC", description="Time zone of both, as in `Europe/Berlin`."
    )

    @model_validator(mode="after")
    def _opens(self) -> Self:
        if self.start == self.end:
            raise ValueError(_EMPTY_WINDOW)
        return self

    @property
    def opens_at(self) -> time:
        """Time of day."""
        return time.fromisoformat(self.start)

    @property
    def closes_at(self) -> time:
        """Time of day."""
        return time.fromisoformat(self.end)


class Alerts(SpecModel):
    """When to raise an alarm about a batch that goes on: a condition, an event, and a webhook if wanted."""

    error_percent: float | None = Field(
        default=None, ge=0, le=100, description="More than this share of the answered items has failed. Unset: none."
    )
    min_items: int = Field(default=100, ge=1, description="Items to wait for before `errorPercent` counts.")
    expected_items_per_minute: float | None = Field(
        default=None, gt=0, description="How fast it should be. Unset: as the canary was, times the pods."
    )
    slow_factor: float = Field(default=1.5, gt=1, le=100, description="So many times slower than expected is slow.")
    stalled_minutes: float = Field(default=10, gt=0, le=10_080, description="So long without an answer is stalled.")


class Occasion(StrEnum):
    """What a webhook is told of."""

    FINISHED = "Finished"
    """All items were tried."""
    FAILED = "Failed"
    """The batch stopped before its end, or was cancelled."""
    HELD = "Held"
    """The batch waits: for a budget, an approval, or something that is in its way."""
    ALERT = "Alert"
    """Too many errors, slow, or stalled."""


class Webhook(SpecModel):
    """An address that is told how a batch goes."""

    url: WholeUrl = Field(description="Where to POST to.")
    events: list[Annotated[Occasion, Field(strict=False)]] = Field(
        default_factory=lambda: list(Occasion), min_length=1, max_length=8, description="What it is told of."
    )
