"""The forms in which results and errors are written. Pure: from records to lines.

The openai form is that of the OpenAI Batch API's output and error files:
https://platform.openai.com/docs/api-reference/batch/request-output
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable
from typing import Any, Protocol

import orjson

from llmbatch_contract.records import DeadLetter, Item, Record, ResultRecord
from llmbatch_contract.spec import OutputFormat


class OutputForm(Protocol):
    """How results and errors look."""

    results_name: str
    needs_items: bool

    def header(self) -> bytes:
        """What stands before the results."""

    def result(self, record: ResultRecord, item: Item | None) -> bytes:
        """One result, with its newline."""

    def error(self, letter: DeadLetter) -> bytes:
        """One dead letter, with its newline."""


class JsonlForm:
    """A JSON object a line."""

    results_name = "results.jsonl"
    needs_items = False

    def header(self) -> bytes:
        """Nothing."""
        return b""

    def result(self, record: ResultRecord, item: Item | None) -> bytes:
        """The record as it is."""
        return _line(record)

    def error(self, letter: DeadLetter) -> bytes:
        """The dead letter as it is."""
        return _line(letter)


class CsvForm:
    """The input's columns, `ai_output`, and a column for each property of the response schema."""

    results_name = "results.csv"
    needs_items = True

    def __init__(self, fields: list[str], properties: list[str]) -> None:
        self._fields = fields
        self._properties = properties
        taken = set(fields)
        self._columns = [*fields, *(_free_name(name, taken) for name in ("ai_output", *properties))]

    def header(self) -> bytes:
        """The names of the columns."""
        return _csv_line(self._columns)

    def result(self, record: ResultRecord, item: Item | None) -> bytes:
        """One row."""
        item, output = item or {}, record["output"]
        parsed = output if isinstance(output, dict) else {}
        cells = [item.get(f) for f in self._fields] + [output] + [parsed.get(p) for p in self._properties]
        return _csv_line([_cell(c) for c in cells])

    def error(self, letter: DeadLetter) -> bytes:
        """Dead letters are JSON in every form."""
        return _line(letter)


class OpenAIForm:
    """Lines as OpenAI writes them, so that existing scripts read them."""

    results_name = "results.jsonl"
    needs_items = False

    def __init__(self, uid: str) -> None:
        self._uid = uid

    def header(self) -> bytes:
        """Nothing."""
        return b""

    def result(self, record: ResultRecord, item: Item | None) -> bytes:
        """A line of the output file."""
        return self._openai_line(record, record["response"], None)

    def error(self, letter: DeadLetter) -> bytes:
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


def output_form(format_: OutputFormat, *, fields: list[str], properties: list[str], uid: str) -> OutputForm:
    """The form of a batch's outputs."""
    match format_:
        case OutputFormat.CSV:
            return CsvForm(fields, properties)
        case OutputFormat.OPENAI:
            return OpenAIForm(uid)
        case OutputFormat.JSONL:
            return JsonlForm()


def _free_name(name: str, taken: set[str]) -> str:
    """The name, or one beside it where the input has a column of that name."""
    prefixed = name if name.startswith("ai_") else f"ai_{name}"
    candidates = [name, prefixed, *(f"{prefixed}_{n}" for n in range(2, len(taken) + 3))]
    free = next(c for c in candidates if c not in taken)
    taken.add(free)
    return free


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
