"""What a batch comes to, in plain Python: which items, under which ids, with which answers, in every form of output."""

from dataclasses import dataclass
from typing import Any

import orjson

from builders import Document
from conformance.scripted_endpoint import REFUSED, answer_to
from conformance.sinks import Sink
from conformance.sources import PROMPT, Source, prompt_of
from llmbatch_worker.inputs.selecting import Sampler


@dataclass(frozen=True)
class Expected:
    """One item that was taken."""

    id: str
    index: int
    seen: Document
    """The item, as the input holds it."""
    answer: Any
    """None: it failed."""


def expected(items: list[Document], source: Source, *, as_object: bool) -> list[Expected]:
    """All items that are taken, in order."""
    named = source.form == "openai" or "idField" in source.more
    return [
        Expected(
            id=item["id"] if named else str(number),
            index=index,
            seen=source.seen(item),
            answer=None if item["kind"] == REFUSED else answer_to(prompt_of(item), as_object=as_object),
        )
        for index, (number, item) in enumerate(_taken(items, source.more))
    ]


def _taken(items: list[Document], selection: Document) -> list[tuple[int, Document]]:
    numbered = list(enumerate(items))
    if "where" in selection:
        numbered = [(number, item) for number, item in numbered if item["id"] != "t-0"]
    numbered = numbered[: selection.get("limit")]
    if "sample" in selection:
        sampler = Sampler(selection["sample"]["items"], selection["sample"]["seed"])
        for number, _ in numbered:
            sampler.note(number)
        taken = set(sampler.taken())
        numbered = [(number, item) for number, item in numbered if number in taken]
    return numbered


def where_not_first(form: str) -> str:
    """The expression that `_taken` stands for."""
    return f"{'custom_id' if form == 'openai' else 'id'} != 't-0'"


def result_rows(wanted: list[Expected], sink: Sink) -> list[Document]:
    """The results, as `found_rows` gives them."""
    return [_row(each, sink) for each in wanted if each.answer is not None]


def _row(each: Expected, sink: Sink) -> Document:
    columns = each.answer if isinstance(each.answer, dict) else {}
    match sink.format:
        case "openai":
            return {"custom_id": each.id, "content": _text(each.answer), "error": None}
        case "csv":
            cells = {**each.seen, "ai_output": each.answer, **columns}
            return {name: _text(value) for name, value in cells.items()}
        case "parquet":
            seen = each.seen if sink.include_input else {}
            row = {"id": each.id, "index": each.index, "output": _text(each.answer), **columns}
            return {f"ai_{name}" if name in seen else name: value for name, value in row.items()} | _cells(seen)
        case _:
            row = {"id": each.id, "index": each.index, "output": each.answer}
            return {**row, "input": each.seen} if sink.include_input else row


def found_rows(rows: list[Document], wanted: list[Document], sink: Sink) -> list[Document]:
    """Rows that were read back, of what `result_rows` knows of them."""
    if sink.format == "openai":
        return [
            {
                "custom_id": row["custom_id"],
                "content": row["response"]["body"]["choices"][0]["message"]["content"],
                "error": row["error"],
            }
            for row in rows
        ]
    names = set(wanted[0]) if wanted else set()
    assert sink.format != "csv" or all(set(row) == names for row in rows)
    return [{name: row[name] for name in row if name in names} for row in rows]


def _text(value: Any) -> str:
    """A cell of text."""
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else str(value)


def _cells(item: Document) -> Document:
    """Columns of the input in Parquet: objects are JSON text."""
    return {name: _text(value) if isinstance(value, dict) else value for name, value in item.items()}


def error_rows(wanted: list[Expected], source: Source, sink: Sink) -> list[Document]:
    """The dead letters."""
    failed = [each for each in wanted if each.answer is None]
    if sink.format == "openai":
        return [{"custom_id": each.id, "status": 400, "error": None} for each in failed]
    read = _read_columns(source, sink)
    return [
        {"id": each.id, "index": each.index, "item": {n: v for n, v in each.seen.items() if read is None or n in read}}
        for each in failed
    ]


def _read_columns(source: Source, sink: Sink) -> set[str] | None:
    """Of Parquet only those that something needs; None: all."""
    if source.form != "parquet" or sink.format == "csv" or sink.include_input:
        return None
    needed = {"kind", "text", "n"}
    assert all(name in PROMPT for name in needed)
    return needed | ({"id"} if {"idField", "where"} & source.more.keys() else set())


def found_errors(rows: list[Document], sink: Sink) -> list[Document]:
    """Dead letters that were read back, of what `error_rows` knows of them."""
    if sink.format == "openai":
        return [
            {"custom_id": row["custom_id"], "status": row["response"]["status_code"], "error": row["error"]}
            for row in rows
        ]
    assert all(row["error"]["category"] == "invalid_request" for row in rows)
    return [{name: row[name] for name in ("id", "index", "item")} for row in rows]
