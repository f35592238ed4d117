"""JSON lines: one object a line. Blank lines are passed over.

Lines are parsed many at a time; only where that fails, or something must be looked at closely, one by one.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import accumulate

import orjson

from llmbatch_contract.errors import InputError
from llmbatch_contract.records import Item
from llmbatch_worker.inputs.lines import UTF8_BOM, line_lists, text_of
from llmbatch_worker.inputs.rows import Row, Rows

_LARGE = 2.0**63
_KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false", type(None): "null"}


def read_jsonl(blocks: Iterable[bytes], name: str, start: int = 0) -> Iterator[Row]:
    """Rows of a range of bytes that starts at offset `start`, at the start of a line.

    Lines are counted from the range's start. Raises InputError naming line and column.
    """
    for rows in jsonl_rows(blocks, name, start):
        yield from rows.one_by_one()


def jsonl_rows(blocks: Iterable[bytes], name: str, start: int = 0) -> Iterator[Rows]:
    """The same rows, many at a time."""
    offset, number = start, 1
    for lines in line_lists(blocks, name):
        offsets = list(accumulate((len(line) + 1 for line in lines), initial=offset))
        items = _items(lines)
        if items is not None:
            yield Rows(range(number, number + len(lines)), offsets[:-1], offsets[1:], items, lines)
        else:
            yield from _rows_one_by_one(lines, name, number, offsets)
        offset, number = offsets[-1], number + len(lines)


def _items(lines: list[bytes]) -> list[Item] | None:
    """The items of these lines; None if one of them needs a closer look."""
    try:
        items = list(map(orjson.loads, lines))
    except orjson.JSONDecodeError:
        return None
    for item in items:
        if type(item) is not dict:
            return None
        for value in item.values():
            if type(value) is float and abs(value) >= _LARGE:
                return None
    return items


def _rows_one_by_one(lines: list[bytes], name: str, number: int, offsets: list[int]) -> Iterator[Rows]:
    """Rows of lines of which some are blank, or wrong: those before a wrong one come first."""
    texts: list[bytes] = []
    found: list[tuple[int, int, int, Item]] = []
    failure: InputError | None = None
    for at, (line, start) in enumerate(zip(lines, offsets, strict=False)):
        if start == 0 and line.startswith(UTF8_BOM):
            line = line[len(UTF8_BOM) :]
        if not line or line.isspace():
            continue
        try:
            found.append((number + at, start, offsets[at + 1], _item(line, name, number + at)))
        except InputError as error:
            failure = error
            break
        texts.append(line)
    if found:
        numbers, starts, ends, items = zip(*found, strict=True)
        yield Rows(numbers, starts, ends, items, texts)
    if failure is not None:
        raise failure


def _item(line: bytes, name: str, number: int) -> Item:
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        text_of(line, name, number)
        raise InputError(f"{name}:{number}: column {error.colno}: {_what_is_wrong(error)}") from error
    if type(item) is not dict:
        raise InputError(f"{name}:{number}: must be a JSON object of fields, not {_KINDS.get(type(item), 'this')}")
    for value in item.values():
        if type(value) is float and abs(value) >= _LARGE:
            _check_digits(line, f"{name}:{number}")
    return item


def _check_digits(line: bytes, where: str) -> None:
    """The fast parser makes floats of whole numbers over 64 bits; digits must not get lost."""
    for field, value in json.loads(line).items():
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            raise InputError(f"{where}: field {field}: the number has too many digits; put quotes around it")


def _what_is_wrong(error: orjson.JSONDecodeError) -> str:
    around = error.doc[max(0, error.pos - 20) : error.pos + 20].strip()
    hint = "; write each object on a line of its own, as `jq -c .` does" if around in ("{", "[") else ""
    return f"not valid JSON ({error.msg.split(':')[0]}), near {around!r}{hint}"
