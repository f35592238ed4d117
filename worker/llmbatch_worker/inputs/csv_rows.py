"""CSV and TSV with a header, as Python's csv module reads them: quotes, quoted newlines, doubled quotes.

The csv module asks for a line only when it needs one, so the bytes of the lines it took are the bytes of the row.
"""

import csv
import sys
from collections.abc import Iterable, Iterator

from llmbatch_contract.errors import InputError
from llmbatch_worker.inputs.lines import MAX_LINE_BYTES, UTF8_BOM, lines_of, text_of
from llmbatch_worker.inputs.rows import Row

_DELIMITERS = ",;\t|"
csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


def detect_delimiter(head: bytes) -> str:
    """The delimiter that stands most often in the header, outside quotes; a comma where there is none."""
    pieces = head.removeprefix(UTF8_BOM).lstrip(b"\r\n").decode(errors="replace").split('"')
    outside = ""
    for number, piece in enumerate(pieces):
        if number % 2 == 0:  # outside quotes
            before, newline, _ = piece.partition("\n")
            outside += before
            if newline:
                break
    return max(_DELIMITERS, key=lambda d: (outside.count(d), -_DELIMITERS.index(d)))


def read_header(blocks: Iterable[bytes], name: str, delimiter: str) -> tuple[list[str], int, int]:
    """The columns, the offset after the header, and the lines it takes. Raises InputError."""
    table = _Table(blocks, name, 0, delimiter)
    line, _, columns = next(table.records(), (0, 0, []))
    if not columns:
        raise InputError(f"{name}: has no header; the first line must name the columns")
    twice = sorted({c for c in columns if columns.count(c) > 1})
    if twice:
        raise InputError(f"{name}:{line}: column {twice[0]!r} stands twice in the header; rename one")
    return columns, table.offset, table.line


def read_csv(
    blocks: Iterable[bytes], name: str, start: int, *, columns: list[str], delimiter: str, first_line: int = 1
) -> Iterator[Row]:
    """Rows of a range of bytes that starts at offset `start`, at the start of a row, after the header.

    `first_line` is the number of the range's first line. Raises InputError naming the line.
    """
    table = _Table(blocks, name, start, delimiter, first_line)
    width = len(columns)
    for line, offset, values in table.records():
        if len(values) != width:
            raise InputError(f"{name}:{line}: {len(values)} fields, but the header has {width}; is a quote missing?")
        yield Row(line, offset, table.offset, dict(zip(columns, values, strict=True)))


class _Table:
    """Counts the lines and bytes that the csv module takes."""

    def __init__(self, blocks: Iterable[bytes], name: str, start: int, delimiter: str, first_line: int = 1) -> None:
        self._blocks, self._name, self._delimiter = blocks, name, delimiter
        self.offset = start
        self.line = first_line - 1
        self._record_start = start

    def records(self) -> Iterator[tuple[int, int, list[str]]]:
        """First line, first offset and values of each record; blank lines are passed over."""
        reader = csv.reader(self._texts(), delimiter=self._delimiter, strict=True)
        line, offset = self.line + 1, self.offset
        self._record_start = offset
        while (values := self._next(reader, line)) is not None:
            if values:
                yield line, offset, values
            line, offset = self.line + 1, self.offset
            self._record_start = offset

    def _next(self, reader: "Iterator[list[str]]", line: int) -> list[str] | None:
        try:
            return next(reader, None)
        except csv.Error as error:
            raise InputError(f"{self._name}:{line}: {_what_is_wrong(error)}") from error

    def _check_size(self) -> None:
        if self.offset - self._record_start > MAX_LINE_BYTES:
            raise InputError(f"{self._name}:{self.line}: a row is over {MAX_LINE_BYTES >> 20} MiB; is a quote missing?")

    def _texts(self) -> Iterator[str]:
        for line in lines_of(self._blocks, self._name):
            self.line += 1
            self._check_size()
            text = text_of(line, self._name, self.line)
            if self.offset == 0:
                text = text.removeprefix("\ufeff")
            self.offset += len(line) + 1
            yield text + "\n"


def _what_is_wrong(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "not valid CSV: the row has a quote that is never closed"
    if "new-line character" in text:
        return "not valid CSV: a bare carriage return; save the file with Unix or Windows line ends"
    return f"not valid CSV: {text}"
