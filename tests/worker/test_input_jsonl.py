"""JSON lines: what is written is read, in whole or by ranges, and mistakes are shown where they are."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract.errors import InputError
from llmbatch_worker.inputs import lines
from llmbatch_worker.inputs.jsonl import read_jsonl
from llmbatch_worker.inputs.rows import Row, id_of

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("aé\n", max_size=3), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
_ITEMS = st.lists(st.dictionaries(st.text("abé", max_size=3), _VALUES, max_size=3), max_size=8)
_NEWLINES = st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n \t\r\n"])


@st.composite
def files(draw: st.DrawFn) -> tuple[list[dict[str, Any]], bytes]:
    """Items, and a file that holds them."""
    items = draw(_ITEMS)
    data = draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"\n"]))
    data += b"".join(orjson.dumps(item) + draw(_NEWLINES) for item in items)
    return items, data.removesuffix(b"\n") if draw(st.booleans()) else data


def blocks(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def read(data: bytes) -> list[Row]:
    return list(read_jsonl([data], "a.jsonl"))


@given(file=files(), size=st.integers(1, 50))
def test_items_are_read_as_they_were_written_whatever_the_blocks(
    file: tuple[list[dict[str, Any]], bytes], size: int
) -> None:
    items, data = file
    rows = list(read_jsonl(blocks(data, size), "a.jsonl"))
    assert [row.item for row in rows] == items
    assert rows == read(data)


@given(file=files(), size=st.integers(1, 50), shard=st.integers(1, 4))
def test_ranges_cut_at_row_ends_hold_the_items_of_the_whole(
    file: tuple[list[dict[str, Any]], bytes], size: int, shard: int
) -> None:
    items, data = file
    whole = read(data)
    found = []
    for first in range(0, len(whole), shard):
        rows = whole[first : first + shard]
        start, end = rows[0].start, rows[-1].end
        part = list(read_jsonl(blocks(data[start:end], size), "a.jsonl", start))
        assert [(r.start, r.end) for r in part] == [(r.start, r.end) for r in rows]
        found += [row.item for row in part]
    assert found == items


@given(file=files())
def test_a_row_knows_its_line_and_its_bytes(file: tuple[list[dict[str, Any]], bytes]) -> None:
    _, data = file
    for row in read(data):
        assert row.line == data[: row.start].count(b"\n") + 1
        assert orjson.loads(data[row.start : row.end].removeprefix(b"\xef\xbb\xbf")) == row.item


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n \n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_a_file_of_blank_lines_has_no_items(data: bytes) -> None:
    assert read(data) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"[1]", "a.jsonl:1: must be a JSON object of fields, not a list", id="a list"),
        pytest.param(b'{}\n\n"x"', "a.jsonl:3: must be a JSON object of fields, not a text", id="a text in line 3"),
        pytest.param(b"5", "a.jsonl:1: must be a JSON object of fields, not a number", id="a whole number"),
        pytest.param(b"1.5", "a.jsonl:1: must be a JSON object of fields, not a number", id="a number"),
        pytest.param(b"true", "a.jsonl:1: must be a JSON object of fields, not true or false", id="true"),
        pytest.param(b"null", "a.jsonl:1: must be a JSON object of fields, not null", id="null"),
        pytest.param(
            b'{"a": 1}\n{"a": 1,}\n',
            "a.jsonl:2: column 8: not valid JSON (trailing comma is not allowed), near '{\"a\": 1,}'",
            id="a comma too many",
        ),
        pytest.param(
            b"{'a': 1}",
            "a.jsonl:1: column 2: not valid JSON (unexpected character, expected a string key), near \"{'a': 1}\"",
            id="single quotes",
        ),
        pytest.param(
            b'{"a": 1} {"b": 2}',
            "a.jsonl:1: column 10: not valid JSON (unexpected content after document), near '{\"a\": 1} {\"b\": 2}'",
            id="two objects on a line",
        ),
        pytest.param(
            b'{"a": NaN}',
            "a.jsonl:1: column 7: not valid JSON (unexpected character, expected a JSON value), near '{\"a\": NaN}'",
            id="not a number",
        ),
        pytest.param(
            b'{"a": 1}\r\n\r\n{"a": 1',
            "a.jsonl:3: column 8: not valid JSON (unexpected end of data), near '{\"a\": 1'",
            id="cut off",
        ),
        pytest.param(
            '{"ä": "ö" x}'.encode(),
            "a.jsonl:1: column 11: not valid JSON (unexpected character, expected ',' or '}'), near '{\"ä\": \"ö\" x}'",
            id="columns count characters",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_with_file_line_and_column(data: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(data)
    assert str(caught.value) == message


def test_only_the_part_near_a_mistake_is_shown() -> None:
    with pytest.raises(InputError) as caught:
        read(b'{"a": "' + b"x" * 5000 + b'" 5, "b": "' + b"y" * 5000 + b'"}')
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("data", "where"),
    [
        pytest.param(b'{"a": 1}\n{"a": "\xff"}', "a.jsonl:2: column 8: byte 0xff is not UTF-8", id="a Latin-1 byte"),
        pytest.param('{"a": 1}'.encode("utf-16"), "a.jsonl:1: column 1: byte 0xff is not UTF-8", id="UTF-16"),
    ],
)
def test_a_file_that_is_not_utf_8_says_so_and_where(data: bytes, where: str) -> None:
    with pytest.raises(InputError) as caught:
        read(data)
    assert str(caught.value) == f"{where}; save the file as UTF-8"


def test_items_before_a_mistake_are_read() -> None:
    rows = read_jsonl([b'{"a":1}\n{"a":2}\nno'], "a.jsonl")
    assert [next(rows).item, next(rows).item] == [{"a": 1}, {"a": 2}]
    with pytest.raises(InputError, match=r"^a\.jsonl:3: "):
        next(rows)


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 2 << 20)
    served = 0

    def endless() -> Iterable[bytes]:
        nonlocal served
        yield b"{}\n{}\n"
        while served < 10:
            served += 1
            yield b"x" * (1 << 20)

    with pytest.raises(InputError, match=r"^a\.jsonl:3: the line is over 2 MiB; is this a text file of items\?$"):
        list(read_jsonl(endless(), "a.jsonl"))
    assert served == 3


@pytest.mark.parametrize("before", [0, 10, 500, 999])
def test_a_line_is_too_long_wherever_blocks_of_bytes_end(monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 2000)
    for size, is_fine in [(2000, True), (2001, False)]:
        data = b" " * before + b"\n" + orjson.dumps({"a": "x" * (size - 8)}) + b"\n{}"
        if is_fine:
            assert len(list(read_jsonl(blocks(data, 1000), "a.jsonl"))) == 2
            continue
        with pytest.raises(InputError, match=r"^a\.jsonl:2: the line is over"):
            list(read_jsonl(blocks(data, 1000), "a.jsonl"))


def test_what_was_written_here_may_have_longer_lines_than_what_it_was_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1000)
    long = {"text": "x" * 2000}
    (row,) = read_jsonl([orjson.dumps(long)], "a.jsonl", is_bounded=False)
    assert row.item == long


def test_a_whole_number_of_64_bits_beside_a_large_fraction_is_read() -> None:
    (row,) = read(b'{"id": 18446744073709551615, "x": 9.3e18, "y": -1e300}')
    assert row.item == {"id": 18446744073709551615, "x": 9.3e18, "y": -1e300}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"123456789012345678901234567890", id="of the field"),
        pytest.param(b"-9223372036854775809", id="a negative one"),
        pytest.param(b"[1, [18446744073709551616]]", id="in a list in a list"),
        pytest.param(b'{"order": {"number": 18446744073709551616}}', id="in an object in an object"),
    ],
)
def test_a_whole_number_of_which_digits_would_get_lost_is_refused(value: bytes) -> None:
    with pytest.raises(InputError, match=r"^a\.jsonl:2: field id: the number has too many digits; put quotes around"):
        read(b'{"id": 7}\n{"id": ' + value + b"}")


def test_an_item_is_nested_as_deep_as_records_of_it_can_be_written() -> None:
    deepest = b'{"a": ' + b'{"b": [' * 50 + b"]}" * 50 + b"}"
    (row,) = read(deepest)
    assert orjson.dumps({"result": {"data": {"item": row.item}}})
    with pytest.raises(InputError, match=r"^a\.jsonl:1: field a: is nested more than 100 deep; make it flatter$"):
        read(deepest.replace(b"[]", b"[[]]"))


def test_a_deep_field_behind_a_large_number_is_refused_as_any_other() -> None:
    deepest = b'{"a": 1e30, "b": ' + b"[" * 1015 + b"]" * 1015 + b"}"
    with pytest.raises(InputError, match=r"^a\.jsonl:1: field b: is nested more than 100 deep; make it flatter$"):
        read(deepest)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param({"id": "t-1"}, "t-1", id="text"),
        pytest.param({"id": 7}, "7", id="a whole number"),
        pytest.param({"id": 0}, "0", id="zero"),
        pytest.param({"id": " "}, " ", id="a space"),
    ],
)
def test_an_id_is_the_text_of_its_field(item: dict[str, Any], expected: str) -> None:
    assert id_of(item, "id", 3) == expected


def test_without_an_id_field_the_id_is_the_items_number() -> None:
    assert id_of({"id": "t-1"}, None, 3) == "3"


@pytest.mark.parametrize(
    ("item", "message"),
    [
        pytest.param({"a": 1, "b": 2}, "field id (the id) is missing; the item has a, b", id="missing"),
        pytest.param({}, "field id (the id) is missing; the item has no fields", id="an empty item"),
        pytest.param({"id": 1.5}, "field id (the id) must be text or a whole number, not 1.5", id="a fraction"),
        pytest.param({"id": ""}, 'field id (the id) must be text or a whole number, not ""', id="an empty text"),
        pytest.param({"id": [1]}, "field id (the id) must be text or a whole number, not [1]", id="a list"),
    ],
)
def test_an_id_that_is_none_says_what_it_must_be(item: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        id_of(item, "id", 3)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [None, True, ["x" * 5000]], ids=["null", "true", "a very long one"])
def test_an_id_that_is_none_is_shown_shortly_and_as_in_the_file(value: object) -> None:
    with pytest.raises(InputError) as caught:
        id_of({"id": value}, "id", 3)
    assert not any(word in str(caught.value) for word in ("None", "True"))
    assert len(str(caught.value)) < 300
