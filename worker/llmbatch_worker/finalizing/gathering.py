"""The records of one shard in input order, from its parts; for items without one, a dead letter that says so."""

from collections.abc import Iterator
from dataclasses import dataclass

import pydantic

from llmbatch_contract import layout
from llmbatch_contract.categories import Category
from llmbatch_contract.errors import InvariantError
from llmbatch_contract.plan import Shard
from llmbatch_contract.records import DeadLetter, Item, Record
from llmbatch_contract.reports import StopReason
from llmbatch_worker.finalizing.histories import Attempt, AttemptEnd
from llmbatch_worker.finalizing.timeline import ended_at_of
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.shardlog import Claim, PartName, read_done, read_part, resent_so_far
from llmbatch_worker.stores.protocol import Store

Entry = tuple[Record, Item | None]
"""A record, and its item where items were asked for."""


@dataclass(frozen=True)
class Gathered:
    """One shard, ready to be written."""

    entries: Iterator[Entry]
    resent: int
    attempts: list[Attempt]


class Gatherer:
    """Reads shards of a planned batch."""

    def __init__(
        self, store: Store, items: PlannedItems, *, stop: StopReason | None, now: str, trace_id: str, with_items: bool
    ) -> None:
        """`stop` says why items may lack a record (None: they may not); `now` is ISO 8601."""
        self._store, self._items = store, items
        self._stop, self._now, self._with_items = stop, now, with_items
        self._trace_id = trace_id

    def gather(self, shard: Shard) -> Gathered:
        """One shard. Raises InvariantError when an item has no record though nothing stopped the batch."""
        listing = layout.read_listing(self._store.names(layout.shard_prefix(shard.number)))
        if listing.is_done:
            done = read_done(self._store, shard.number)
            parts, resent, finisher = tuple(done.parts), done.progress.resent, done.progress.attempt
        else:
            parts, resent, finisher = listing.parts, resent_so_far(self._store, shard, listing), None
        attempts = {number: Attempt(number, _end_of(number, finisher, listing)) for number in listing.claims}
        records = self._records(shard, parts, attempts)
        missing = records.count(None)
        if missing and self._stop is None:
            raise InvariantError(
                f"{missing} items of shard {shard.number} (from item {shard.first_item}) have neither a result nor an "
                "error; the outputs were not written. Run again to ask about them"
            )
        if missing or self._with_items:
            entries = self._beside_items(shard, records)
        else:
            entries = ((record, None) for record in records if record is not None)
        return Gathered(entries, resent, list(attempts.values()))

    def claim(self, shard: int, attempt: int) -> Claim | None:
        """A claim; None if it is not as it was written, which is no reason to write no outputs."""
        try:
            return Claim.load(self._store.read(layout.claim(shard, attempt)))
        except pydantic.ValidationError:
            return None

    def _records(self, shard: Shard, parts: tuple[PartName, ...], attempts: dict[int, Attempt]) -> list[Record | None]:
        """The first record of each item, by position; a part of a stale attempt adds none."""
        found: list[Record | None] = [None] * shard.items
        for name in parts:
            of_part = read_part(self._store, shard, name)
            if of_part and (attempt := attempts.get(name[0])) is not None:
                # A worker writes records as items end, so the first and the last tell enough.
                attempt.wrote(ended_at_of(of_part[0]), ended_at_of(of_part[-1]), len(of_part))
            for record in of_part:
                position = record["index"] - shard.first_item
                if found[position] is None:
                    found[position] = record
        return found

    def _beside_items(self, shard: Shard, records: list[Record | None]) -> Iterator[Entry]:
        rows = self._items.rows(shard)
        for record, (number, item_id, row) in zip(records, rows, strict=True):
            if record is None:
                yield self._unanswered(number, item_id, row.item), row.item
            elif record["id"] != item_id or record["index"] != number:
                raise InvariantError(f"the record of item {number} is about {record['id']!r}, not {item_id!r}")
            else:
                yield record, row.item

    def _unanswered(self, number: int, item_id: str, item: Item) -> DeadLetter:
        reason = self._stop.message if self._stop is not None else "unknown"
        is_late = self._stop is not None and self._stop.category is Category.DEADLINE
        return {
            "id": item_id,
            "index": number,
            "item": item,
            "error": {
                "category": Category.DEADLINE.value if is_late else Category.CANCELLED.value,
                "message": f"the batch ended before this item was answered: {reason}",
                "status": None,
                "code": None,
            },
            "attempts": 0,
            "first_attempt_at": None,
            "failed_at": self._now,
            "trace_id": self._trace_id,
        }


def _end_of(attempt: int, finisher: int | None, listing: layout.ShardObjects) -> AttemptEnd:
    if attempt == finisher:
        return AttemptEnd.DONE
    return AttemptEnd.STOPPED if attempt in listing.stops else AttemptEnd.LOST
