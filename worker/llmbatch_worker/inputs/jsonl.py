"""JSON lines: one object a line. Blank lines are passed over."""

import json
from collections.abc import Iterable, Iterator

import orjson

from llmbatch_contract.errors import InputError
from llmbatch_contract.records import Item
from llmbatch_worker.inputs.lines import UTF8_BOM, lines_of, text_of
from llmbatch_worker.inputs.rows import Row

_LARGE = 2.0**63
_KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false", type(None): "null"}


def read_jsonl(blocks: Iterable[bytes], name: str, start: int = 0) -> Iterator[Row]:
    """Rows of a range of bytes that starts at offset `start`, at the start of a line.

    Lines are counted from the range's start. Raises InputError naming line and column.
    """
    offset = start
    for number, line in enumerate(lines_of(blocks, name), 1):
        end = offset + len(line) + 1
        if offset == 0 and line.startswith(UTF8_BOM):
            line = line[len(UTF8_BOM) :]
        if line and not line.isspace():
            yield Row(number, offset, end, _item(line, name, number))
        offset = end


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
        if isinstance(value, int) and abs(value) >= _LARGE:
            raise InputError(f"{where}: field {field}: the number has too many digits; put quotes around it")


def _what_is_wrong(error: orjson.JSONDecodeError) -> str:
    around = error.doc[max(0, error.pos - 20) : error.pos + 20].strip()
    return f"not valid JSON ({error.msg.split(':')[0]}), near {around!r}"
