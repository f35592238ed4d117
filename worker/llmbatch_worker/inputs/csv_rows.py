"""CSV and TSV with a header, as Python's csv module reads them: quotes, quoted newlines, doubled quotes.

The csv module asks for a line only when it needs one, so the bytes of the lines it took are the bytes of the row.
"""

import csv
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import TYPE_CHECKING

from llmbatch_contract.errors import InputError
from llmbatch_worker.inputs.lines import UTF8_BOM, line_lists, text_of
from llmbatch_worker.inputs.rows import Row, Rows

if TYPE_CHECKING:
    import _csv

_DELIMITERS = ",;\t|"
_AROUND = 40
MAX_ROW_BYTES = 16 << 20
"""The csv module takes 8 times as much for a field; a quote that is never closed makes one of the whole file."""
csv.field_size_limit(min(sys.maxsize, 2**31 - 1))


def detect_delimiter(head: bytes, *, promised: str = "") -> str:
    """The delimiter that stands most often in the header, outside quotes; a comma where there is none.

    One that the file's name has promised is it wherever it stands at all.
    """
    pieces = head.removeprefix(UTF8_BOM).lstrip(b"\r\n").decode(errors="replace").split('"')
    outside = ""
    for number, piece in enumerate(pieces):
        if number % 2 == 0:  # outside quotes
            before, newline, _ = piece.partition("\n")
            outside += before
            if newline:
                break
    if promised and promised in outside:
        return promised
    return max(_DELIMITERS, key=lambda d: (outside.count(d), -_DELIMITERS.index(d)))


class CsvFile:
    """A whole file from its start: the header first, then the rows. Raises InputError where the header is none."""

    def __init__(self, blocks: Iterable[bytes], name: str, delimiter: str) -> None:
        self._name, self._delimiter = name, delimiter
        self._records = _Table(blocks, name, 0, delimiter).records()
        self._first = next(self._records, _Records())
        self.columns = _columns(self._first, name)
        self.data_start = self._first.ends[0]
        """Offset after the header."""
        self.lines = self._first.next_lines[0] - 1
        """Lines that the header takes, and blank ones before it."""

    def rows(self) -> Iterator[Rows]:
        """All rows, once. Raises InputError naming the line."""
        first = self._first.without_first()
        return _as_items(chain((first,), self._records), self._name, self.columns, self._delimiter)


def read_csv(
    blocks: Iterable[bytes], name: str, start: int, *, columns: list[str], delimiter: str, first_line: int = 1
) -> Iterator[Row]:
    """Rows of a range of bytes that starts at offset `start`, at the start of a row, after the header.

    `first_line` is the number of the range's first line. Raises InputError naming the line.
    """
    records = _Table(blocks, name, start, delimiter, first_line).records()
    for rows in _as_items(records, name, columns, delimiter):
        yield from rows.one_by_one()


@dataclass
class _Records:
    """Records that follow each other: where they stand, and their cells."""

    lines: list[int] = field(default_factory=list)
    next_lines: list[int] = field(default_factory=list)
    """The line after each."""
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    cells: list[list[str]] = field(default_factory=list)

    def without_first(self) -> "_Records":
        """The others."""
        return _Records(self.lines[1:], self.next_lines[1:], self.starts[1:], self.ends[1:], self.cells[1:])


def _columns(records: _Records, name: str) -> list[str]:
    if not records.cells:
        raise InputError(f"{name}: has no header; the first line must name the columns")
    columns, line = records.cells[0], records.lines[0]
    twice = sorted(column for column, times in Counter(columns).items() if times > 1)
    if twice and not twice[0]:
        raise InputError(f"{name}:{line}: two columns of the header have no name; name them, or remove them")
    if twice:
        raise InputError(f"{name}:{line}: column {twice[0]!r} stands twice in the header; rename one")
    return columns


def _as_items(batches: Iterable[_Records], name: str, columns: list[str], delimiter: str) -> Iterator[Rows]:
    width = len(columns)
    for records in batches:
        cells = records.cells
        whole = next((n for n, values in enumerate(cells) if len(values) != width), len(cells))
        items = [dict(zip(columns, values, strict=True)) for values in cells[:whole]]
        if items:
            yield Rows(records.lines[:whole], records.starts[:whole], records.ends[:whole], items)
        if whole < len(cells):
            found = delimiter.join(cells[whole])[:_AROUND]
            raise InputError(
                f"{name}:{records.lines[whole]}: {len(cells[whole])} fields, but the header has {width}, "
                f"near {found!r}; is a quote missing?"
            )


class _Table:
    """Counts the lines and bytes that the csv module takes."""

    def __init__(self, blocks: Iterable[bytes], name: str, start: int, delimiter: str, first_line: int = 1) -> None:
        self._blocks, self._name, self._delimiter = blocks, name, delimiter
        self._first_line = first_line
        self._offsets = array("Q", (start,))
        """Of the lines that the csv module has got, from number `_forgotten` on, and after the last of them."""
        self._forgotten = 0
        self._taken = 0
        """Lines of the records so far."""
        self._has_read_on = False

    def records(self) -> Iterator[_Records]:
        """All records; blank lines are passed over. Those before a mistake come first."""
        reader = csv.reader(chain.from_iterable(self._texts()), delimiter=self._delimiter, strict=True)
        is_at_end = False
        while not is_at_end:
            found, failure = _Records(), None
            try:
                is_at_end = self._take(reader, found)
            except (csv.Error, InputError) as error:
                failure, is_at_end = error, True
            if found.cells:
                yield found
            if isinstance(failure, csv.Error):
                line = self._first_line + self._taken
                raise InputError(f"{self._name}:{line}: {_what_is_wrong(failure)}") from failure
            if failure is not None:
                raise failure
            self._forget()

    def _take(self, reader: "_csv.Reader", found: _Records) -> bool:
        """Records until new lines had to be read; whether that was all."""
        offsets, forgotten, first_line = self._offsets, self._forgotten, self._first_line
        before = self._taken
        for cells in reader:
            after = reader.line_num
            start, end = offsets[before - forgotten], offsets[after - forgotten]
            if end - start > MAX_ROW_BYTES:
                raise self._too_long()
            if cells:
                found.lines.append(first_line + before)
                found.next_lines.append(first_line + after)
                found.starts.append(start)
                found.ends.append(end)
                found.cells.append(cells)
            self._taken = before = after
            if self._has_read_on:
                self._has_read_on = False
                return False
        return True

    def _forget(self) -> None:
        """The places of lines whose records have been handed out."""
        del self._offsets[: self._taken - self._forgotten]
        self._forgotten = self._taken

    def _texts(self) -> Iterator[list[str]]:
        for lines in line_lists(self._blocks, self._name):
            before = self._offsets[-1]
            number = self._first_line + self._forgotten + len(self._offsets) - 1
            record_start = self._offsets[self._taken - self._forgotten]
            self._offsets.pop()  # `before`, which comes again
            self._offsets.extend(accumulate((len(line) + 1 for line in lines), initial=before))
            self._has_read_on = True
            if before - record_start > MAX_ROW_BYTES:
                raise self._too_long()
            texts, failure = _decoded(lines, self._name, number)
            if before == 0 and texts:
                texts[0] = texts[0].removeprefix("\ufeff")
            yield texts
            if failure is not None:
                raise failure

    def _too_long(self) -> InputError:
        where = f"{self._name}:{self._first_line + self._taken}"
        return InputError(f"{where}: a row of over {MAX_ROW_BYTES >> 20} MiB begins here; is a quote missing?")


def _decoded(lines: list[bytes], name: str, number: int) -> tuple[list[str], InputError | None]:
    """Lines as the csv module wants them; where one is not UTF-8, those before it and what is wrong."""
    try:
        return [f"{line.decode()}\n" for line in lines], None
    except UnicodeDecodeError:
        texts: list[str] = []
        for line in lines:
            try:
                texts.append(f"{text_of(line, name, number + len(texts))}\n")
            except InputError as error:
                return texts, error
        raise


def _what_is_wrong(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "not valid CSV: the row has a quote that is never closed"
    if "new-line character" in text:
        return "not valid CSV: a bare carriage return; save the file with Unix or Windows line ends"
    return f"not valid CSV: {text}"
