"""The items of an input of text: JSON lines, CSV, requests of the OpenAI Batch API. Of one object, or of several."""

from collections.abc import Generator, Iterator

from llmbatch_contract.errors import InputError
from llmbatch_contract.spec import InputFormat, Packing
from llmbatch_worker.inputs.csv_rows import CsvFile
from llmbatch_worker.inputs.jsonl import jsonl_rows
from llmbatch_worker.inputs.lines import is_blank
from llmbatch_worker.inputs.openai_batch import openai_rows
from llmbatch_worker.inputs.rows import Rows
from llmbatch_worker.inputs.source import Pass, Source, Text
from llmbatch_worker.planning.batches import Batch
from llmbatch_worker.planning.form import Form, gathered


class PackedAfterAllError(Exception):
    """Objects were to be read where they are, and then one is packed."""


class TextItems:
    """Items: the lines or records of all objects."""

    def __init__(self, source: Source, form: Form, *, must_be_plain: bool) -> None:
        """With `must_be_plain`, a packed object raises PackedAfterAllError."""
        self._source, self._form, self._must_be_plain = source, form, must_be_plain
        self._sizes = [found.info.size for found in source.objects] or [0]
        self._is_one = len(self._sizes) == 1
        self._header_of = ""
        self.columns: list[str] = []
        self.all_columns = self.columns
        self.bounds = [(0, 0)] * len(self._sizes)

    def batches(self, on_blocks: Pass = lambda _number, blocks: blocks) -> Generator[Batch]:
        """All of them, in order."""
        first = 0
        for text in self._source.texts(on_blocks):
            if self._must_be_plain and text.packing is not Packing.NONE:
                raise PackedAfterAllError
            for rows in self._rows(text):
                count = len(rows.items)
                yield Batch(text.number, text.name, range(first, first + count), rows)
                first += count

    def _rows(self, text: Text) -> Iterator[Rows]:
        head, blocks = gathered(text.blocks)
        if not self._is_one and is_blank(head):
            for block in blocks:
                if not is_blank(block):
                    raise InputError(f"{text.name}: begins with more than a million blank characters; remove them")
            return
        if not self._is_one:
            self._form.check(text.name, head)
        size = self._sizes[text.number]
        self.bounds[text.number] = (0, size)
        match self._form.format:
            case InputFormat.OPENAI:
                yield from openai_rows(blocks, text.name)
            case InputFormat.CSV:
                file = CsvFile(blocks, text.name, self._form.delimiter)
                self._check_header(file.columns, text.name)
                self.bounds[text.number] = (min(file.data_start, size), size)
                yield from file.rows()
            case _:
                yield from jsonl_rows(blocks, text.name)

    def _check_header(self, columns: list[str], name: str) -> None:
        if not self._header_of:
            self._header_of = name
            self.columns[:] = columns
        elif columns != self.columns:
            raise InputError(
                f"{name}: {difference(columns, self.columns)} in {self._header_of}; all files must have the same "
                "columns in the same order"
            )


def difference(columns: list[str], others: list[str]) -> str:
    """The first thing in which a header differs from another: the start of a sentence about that other."""
    missing = [c for c in others if c not in columns]
    if missing:
        return f"lacks the column {missing[0]!r} that is"
    added = [c for c in columns if c not in others]
    if added:
        return f"has the column {added[0]!r} that is not"
    at = next(n for n, (one, other) in enumerate(zip(columns, others, strict=True)) if one != other)
    return f"column {at + 1} of the header is {columns[at]!r}, but {others[at]!r}"
