"""Tokens used and what they cost."""

from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field

from llmbatch_contract.model import SpecModel

_MILLION = 1_000_000


class Pricing(SpecModel):
    """Prices per million tokens, in any one currency."""

    input_per_million: float = Field(ge=0, description="Price of a million prompt tokens.")
    cached_input_per_million: float | None = Field(
        default=None,
        ge=0,
        description="Price of a million prompt tokens read from a cache. Unset: as other prompt tokens.",
    )
    output_per_million: float = Field(default=0, ge=0, description="Price of a million answer tokens.")
    currency: str = Field(default="USD", min_length=1, max_length=8, description="Shown with costs.")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more requests; `cached` and `reasoning` are parts of input and output."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
        )

    @property
    def total(self) -> int:
        """Tokens of prompts and answers."""
        return self.input + self.output

    def cost(self, pricing: Pricing | None) -> float | None:
        """The price of these tokens; None where no prices are known."""
        if pricing is None:
            return None
        cached_price = pricing.cached_input_per_million
        if cached_price is None:
            cached_price = pricing.input_per_million
        fresh = self.input - self.cached
        total = (
            fresh * pricing.input_per_million + self.cached * cached_price + self.output * pricing.output_per_million
        )
        return total / _MILLION

    def record(self) -> dict[str, int]:
        """As it stands in records and summaries."""
        row = {"input_tokens": self.input, "output_tokens": self.output, "total_tokens": self.total}
        if self.cached:
            row["cached_tokens"] = self.cached
        if self.reasoning:
            row["reasoning_tokens"] = self.reasoning
        return row

    @classmethod
    def from_record(cls, row: dict[str, Any]) -> Self:
        """Read what `record` wrote."""
        return cls(
            row.get("input_tokens", 0),
            row.get("output_tokens", 0),
            row.get("cached_tokens", 0),
            row.get("reasoning_tokens", 0),
        )
