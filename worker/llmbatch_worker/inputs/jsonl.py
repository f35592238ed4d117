"""JSON lines: one object a line. Blank lines are passed over.

Lines are parsed many at a time; only where that fails, or something must be looked at closely, one by one.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

import orjson

from llmbatch_contract.errors import InputError
from llmbatch_contract.records import Item
from llmbatch_worker.inputs.lines import UTF8_BOM, line_lists, text_of
from llmbatch_worker.inputs.rows import Row, Rows

_LARGE = 2.0**63
_MOST_NESTED = 100
"""Lists and objects in each other, in a field. What writes records takes a few more than twice as many."""
_KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false", type(None): "null"}


def read_jsonl(blocks: Iterable[bytes], name: str, start: int = 0, *, is_bounded: bool = True) -> Iterator[Row]:
    """Rows of a range of bytes that starts at offset `start`, at the start of a line.

    Lines are counted from the range's start; `is_bounded` as in `line_lists`. Raises InputError naming line and column.
    """
    for rows in jsonl_rows(blocks, name, start, is_bounded=is_bounded):
        yield from rows.one_by_one()


def jsonl_rows(blocks: Iterable[bytes], name: str, start: int = 0, *, is_bounded: bool = True) -> Iterator[Rows]:
    """The same rows, many at a time."""
    offset, number = start, 1
    for lines in line_lists(blocks, name, is_bounded=is_bounded):
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
        if _needs_look(item.values()):
            return None
    return items


def _needs_look(values: Iterable[Any], depth: int = 1) -> bool:
    """Whether there is a number among them, or inside of them, that may have lost digits; or they are nested deep."""
    for value in values:
        kind = type(value)
        if kind is float and abs(value) >= _LARGE:
            return True
        if kind is list or kind is dict:
            inside = value if kind is list else value.values()
            if depth >= _MOST_NESTED or _needs_look(inside, depth + 1):
                return True
    return False


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
    doubtful = [field for field, value in item.items() if _needs_look((value,))]
    for field in doubtful:
        _check_depth(item[field], f"{name}:{number}: field {field}")
    if doubtful:  # after all have been checked for depth: this parser bears less of it
        exact = json.loads(line)
        for field in doubtful:
            _check_digits(exact[field], f"{name}:{number}: field {field}")
    return item


def _check_depth(value: Any, where: str) -> None:
    """What writes records goes only so deep."""
    if any(depth > _MOST_NESTED for _, depth in _all_inside(value)):
        raise InputError(f"{where}: is nested more than {_MOST_NESTED} deep; make it flatter")


def _check_digits(value: Any, where: str) -> None:
    """The fast parser makes floats of whole numbers over 64 bits; digits must not get lost."""
    for each, _ in _all_inside(value):
        if isinstance(each, int) and not -(2**63) <= each < 2**64:
            raise InputError(f"{where}: the number has too many digits; put quotes around it")


def _all_inside(value: Any) -> Iterator[tuple[Any, int]]:
    """A value, and those in it, each with the number of lists and objects around it, itself among them."""
    waiting = [(value, 0)]
    for each, above in waiting:
        is_list, is_object = isinstance(each, list), isinstance(each, dict)
        depth = above + (is_list or is_object)
        yield each, depth
        if is_list or is_object:
            waiting.extend((inner, depth) for inner in (each if is_list else each.values()))


def _what_is_wrong(error: orjson.JSONDecodeError) -> str:
    around = error.doc[max(0, error.pos - 20) : error.pos + 20].strip()
    hint = "; write each object on a line of its own, as `jq -c .` does" if around in ("{", "[") else ""
    return f"not valid JSON ({error.msg.split(':')[0]}), near {around!r}{hint}"
