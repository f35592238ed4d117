"""Results as lines of text: JSON, CSV, and as the OpenAI Batch API writes them. Pure: from records to lines.

The openai form is that of the OpenAI Batch API's output and error files:
https://platform.openai.com/docs/api-reference/batch/request-output
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import orjson

from llmbatch_contract.records import DeadLetter, Item, Record, ResultRecord
from llmbatch_worker.finalizing.columns import Column, Source

_NO_FIELDS: dict[str, Any] = {}


class TextForm(Protocol):
    """How results and errors look as lines."""

    def header(self) -> bytes:
        """What stands before the results."""

    def result(self, record: ResultRecord, item: Item | None, line: bytes) -> bytes:
        """One result, with its newline. `line` is the record as JSON, with its newline."""

    def error(self, letter: DeadLetter, line: bytes) -> bytes:
        """One dead letter, with its newline."""


class JsonlForm:
    """A JSON object a line: the record as it is."""

    def header(self) -> bytes:
        """Nothing."""
        return b""

    def result(self, record: ResultRecord, item: Item | None, line: bytes) -> bytes:
        """The record as it is."""
        return line

    def error(self, letter: DeadLetter, line: bytes) -> bytes:
        """The dead letter as it is."""
        return line


class ChosenJsonlForm(JsonlForm):
    """A JSON object a line, of the fields that were asked for."""

    def __init__(self, columns: list[Column]) -> None:
        self._getters = {column.name: getter_of(column) for column in columns}

    def result(self, record: ResultRecord, item: Item | None, line: bytes) -> bytes:
        """The fields, null where the result has no such value."""
        return _line({name: get(record, item) for name, get in self._getters.items()})


class CsvForm(JsonlForm):
    """A row a result: the input's columns, `ai_output`, a column for each property of the response schema."""

    def __init__(self, columns: list[Column]) -> None:
        self._names = [column.name for column in columns]
        self._getters = [getter_of(column) for column in columns]

    def header(self) -> bytes:
        """The names of the columns."""
        return _csv_line(self._names)

    def result(self, record: ResultRecord, item: Item | None, line: bytes) -> bytes:
        """One row."""
        return _csv_line([_cell(get(record, item)) for get in self._getters])


class OpenAIForm:
    """Lines as OpenAI writes them, so that existing scripts read them."""

    def __init__(self, uid: str) -> None:
        self._uid = uid

    def header(self) -> bytes:
        """Nothing."""
        return b""

    def result(self, record: ResultRecord, item: Item | None, line: bytes) -> bytes:
        """A line of the output file."""
        return self._openai_line(record, record["response"], None)

    def error(self, letter: DeadLetter, line: bytes) -> bytes:
        """A line of the error file: the endpoint's own answer where there was one, else our category as the code."""
        response = letter.get("response")
        error = None
        if response is None or response["status_code"] < 300:
            error = {"code": letter["error"]["category"], "message": letter["error"]["message"]}
        return self._openai_line(letter, response, error)

    def _openai_line(self, record: Record, response: dict[str, Any] | None, error: dict[str, str] | None) -> bytes:
        digest = hashlib.md5(f"{self._uid}-{record['index']}".encode(), usedforsecurity=False).hexdigest()
        row = {"id": f"batch_req_{digest}", "custom_id": record["id"], "response": response, "error": error}
        return json.dumps(row).encode() + b"\n"


Getter = Callable[[ResultRecord, Item | None], Any]


def getter_of(column: Column) -> Getter:
    """A function from a result and its item to the value of a column; None where there is none."""
    key = column.key
    match column.source:
        case Source.RECORD:
            return lambda record, _item: record.get(key)
        case Source.USAGE:
            return lambda record, _item: record.get("usage", _NO_FIELDS).get(key, 0)
        case Source.ANSWER:
            return lambda record, _item: output.get(key) if isinstance(output := record["output"], dict) else None
        case Source.INPUT:
            return lambda record, item: (record.get("input", _NO_FIELDS) if item is None else item).get(key)


def _line(row: object) -> bytes:
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def _csv_line(cells: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)  # so that a lone \r is quoted, too
    return text.getvalue().removesuffix("\r\n").encode() + b"\n"


def _cell(value: object) -> object:
    """Text as it is; lists and objects as JSON; true and false as JSON has them."""
    if isinstance(value, dict | list | bool):
        return orjson.dumps(value).decode()
    return value
