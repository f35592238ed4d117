"""One item of an input and where it stands, many of them at a time, and how an item's id is read."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson

from llmbatch_contract.errors import InputError
from llmbatch_contract.records import Item


class Row(NamedTuple):
    """An item of the input."""

    line: int
    """1-based line on which it starts."""
    start: int
    """Offset of its first byte; the number of its row, in Parquet."""
    end: int
    """Offset after its newline, also where the last line has none."""
    item: Item


class Rows(NamedTuple):
    """Items that follow each other, at most a block of bytes of them: quicker to pass on than one by one."""

    lines: Sequence[int]
    starts: Sequence[int]
    ends: Sequence[int]
    items: Sequence[Item]
    texts: Sequence[bytes] | None = None
    """The items as JSON, where that is how they are stored."""

    def one_by_one(self) -> Iterator[Row]:
        """Each item."""
        return map(Row, self.lines, self.starts, self.ends, self.items)

    def only(self, positions: Sequence[int]) -> "Rows":
        """Some of the items, by their positions in these rows."""
        return Rows(
            lines=[self.lines[p] for p in positions],
            starts=[self.starts[p] for p in positions],
            ends=[self.ends[p] for p in positions],
            items=[self.items[p] for p in positions],
            texts=None if self.texts is None else [self.texts[p] for p in positions],
        )


def id_of(item: Item, id_field: str | None, number: int) -> str:
    """The id of the item with this number (from 0). Raises InputError saying what is wrong with it."""
    if id_field is None:
        return str(number)
    value = item.get(id_field)
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if id_field not in item:
        raise InputError(f"field {id_field} (the id) is missing; the item has {', '.join(item) or 'no fields'}")
    raise InputError(
        f"field {id_field} (the id) must be text or a whole number, not {orjson.dumps(value).decode()[:60]}"
    )
