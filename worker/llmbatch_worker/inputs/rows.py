"""One item of an input and where it stands, and how its id is read."""

from typing import NamedTuple

import orjson

from llmbatch_contract.errors import InputError
from llmbatch_contract.records import Item


class Row(NamedTuple):
    """An item of the input."""

    line: int
    """1-based line on which it starts."""
    start: int
    """Offset of its first byte."""
    end: int
    """Offset after its newline, also where the last line has none."""
    item: Item


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
