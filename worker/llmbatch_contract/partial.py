"""Results before the end: the records of the shards that are finished, each shard's in the order of its items.

The coordinator makes such a stream from its volume, the command line from a store or a folder. Its last line is no
record but says how far the batch is: a stream without it is not whole. Pure.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import orjson

from llmbatch_contract.errors import InvariantError

_COUNTS = "partial"
_UNSEEN, _OTHER = 0, -1


class OutlinedShard(NamedTuple):
    """A shard, as far as its records are concerned."""

    number: int
    first_item: int
    items: int


@dataclass(frozen=True)
class Outline:
    """What a plan says of shards. Read leniently: who reads it may be older than who wrote it."""

    items: int
    shards: list[OutlinedShard]

    @classmethod
    def of_plan(cls, data: bytes) -> Self:
        """From plan.json."""
        plan = orjson.loads(data)
        return cls(plan["items"], [OutlinedShard(*row[:3]) for row in plan["shards"]])


def parts_of_done(data: bytes) -> list[tuple[int, int]]:
    """The parts that a done.json names: (attempt, number)."""
    return [(attempt, number) for attempt, number in orjson.loads(data)["parts"]]


@dataclass(frozen=True)
class PartialCounts:
    """How far a batch is, and how much of it has come."""

    shards: int
    """Those that are finished."""
    of_shards: int
    items: int
    """Of the finished shards."""
    of_items: int
    records: int
    """Those that have come: of the items, results only, or dead letters only."""

    def line(self) -> bytes:
        """As the last line of a stream."""
        return orjson.dumps({_COUNTS: self}, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def of_line(cls, line: bytes) -> Self | None:
        """From the last line of a stream; None if it is a record, or cut off."""
        try:
            counts: dict[str, Any] = orjson.loads(line)[_COUNTS]
            return cls(**counts)
        except (ValueError, KeyError, TypeError):
            return None


class RecordPlaces:
    """Where the results, or the dead letters, of one shard stand in its parts, laid end to end.

    Of two records of an item the first counts. Some bytes an item, whatever the size of the records.
    """

    def __init__(self, shard: OutlinedShard, *, errors: bool) -> None:
        self._shard, self._errors = shard, errors
        self._offsets = array("q", bytes(8 * shard.items))
        self._lengths = array("q", bytes(8 * shard.items))
        self._size = 0

    def add(self, part: bytes) -> None:
        """The next part, whole. Raises InvariantError if it is damaged."""
        for line in part.splitlines(keepends=True):
            try:
                record = orjson.loads(line)
                position = record["index"] - self._shard.first_item
            except (ValueError, KeyError, TypeError) as error:
                raise InvariantError(f"a part of shard {self._shard.number} is damaged") from error
            if not 0 <= position < self._shard.items:
                raise InvariantError(f"a part of shard {self._shard.number} is damaged")
            if self._lengths[position] == _UNSEEN:
                self._offsets[position] = self._size
                self._lengths[position] = len(line) if ("error" in record) == self._errors else _OTHER
            self._size += len(line)

    def in_order(self) -> Iterator[tuple[int, int]]:
        """Offset and length of each record, in the order of items."""
        return (place for place in zip(self._offsets, self._lengths, strict=True) if place[1] > 0)
