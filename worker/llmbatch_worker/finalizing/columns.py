"""Which columns results have, how they are called, and which of them were asked for. Pure.

The input's columns keep their names in CSV and Parquet; ours get `ai_` before them where the input has such a name.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from llmbatch_contract.errors import InvalidError
from llmbatch_contract.spec import LLMBatchSpec, OutputFormat

FLAT_FIELDS = (
    "id", "index", "output", "finish_reason", "model", "input_tokens", "output_tokens", "cached_tokens",
    "reasoning_tokens", "attempts", "latency_ms", "completed_at", "trace_id",
)  # fmt: skip
"""What a record holds, without what is nested."""
_BEFORE_ANSWER = 3
_MOST_NAMED = 20


class Source(StrEnum):
    """Where the value of a column is."""

    RECORD = "record"
    USAGE = "usage"
    ANSWER = "answer"
    """A property of the parsed output."""
    INPUT = "input"
    """A field of the item."""


@dataclass(frozen=True)
class Column:
    """One column, or one field of a JSON line."""

    name: str
    source: Source
    key: str


def result_columns(spec: LLMBatchSpec, fields: list[str]) -> list[Column] | None:
    """The columns of results; None for whole records. `fields` are the input's. Raises InvalidError."""
    output = spec.output
    if output.format is OutputFormat.OPENAI or (output.format is OutputFormat.JSONL and output.fields is None):
        return None
    usual, more = _known_columns(spec, fields)
    return usual if output.fields is None else _chosen(output.fields, [*usual, *more])


def _known_columns(spec: LLMBatchSpec, fields: list[str]) -> tuple[list[Column], list[Column]]:
    """Those that results have if nothing is said, and those that they can have besides."""
    properties, include_input = properties_of(spec), spec.output.include_input
    match spec.output.format:
        case OutputFormat.CSV:
            return _of_csv(fields, properties)
        case OutputFormat.PARQUET:
            return _of_parquet(fields if include_input else [], properties)
        case _:
            return _of_jsonl(fields, properties, include_input=include_input)


def properties_of(spec: LLMBatchSpec) -> list[str]:
    """The properties of the answer, where a schema says that it is an object."""
    schema = spec.request.response_schema if spec.request is not None else None
    found = schema.get("properties") if schema is not None else None
    return list(found) if isinstance(found, dict) else []


def _of_csv(fields: list[str], properties: list[str]) -> tuple[list[Column], list[Column]]:
    taken = set(fields)
    usual = [
        *_inputs(fields),
        Column(free_name("ai_output", taken), Source.RECORD, "output"),
        *_answers(properties, taken),
    ]
    return usual, _records(FLAT_FIELDS, taken)


def _of_parquet(fields: list[str], properties: list[str]) -> tuple[list[Column], list[Column]]:
    taken = set(fields)
    records = _records(FLAT_FIELDS, taken)
    answers = _answers(properties, taken)
    return [*records[:_BEFORE_ANSWER], *answers, *records[_BEFORE_ANSWER:], *_inputs(fields)], []


def _of_jsonl(fields: list[str], properties: list[str], *, include_input: bool) -> tuple[list[Column], list[Column]]:
    """The record's own fields keep their names; they are what stands at the top of a line without `fields`."""
    taken: set[str] = set()
    records = _records((*FLAT_FIELDS, "usage", *(["input"] if include_input else [])), taken)
    inputs = _inputs([f for f in fields if f not in taken] if include_input else [])
    taken.update(column.name for column in inputs)
    return [*records, *inputs, *_answers(properties, taken)], []


def _records(keys: Iterable[str], taken: set[str]) -> list[Column]:
    return [
        Column(free_name(key, taken), Source.USAGE if key.endswith("_tokens") else Source.RECORD, key) for key in keys
    ]


def _answers(properties: list[str], taken: set[str]) -> list[Column]:
    return [Column(free_name(name, taken), Source.ANSWER, name) for name in properties]


def _inputs(fields: list[str]) -> list[Column]:
    return [Column(name, Source.INPUT, name) for name in fields]


def _chosen(wanted: list[str], known: list[Column]) -> list[Column]:
    by_name = {column.name: column for column in known}
    if unknown := [name for name in wanted if name not in by_name]:
        raise InvalidError(_unknown(unknown[0], list(by_name)))
    if len(set(wanted)) < len(wanted):
        twice = next(name for name in wanted if wanted.count(name) > 1)
        raise InvalidError(f"spec.output.fields: has {twice!r} twice; remove one")
    return [by_name[name] for name in wanted]


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ";"
    shown = ", ".join(known[:_MOST_NAMED]) + (", …" if len(known) > _MOST_NAMED else "")
    return f"spec.output.fields: results have no {name!r}{hint} They have {shown}".replace("; They", "; they")


def free_name(name: str, taken: set[str]) -> str:
    """The name, or one beside it where the input has a column of that name; it is taken from now on."""
    prefixed = name if name.startswith("ai_") else f"ai_{name}"
    candidates = [name, prefixed, *(f"{prefixed}_{n}" for n in range(2, len(taken) + 3))]
    free = next(c for c in candidates if c not in taken)
    taken.add(free)
    return free
