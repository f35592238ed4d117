"""The records of one shard in input order, from its parts; for items without one, a dead letter that says so."""

from collections.abc import Iterator
from dataclasses import dataclass

from llmbatch_contract import layout
from llmbatch_contract.categories import Category
from llmbatch_contract.errors import InvariantError
from llmbatch_contract.plan import Shard
from llmbatch_contract.records import DeadLetter, Item, Record
from llmbatch_contract.reports import StopReason
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.shardlog import PartName, read_done, read_part, resent_so_far
from llmbatch_worker.stores.protocol import Store

Entry = tuple[Record, Item | None]
"""A record, and its item where items were asked for."""


@dataclass(frozen=True)
class Gathered:
    """One shard, ready to be written."""

    entries: Iterator[Entry]
    resent: int


class Gatherer:
    """Reads shards of a planned batch."""

    def __init__(
        self, store: Store, items: PlannedItems, *, stop: StopReason | None, now: str, with_items: bool
    ) -> None:
        """`stop` says why items may lack a record (None: they may not); `now` is ISO 8601."""
        self._store, self._items = store, items
        self._stop, self._now, self._with_items = stop, now, with_items

    def gather(self, shard: Shard) -> Gathered:
        """One shard. Raises InvariantError when an item has no record though nothing stopped the batch."""
        listing = layout.read_listing(self._store.names(layout.shard_prefix(shard.number)))
        if listing.is_done:
            done = read_done(self._store, shard.number)
            parts, resent = tuple(done.parts), done.progress.resent
        else:
            parts, resent = listing.parts, resent_so_far(self._store, shard, listing)
        records = self._records(shard, parts)
        missing = records.count(None)
        if missing and self._stop is None:
            raise InvariantError(
                f"{missing} items of shard {shard.number} (from item {shard.first_item}) have neither a result nor an "
                "error; the outputs were not written. Run again to ask about them"
            )
        if missing or self._with_items:
            return Gathered(self._beside_items(shard, records), resent)
        return Gathered(((record, None) for record in records if record is not None), resent)

    def _records(self, shard: Shard, parts: tuple[PartName, ...]) -> list[Record | None]:
        """The first record of each item, by position; a part of a stale attempt adds none."""
        found: list[Record | None] = [None] * shard.items
        for name in parts:
            for record in read_part(self._store, shard, name):
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
        }
