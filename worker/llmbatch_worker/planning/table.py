"""Opens a source as rows: finds out its format, and for CSV its delimiter and columns."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llmbatch_contract.spec import Input, InputFormat
from llmbatch_worker.inputs.csv_rows import detect_delimiter, read_csv, read_header
from llmbatch_worker.inputs.detect import detect_format
from llmbatch_worker.inputs.jsonl import read_jsonl
from llmbatch_worker.inputs.openai_batch import ID_FIELD, read_openai
from llmbatch_worker.inputs.rows import Row


@dataclass(frozen=True)
class Table:
    """A source as rows, to be read once."""

    format: InputFormat
    id_field: str | None
    columns: list[str]
    """Of the CSV header; empty for other formats."""
    delimiter: str
    rows: Iterator[Row]


def open_table(spec: Input, name: str, blocks: Iterable[bytes], *, has_request: bool = True) -> Table:
    """Rows of the whole input; without a request in the manifest they are requests. Raises InputError."""
    rest = iter(blocks)
    head = next(rest, b"")
    are_objects = spec.items is not None or spec.dead_letters_of is not None
    found = detect_format(spec.format, f"{name}.jsonl" if are_objects else name, head)
    if not head and not has_request:  # nothing shows that the items, if there were any, would be requests
        found = InputFormat.OPENAI
    whole = itertools.chain((head,), rest)
    if found is InputFormat.OPENAI:
        return Table(found, ID_FIELD, [], ",", read_openai(whole, name))
    if found is InputFormat.CSV:
        return _open_csv(spec, name, head, rest)
    return Table(InputFormat.JSONL, spec.id_field, [], ",", read_jsonl(whole, name))


def _open_csv(spec: Input, name: str, head: bytes, rest: Iterator[bytes]) -> Table:
    delimiter = spec.delimiter or detect_delimiter(head)
    columns, offset, lines = read_header((head,), name, delimiter)
    blocks = itertools.chain((head[offset:],), rest)
    rows = read_csv(blocks, name, offset, columns=columns, delimiter=delimiter, first_line=lines + 1)
    return Table(InputFormat.CSV, spec.id_field, columns, delimiter, rows)
