"""The forms in which results and errors are written: what an object is made of, whatever store it goes to."""

import importlib.util

from llmbatch_contract.errors import InvalidError
from llmbatch_contract.records import DeadLetter, Item, ResultRecord
from llmbatch_contract.spec import LLMBatch, LLMBatchSpec, OutputFormat
from llmbatch_worker.finalizing.columns import Column, Source, result_columns
from llmbatch_worker.finalizing.forms import OutputForm, ResultObject
from llmbatch_worker.finalizing.text_forms import ChosenJsonlForm, CsvForm, JsonlForm, OpenAIForm, TextForm
from llmbatch_worker.stores.protocol import Write

_FLUSH_BYTES = 1 << 20


def check_output(batch: LLMBatch, fields: list[str]) -> None:
    """See whether the results of a batch can be written, given the names of its items' fields. Raises InvalidError."""
    result_columns(batch.spec, fields)
    if batch.spec.output.format is OutputFormat.PARQUET and importlib.util.find_spec("pyarrow") is None:
        raise InvalidError("spec.output.format: to write Parquet, pip install 'llmbatch[parquet]'")


class LinesForm:
    """Lines of text."""

    def __init__(self, text: TextForm, *, needs_items: bool) -> None:
        self.needs_items = needs_items
        self._text = text

    def begin(self, write: Write) -> ResultObject:
        """An object of results."""
        return _Lines(self._text, write)

    def error(self, letter: DeadLetter, line: bytes) -> bytes:
        """One dead letter, with its newline."""
        return self._text.error(letter, line)

    def settle(self) -> None:
        """Lines do not depend on each other."""


class _Lines:
    """Lines, some at a time."""

    def __init__(self, text: TextForm, write: Write) -> None:
        self._to_line, self._write = text.result, write
        self._lines = [text.header()]
        self._size = len(self._lines[0])

    def add(self, record: ResultRecord, item: Item | None, line: bytes) -> None:
        line = self._to_line(record, item, line)
        self._lines.append(line)
        self._size += len(line)
        if self._size >= _FLUSH_BYTES:
            self._flush()

    def end(self) -> None:
        self._flush()

    def _flush(self) -> None:
        if self._size:
            self._write(b"".join(self._lines))
        self._lines, self._size = [], 0


def output_form(spec: LLMBatchSpec, *, fields: list[str], uid: str) -> OutputForm:
    """The form of a batch's outputs; `fields` are those of its items."""
    columns = result_columns(spec, fields)
    match spec.output.format:
        case OutputFormat.OPENAI:
            return LinesForm(OpenAIForm(uid), needs_items=False)
        case OutputFormat.JSONL:
            return LinesForm(JsonlForm() if columns is None else ChosenJsonlForm(columns), needs_items=False)
        case OutputFormat.CSV:
            assert columns is not None
            return LinesForm(CsvForm(columns), needs_items=_reads_items(columns, spec))
        case OutputFormat.PARQUET:
            from llmbatch_worker.finalizing.parquet_form import ParquetForm

            assert columns is not None
            return ParquetForm(columns, spec, needs_items=_reads_items(columns, spec))


def _reads_items(columns: list[Column], spec: LLMBatchSpec) -> bool:
    """Whether the input has to be read: with `includeInput` the items are in the records."""
    return not spec.output.include_input and any(column.source is Source.INPUT for column in columns)
