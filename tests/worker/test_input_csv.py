"""CSV by ranges of bytes, against Python's csv module on the whole text."""

import csv
import io
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract.errors import InputError
from llmbatch_worker.inputs import csv_rows
from llmbatch_worker.inputs.csv_rows import CsvFile, detect_delimiter, read_csv
from llmbatch_worker.inputs.rows import Row

_CELLS = st.lists(
    st.sampled_from(["a", "é", "日", "🙂", " ", ",", ";", "\t", "|", '"', "\n", "\r\n", "\r"]), max_size=5
)


def _written(cell: str, delimiter: str, quoted: bool) -> str:
    """A cell as a CSV file holds it; quoted where it must be."""
    if quoted or any(c in cell for c in (delimiter, '"', "\n", "\r")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, str]:
    """A CSV file of any cells, and its delimiter."""
    delimiter = draw(st.sampled_from(",;\t|"))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    width = draw(st.integers(1, 4))
    names = [f"column {n}" for n in range(width)]
    cells = draw(st.lists(st.lists(_CELLS.map("".join), min_size=width, max_size=width), max_size=6))
    text = draw(st.sampled_from(["", "\ufeff"]))
    for record in [names, *cells]:
        text += delimiter.join(_written(cell, delimiter, draw(st.booleans())) for cell in record)
        text += draw(st.sampled_from([newline, newline, newline * 2]))
    return (text.removesuffix(newline) if draw(st.booleans()) else text).encode(), delimiter


def blocks(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def read(data: bytes, delimiter: str | None = None, size: int = 1000) -> list[Row]:
    """All rows of a file, as the planning pass reads them."""
    delimiter = delimiter or detect_delimiter(data)
    file = CsvFile(blocks(data, size), "a.csv", delimiter)
    return [row for rows in file.rows() for row in rows.one_by_one()]


def as_python_reads(data: bytes, delimiter: str) -> list[dict[str, str]]:
    reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter)
    header, *records = [record for record in reader if record]
    return [dict(zip(header, record, strict=True)) for record in records]


@given(file=files(), size=st.integers(1, 50))
def test_items_are_those_of_pythons_csv_module_whatever_the_blocks(file: tuple[bytes, str], size: int) -> None:
    data, delimiter = file
    assert [row.item for row in read(data, delimiter, size)] == as_python_reads(data, delimiter)


@given(file=files(), size=st.integers(1, 50), shard=st.integers(1, 4))
def test_ranges_cut_at_row_ends_hold_the_items_of_the_whole(file: tuple[bytes, str], size: int, shard: int) -> None:
    data, delimiter = file
    whole = read(data, delimiter)
    columns = CsvFile([data], "a.csv", delimiter).columns
    found = []
    for first in range(0, len(whole), shard):
        rows = whole[first : first + shard]
        start, end = rows[0].start, rows[-1].end
        part = list(read_csv(blocks(data[start:end], size), "a.csv", start, columns=columns, delimiter=delimiter))
        assert [(r.start, r.end) for r in part] == [(r.start, r.end) for r in rows]
        found += [row.item for row in part]
    assert found == as_python_reads(data, delimiter)


@given(file=files())
def test_a_row_knows_its_line_and_its_bytes(file: tuple[bytes, str]) -> None:
    data, delimiter = file
    for row in read(data, delimiter):
        assert row.line == data[: row.start].count(b"\n") + 1
        (values,) = csv.reader(io.StringIO(data[row.start : row.end].decode(), newline=""), delimiter=delimiter)
        assert values == list(row.item.values())


@given(st.lists(st.sampled_from(["a", '"', '""', ",", "\n", "\r\n", "é", " "]), max_size=20).map("".join))
def test_any_text_is_read_as_pythons_csv_module_does_or_refused(body: str) -> None:
    data = f"x,y\n{body}".encode()
    try:
        list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    except csv.Error:
        with pytest.raises(InputError, match=r"^a\.csv:\d+: (not valid CSV: |\d+ fields, but )"):
            read(data)
        return
    try:
        expected = as_python_reads(data, ",")
    except ValueError:
        with pytest.raises(
            InputError, match=r"^a\.csv:\d+: \d+ fields, but the header has 2, near .*; is a quote missing\?$"
        ):
            read(data, ",")
        return
    assert [row.item for row in read(data, ",")] == expected


@pytest.mark.parametrize(
    ("data", "items"),
    [
        pytest.param(b'a,b\n1,"x\ny"\n', [{"a": "1", "b": "x\ny"}], id="a quoted newline"),
        pytest.param(b'a,b\r\n1,"x\r\ny"\r\n', [{"a": "1", "b": "x\r\ny"}], id="a quoted carriage return and newline"),
        pytest.param(b'a,b\n1,"x ""y"""\n', [{"a": "1", "b": 'x "y"'}], id="doubled quotes"),
        pytest.param(b"\xef\xbb\xbfa,b\n1,2\n", [{"a": "1", "b": "2"}], id="a byte order mark"),
        pytest.param(b'\xef\xbb\xbf"a",b\n1,2\n', [{"a": "1", "b": "2"}], id="a byte order mark before a quote"),
        pytest.param(b"a;b\n1;2,5\n", [{"a": "1", "b": "2,5"}], id="semicolons"),
        pytest.param(b"a\tb\n1\t2\n", [{"a": "1", "b": "2"}], id="tabs"),
        pytest.param(b"a|b\n1|2\n", [{"a": "1", "b": "2"}], id="bars"),
        pytest.param(b"a\n1\n2", [{"a": "1"}, {"a": "2"}], id="one column, no last newline"),
        pytest.param(b'a\n1\n""\n', [{"a": "1"}, {"a": ""}], id="one column, an empty cell"),
        pytest.param(b"a,b\n,\n", [{"a": "", "b": ""}], id="empty cells"),
        pytest.param(b"a,b\n", [], id="a header and nothing else"),
        pytest.param(b"a,b", [], id="a header without a newline"),
        pytest.param('å,"日,本"\n1,🙂\n'.encode(), [{"å": "1", "日,本": "🙂"}], id="not ASCII"),
    ],
)
def test_a_file_is_read_as_its_items(data: bytes, items: list[dict[str, str]]) -> None:
    assert [row.item for row in read(data)] == items


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        pytest.param(b"a,b\n1;2;3\n", ",", id="only the header counts"),
        pytest.param(b"a;b\n", ";", id="semicolons"),
        pytest.param(b"a\tb\n", "\t", id="tabs"),
        pytest.param(b"a|b\n", "|", id="bars"),
        pytest.param(b'"a,b,c";d\n', ";", id="delimiters in quotes do not count"),
        pytest.param(b"a\n", ",", id="a comma where there is none"),
        pytest.param(b"a,b;c\n", ",", id="the earlier one of equals"),
        pytest.param(b"\xef\xbb\xbfa;b\n", ";", id="after a byte order mark"),
        pytest.param(b"\n\r\na;b\n", ";", id="after blank lines"),
        pytest.param(b'"a\nb";c\n1;2\n', ";", id="after a quoted newline"),
        pytest.param(b"", ",", id="an empty file"),
    ],
)
def test_the_delimiter_is_the_one_of_the_header(header: bytes, delimiter: str) -> None:
    assert detect_delimiter(header) == delimiter


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [(b"id\tsubject, body, more\n", "\t"), (b"id;text\n", ";"), (b'"a\tb",c\n', ",")],
    ids=["a tab among commas", "no tab at all", "a tab in quotes"],
)
def test_a_name_that_promises_tabs_is_believed_where_there_are_any(header: bytes, delimiter: str) -> None:
    assert detect_delimiter(header, promised="\t") == delimiter


def test_lines_are_counted_through_quoted_newlines_and_blank_lines() -> None:
    rows = read(b'\na,"b\nc"\n\n1,"x\ny\nz"\n\r\n2,3\n')
    assert [(row.line, row.item["a"]) for row in rows] == [(5, "1"), (9, "2")]


def test_the_header_says_where_the_first_row_begins() -> None:
    data = b'\xef\xbb\xbf\n"a\nb",c\n1,2\n'
    file = CsvFile([data], "a.csv", ",")
    assert (file.columns, data[file.data_start :], file.lines) == (["a\nb", "c"], b"1,2\n", 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "a.csv: has no header; the first line must name the columns", id="an empty file"),
        pytest.param(b"\n\r\n", "a.csv: has no header; the first line must name the columns", id="blank lines"),
        pytest.param(
            b"a,b,a\n", "a.csv:1: column 'a' stands twice in the header; rename one", id="a column that stands twice"
        ),
        pytest.param(
            b"a,,\n",
            "a.csv:1: two columns of the header have no name; name them, or remove them",
            id="two columns without a name",
        ),
        pytest.param(
            b"a,b\n1,2\n\n1,2,3\n",
            "a.csv:4: 3 fields, but the header has 2, near '1,2,3'; is a quote missing?",
            id="a field too many, after a blank line",
        ),
        pytest.param(
            b'a,b\n"1\n\n",2\n1\n',
            "a.csv:5: 1 fields, but the header has 2, near '1'; is a quote missing?",
            id="a field too few, after quoted newlines",
        ),
        pytest.param(
            b"a,b\n1,\xe4\n",
            "a.csv:2: column 3: byte 0xe4 is not UTF-8; save the file as UTF-8",
            id="a byte of Latin-1",
        ),
        pytest.param(
            b'a,b\n1,"\n\n\xe4"\n',
            "a.csv:4: column 1: byte 0xe4 is not UTF-8; save the file as UTF-8",
            id="a byte of Latin-1 inside quotes",
        ),
        pytest.param(
            "a,b\n".encode("utf-16"),
            "a.csv:1: column 1: byte 0xff is not UTF-8; save the file as UTF-8",
            id="UTF-16",
        ),
    ],
)
def test_a_mistake_is_shown_with_file_line_and_column(data: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(data)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "data", [b'a,b\n1,2\n3,"x\n4,5\n6,7\n', b'a,b\n1,2\n3,"x'], ids=["in the middle", "at the end"]
)
def test_a_quote_that_is_never_closed_does_not_swallow_the_rest_of_the_file(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^a\.csv:3: .*quote"):
        read(data)


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MAX_ROW_BYTES", 1 << 20)
    served = 0

    def endless() -> Iterable[bytes]:
        nonlocal served
        yield b'1,"'
        while served < 40:
            served += 1
            yield b"x\n" * (1 << 17)

    with pytest.raises(InputError, match=r"^a\.csv:2: a row of over 1 MiB begins here; is a quote missing\?$"):
        list(read_csv(endless(), "a.csv", 4, columns=["a", "b"], delimiter=",", first_line=2))
    assert served < 40


@pytest.mark.parametrize("before", [0, 10, 500, 999])
def test_a_row_is_too_long_wherever_blocks_of_bytes_end(monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    monkeypatch.setattr(csv_rows, "MAX_ROW_BYTES", 2000)
    for size, is_fine in [(2000, True), (2001, False)]:
        data = b"a\n" + b"y" * before + b"\n" + b'"\n' + b"x" * (size - 4) + b'"\nz'
        if is_fine:
            assert read(data)[-1].item == {"a": "z"}
            continue
        with pytest.raises(InputError, match=r"^a\.csv:3: a row of over .* begins here; is a quote missing\?$"):
            read(data)


def test_line_ends_of_an_old_mac_are_explained_without_words_of_python() -> None:
    with pytest.raises(InputError) as caught:
        read(b"a,b\r1,2\r")
    assert str(caught.value).startswith("a.csv:1: ")
    assert "universal-newline" not in str(caught.value)


def test_a_repeated_column_is_shown_at_the_line_of_the_header() -> None:
    with pytest.raises(InputError, match=r"^a\.csv:3: column 'a' stands twice"):
        read(b"\n\na,a\n")


def test_a_file_all_on_one_line_is_a_long_header_that_is_soon_read() -> None:
    names = [f"c{number}" for number in range(60_000)]
    began = time.process_time()
    file = CsvFile([",".join(names).encode()], "a.csv", ",")
    assert file.columns == names
    assert time.process_time() - began < 5


def test_rows_before_a_mistake_are_read() -> None:
    rows = read_csv([b"1,2\n3\n"], "a.csv", 4, columns=["a", "b"], delimiter=",", first_line=2)
    assert next(rows) == Row(2, 4, 8, {"a": "1", "b": "2"})
    with pytest.raises(InputError, match=r"^a\.csv:3: "):
        next(rows)
