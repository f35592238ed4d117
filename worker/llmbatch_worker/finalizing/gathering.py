"""The records of one shard in input order, from its parts; for items without one, a dead letter that says so."""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson
import pydantic

from llmbatch_contract import layout
from llmbatch_contract.categories import Category
from llmbatch_contract.errors import InvariantError
from llmbatch_contract.plan import Shard
from llmbatch_contract.records import DeadLetter, Item, Record
from llmbatch_contract.reports import StopReason
from llmbatch_worker.finalizing.histories import Attempt, AttemptEnd
from llmbatch_worker.finalizing.shard_lines import Room, ShardLines
from llmbatch_worker.finalizing.timeline import ended_at_of
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.inputs.rows import Row
from llmbatch_worker.shardlog import Claim, PartName, read_done, resent_so_far
from llmbatch_worker.stores.protocol import Store

ROOM_BYTES = 12 << 20
"""Of memory for records; a shard that finds none left sorts its records in a temporary file."""
_ITEMS_AHEAD, _ITEM_BYTES_AHEAD = 1000, 1 << 20
_INDEX = re.compile(rb'\{"id":"(?:[^"\\]|\\.)*","index":(\d+)[,}]')
"""How the lines begin that workers write. Of others, the whole is read twice."""

Entry = tuple[Record, Item | None, bytes]
"""A record, its item where items were asked for, and the record as a line."""
_PlannedItem = tuple[int, str, Row]


@dataclass(frozen=True)
class Gathered:
    """One shard, ready to be written."""

    shard: Shard
    rows: Iterator[Entry]
    """In the order of items; only once."""
    resent: int
    attempts: list[Attempt]
    lines: ShardLines

    @property
    def entries(self) -> Iterator[tuple[Record, Item | None]]:
        """The rows without their lines."""
        return ((record, item) for record, item, _line in self.rows)

    def close(self) -> None:
        """Free what it holds, if its rows were not read to their end."""
        self.lines.close()


class Gatherer:
    """Reads shards of a planned batch. Threads may gather several at once."""

    def __init__(
        self,
        store: Store,
        items: PlannedItems,
        *,
        stop: StopReason | None,
        now: str,
        trace_id: str,
        with_items: bool,
        room: Room | None = None,
    ) -> None:
        """`stop` says why items may lack a record (None: they may not); `now` is ISO 8601."""
        self._store, self._items = store, items
        self._stop, self._now, self._with_items = stop, now, with_items
        self._trace_id = trace_id
        self._room = room or Room(ROOM_BYTES)

    def gather(self, shard: Shard) -> Gathered:
        """One shard. Raises InvariantError when an item has no record though nothing stopped the batch."""
        listing = layout.read_listing(self._store.names(layout.shard_prefix(shard.number)))
        if listing.is_done:
            done = read_done(self._store, shard.number)
            parts, resent, finisher = tuple(done.parts), done.progress.resent, done.progress.attempt
        else:
            parts, resent, finisher = listing.parts, resent_so_far(self._store, shard, listing), None
        attempts = {number: Attempt(number, _end_of(number, finisher, listing)) for number in listing.claims}
        lines = ShardLines(shard.items, self._room)
        try:
            self._read(shard, parts, attempts, lines)
            if lines.missing and self._stop is None:
                raise InvariantError(
                    f"{lines.missing} items of shard {shard.number} (from item {shard.first_item}) have neither a "
                    "result nor an error; the outputs were not written. Run again to ask about them"
                )
            records = self._records(shard, parts, lines)
            rows = self._beside_items(shard, records) if lines.missing or self._with_items else _alone(records)
        except BaseException:
            lines.close()
            raise
        return Gathered(shard, rows, resent, list(attempts.values()), lines)

    def claim(self, shard: int, attempt: int) -> Claim | None:
        """A claim; None if it is not as it was written, which is no reason to write no outputs."""
        try:
            return Claim.load(self._store.read(layout.claim(shard, attempt)))
        except pydantic.ValidationError:
            return None

    def _read(self, shard: Shard, parts: Iterable[PartName], attempts: dict[int, Attempt], lines: ShardLines) -> None:
        """Take in the lines of all parts; a part of a stale attempt adds none."""
        for name in parts:
            part = layout.part(shard.number, *name)
            of_part = self._store.read(part).splitlines(keepends=True)
            if of_part and (attempt := attempts.get(name[0])) is not None:
                # A worker writes records as items end, so the first and the last tell enough.
                first, last = self._decoded(part, of_part[0]), self._decoded(part, of_part[-1])
                attempt.wrote(ended_at_of(first), ended_at_of(last), len(of_part))
            for line in of_part:
                found = _INDEX.match(line)
                index = int(found[1]) if found is not None else self._decoded(part, line)["index"]
                if not 0 <= index - shard.first_item < shard.items:
                    raise InvariantError(f"{self._store.where(part)} is damaged: item {index} is not of this shard")
                lines.add(index - shard.first_item, line)

    def _decoded(self, part: str, line: bytes) -> Record:
        try:
            record: Record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InvariantError(
                f"{self._store.where(part)} is damaged: {error.msg}; remove it and run again"
            ) from error
        return record

    def _records(
        self, shard: Shard, parts: Iterable[PartName], lines: ShardLines
    ) -> Iterator[tuple[Record, bytes] | None]:
        for line in lines.in_order():
            if line is None:
                yield None
                continue
            try:
                record: Record = orjson.loads(line)
            except orjson.JSONDecodeError:
                record = self._decoded(self._part_with(line, shard, parts), line)
            yield record, line

    def _part_with(self, line: bytes, shard: Shard, parts: Iterable[PartName]) -> str:
        """The part that holds a line, for a message."""
        names = [layout.part(shard.number, *name) for name in parts]
        return next((name for name in names if line in self._store.read(name)), layout.shard_prefix(shard.number))

    def _beside_items(self, shard: Shard, records: Iterator[tuple[Record, bytes] | None]) -> Iterator[Entry]:
        rows = _begun(self._items.rows(shard))
        return (self._beside(found, *planned) for found, planned in zip(records, rows, strict=True))

    def _beside(self, found: tuple[Record, bytes] | None, number: int, item_id: str, row: Row) -> Entry:
        if found is None:
            letter = self._unanswered(number, item_id, row.item)
            return letter, row.item, orjson.dumps(letter, option=orjson.OPT_APPEND_NEWLINE)
        record, line = found
        if record["id"] != item_id or record["index"] != number:
            raise InvariantError(f"the record of item {number} is about {record['id']!r}, not {item_id!r}")
        return record, row.item, line

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


def _alone(records: Iterator[tuple[Record, bytes] | None]) -> Iterator[Entry]:
    for found in records:
        if found is not None:
            yield found[0], None, found[1]


def _begun(rows: Iterator[_PlannedItem]) -> Iterator[_PlannedItem]:
    """Rows of which some have been read: who gathers shards ahead waits for the store meanwhile."""
    first, size = [], 0
    for row in rows:
        first.append(row)
        size += row[2].end - row[2].start
        if len(first) >= _ITEMS_AHEAD or size >= _ITEM_BYTES_AHEAD:
            break
    return itertools.chain(first, rows)


def _end_of(attempt: int, finisher: int | None, listing: layout.ShardObjects) -> AttemptEnd:
    if attempt == finisher:
        return AttemptEnd.DONE
    return AttemptEnd.STOPPED if attempt in listing.stops else AttemptEnd.LOST
