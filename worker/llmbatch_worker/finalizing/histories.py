"""How each shard came to its end: its attempts, for `report.json`. Pure, but for claims, which it asks for.

Of a batch with very many shards it keeps some: every so-manieth, and those that took more than one attempt.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from llmbatch_worker.shardlog import Claim

MOST_SHARDS = 500
MOST_ATTEMPTS = 10
"""Of one shard; the last ones."""


class AttemptEnd(StrEnum):
    """How an attempt at a shard ended."""

    DONE = "done"
    """It brought the shard to its end."""
    STOPPED = "stopped"
    """It was told to stop, and noted how far it had come."""
    LOST = "lost"
    """It ended without a word: killed, evicted, out of memory, or its node went away."""


@dataclass
class Attempt:
    """One attempt, by what it has left in the store."""

    number: int
    end: AttemptEnd
    first_record_at: str | None = None
    last_record_at: str | None = None
    records: int = 0

    def wrote(self, first_at: str | None, last_at: str | None, records: int) -> None:
        """Take in one of its parts, the earlier ones first."""
        self.first_record_at = self.first_record_at or first_at
        self.last_record_at = last_at or self.last_record_at
        self.records += records


ReadClaim = Callable[[int, int], Claim | None]
"""The claim of an attempt on a shard; None if it says nothing of use. It may take a call of the store."""


class Histories:
    """Attempts of all shards, or of some where there are very many."""

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._stride = 1 if shards <= MOST_SHARDS else math.ceil(shards / (MOST_SHARDS // 2))
        self._attempts = 0
        self._lost = 0
        self._repeated = 0
        """Shards outside the stride that are kept because they were attempted again."""
        self._rows: list[dict[str, Any]] = []

    def add(self, shard: int, items: int, attempts: list[Attempt], read_claim: ReadClaim) -> None:
        """Take in a shard."""
        self._attempts += len(attempts)
        self._lost += sum(1 for a in attempts if a.end is AttemptEnd.LOST)
        if self._wants(shard, attempts):
            rows = [_row(attempt, read_claim(shard, attempt.number)) for attempt in attempts[-MOST_ATTEMPTS:]]
            self._rows.append({"shard": shard, "items": items, "attempt_count": len(attempts), "attempts": rows})

    def _wants(self, shard: int, attempts: list[Attempt]) -> bool:
        if shard % self._stride == 0:
            return True
        if len(attempts) > 1 and self._repeated < MOST_SHARDS // 2:
            self._repeated += 1
            return True
        return False

    def document(self) -> dict[str, Any]:
        """As it stands in the report."""
        return {"total": self._shards, "attempts": self._attempts, "lost": self._lost, "shown": self._rows}


def _row(attempt: Attempt, claim: Claim | None) -> dict[str, Any]:
    return {
        "attempt": attempt.number,
        "worker": claim.worker if claim is not None else None,
        "claimed_at": claim.claimed_at if claim is not None else None,
        "first_record_at": attempt.first_record_at,
        "last_record_at": attempt.last_record_at,
        "records": attempt.records,
        "ended": attempt.end.value,
    }
