"""Parquet files as items: what values become, which bytes are read, and what is said of files that are none."""

import base64
import datetime as dt
import decimal
import io
import json
import math
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmbatch_contract.errors import InputChangedError, InputError, StoreAwayError
from llmbatch_contract.records import Item
from llmbatch_worker.inputs import parquet_footer
from llmbatch_worker.inputs.parquet_rows import ParquetObject
from llmbatch_worker.stores.local import LocalStore
from llmbatch_worker.stores.protocol import ObjectInfo


class Bytes:
    """A store of one object that counts what is asked of it: a Readable."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[int] = []
        self.trouble: Exception | None = None

    def info(self, name: str) -> ObjectInfo:
        return ObjectInfo(len(self.data), "v1")

    def where(self, name: str) -> str:
        return f"s3://bucket/{name}"

    def blocks(self, name: str, start: int, end: int, etag: str | None = None) -> Iterator[bytes]:
        assert (name, etag) == ("t.parquet", "v1")
        assert 0 <= start < end <= len(self.data)
        if self.trouble is not None:
            raise self.trouble
        self.asked.append(end - start)
        for at in range(start, end, 100_000):
            yield self.data[at : min(end, at + 100_000)]


def written(table: pa.Table, **settings: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **settings)
    return sink.getvalue()


def opened(data: bytes) -> tuple[Bytes, ParquetObject]:
    store = Bytes(data)
    return store, ParquetObject(store, "t.parquet", store.info(""))


def items_of(table: pa.Table, columns: list[str] | None = None, **settings: Any) -> list[Item]:
    _, parquet = opened(written(table, **settings))
    return [row.item for row in parquet.read(0, parquet.rows, columns)]


def problem(data: bytes, columns: list[str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        _, parquet = opened(data)
        list(parquet.read(0, parquet.rows, columns))
    return str(caught.value)


# Values

_UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
_MOMENT = dt.datetime(2026, 1, 31, 9, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("type_", "given", "expected"),
    [
        pytest.param(pa.int64(), [1, None, -(2**63)], [1, None, -(2**63)], id="int64"),
        pytest.param(pa.uint64(), [2**64 - 1, 0], [2**64 - 1, 0], id="uint64, all its digits"),
        pytest.param(pa.int8(), [-128], [-128], id="int8"),
        pytest.param(pa.bool_(), [True, False, None], [True, False, None], id="boolean"),
        pytest.param(
            pa.float64(), [0.1, math.nan, math.inf, -math.inf, None], [0.1, None, None, None, None], id="double"
        ),
        pytest.param(pa.float32(), [0.1, 3.5, math.nan, None], [0.1, 3.5, None, None], id="float"),
        pytest.param(pa.float16(), [0.5, None], [0.5, None], id="half float"),
        pytest.param(pa.string(), ["ü😀", "", None], ["ü😀", "", None], id="text"),
        pytest.param(pa.large_string(), ["x", None], ["x", None], id="large text"),
        pytest.param(pa.string_view(), ["x", None], ["x", None], id="text view"),
        pytest.param(pa.binary(), [b"\xff\x00", None], ["/wA=", None], id="binary"),
        pytest.param(pa.large_binary(), [b"ab"], ["YWI="], id="large binary"),
        pytest.param(pa.binary(2), [b"ab", None], ["YWI=", None], id="binary of fixed size"),
        pytest.param(
            pa.decimal128(38, 2),
            [decimal.Decimal("12.50"), decimal.Decimal("123456789012345678901234567890.12"), None],
            ["12.50", "123456789012345678901234567890.12", None],
            id="decimal",
        ),
        pytest.param(pa.decimal128(20, 10), [decimal.Decimal("0.0000000001")], ["0.0000000001"], id="small decimal"),
        pytest.param(pa.decimal256(60, 0), [decimal.Decimal(10**50)], [str(10**50)], id="large decimal"),
        pytest.param(pa.date32(), [dt.date(2026, 1, 31), None], ["2026-01-31", None], id="date"),
        pytest.param(pa.date64(), [dt.date(2026, 1, 31)], ["2026-01-31"], id="date of 64 bits"),
        pytest.param(
            pa.time32("ms"), [dt.time(9, 30), dt.time(9, 30, 1, 5000)], ["09:30:00", "09:30:01.005"], id="time"
        ),
        pytest.param(
            pa.timestamp("us"),
            [_MOMENT.replace(tzinfo=None), dt.datetime(1969, 12, 31, 23, 59, 59, 250_000), None],  # noqa: DTZ001
            ["2026-01-31T09:30:00", "1969-12-31T23:59:59.250", None],
            id="time of no zone",
        ),
        pytest.param(pa.timestamp("us", "UTC"), [_MOMENT, None], ["2026-01-31T09:30:00Z", None], id="moment"),
        pytest.param(
            pa.timestamp("ms", "Europe/Berlin"), [_MOMENT], ["2026-01-31T09:30:00Z"], id="moment of a zone, as UTC"
        ),
        pytest.param(pa.timestamp("ns"), [1], ["1970-01-01T00:00:00.000000001"], id="nanoseconds"),
        pytest.param(pa.timestamp("us"), [253402300800_000100], ["10000-01-01T00:00:00.000100"], id="the year 10000"),
        pytest.param(pa.duration("ms"), [1500, -1, 0, None], ["PT1.5S", "-PT0.001S", "PT0S", None], id="duration"),
        pytest.param(pa.list_(pa.int64()), [[1, None], [], None], [[1, None], [], None], id="list"),
        pytest.param(pa.large_list(pa.string()), [["a"], None], [["a"], None], id="large list"),
        pytest.param(pa.list_(pa.float32(), 2), [[0.1, 0.2], None], [[0.1, 0.2], None], id="list of fixed size"),
        pytest.param(pa.list_(pa.list_(pa.int8())), [[[1], None, []]], [[[1], None, []]], id="list of lists"),
        pytest.param(
            pa.struct({"a": pa.int64(), "b": pa.struct({"c": pa.list_(pa.date32())})}),
            [{"a": 1, "b": {"c": [dt.date(2026, 1, 31)]}}, {"a": None, "b": None}, None],
            [{"a": 1, "b": {"c": ["2026-01-31"]}}, {"a": None, "b": None}, None],
            id="struct",
        ),
        pytest.param(
            pa.map_(pa.string(), pa.int64()),
            [[("a", 1), ("b", None)], [], None],
            [{"a": 1, "b": None}, {}, None],
            id="map",
        ),
        pytest.param(pa.map_(pa.int32(), pa.string()), [[(1, "x")]], [{"1": "x"}], id="map with numbers for keys"),
        pytest.param(pa.dictionary(pa.int32(), pa.string()), ["a", "b", None, "a"], ["a", "b", None, "a"], id="enum"),
        pytest.param(pa.null(), [None, None], [None, None], id="nothing but null"),
        pytest.param(pa.uuid(), [_UUID.bytes, None], [str(_UUID), None], id="uuid"),
        pytest.param(pa.json_(), ['{"a": [1]}', "3", "{", None], [{"a": [1]}, 3, "{", None], id="JSON"),
    ],
)
def test_values_are_those_of_json(type_: pa.DataType, given: list[Any], expected: list[Any]) -> None:
    items = items_of(pa.table({"v": pa.array(given, type_)}))
    assert [item["v"] for item in items] == expected
    assert orjson.loads(orjson.dumps(items)) == [{"v": value} for value in expected]


def test_old_timestamps_of_spark_are_read_whatever_the_year() -> None:
    table = pa.table({"t": pa.array([dt.datetime(2500, 1, 1)], pa.timestamp("us"))})  # noqa: DTZ001
    assert items_of(table, use_deprecated_int96_timestamps=True) == [{"t": "2500-01-01T00:00:00"}]


def test_files_of_other_writers_give_the_same_items(tmp_path: Path) -> None:
    import duckdb
    import pandas as pd
    import polars as pl

    columns: dict[str, list[Any]] = {"a": [1, 2], "t": ["x", None], "l": [[1.5], []], "s": [{"k": "v"}, {"k": None}]}
    path = tmp_path / "t.parquet"
    expected = [{name: values[row] for name, values in columns.items()} for row in range(2)]
    pl.DataFrame(columns).write_parquet(path)
    _, parquet = opened(path.read_bytes())
    assert [row.item for row in parquet.read(0, 2, None)] == expected
    duckdb.from_arrow(pa.table(columns)).write_parquet(str(path))
    _, parquet = opened(path.read_bytes())
    assert [row.item for row in parquet.read(0, 2, None)] == expected
    pd.DataFrame({"a": [1, 2], "t": ["x", None]}).to_parquet(path)
    _, parquet = opened(path.read_bytes())
    assert [row.item for row in parquet.read(0, 2, ["a", "t"])] == [{"a": 1, "t": "x"}, {"a": 2, "t": None}]


# Tables at random, against what Python says of them

_TEXT = st.text(max_size=8)
_SCALARS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float64(), st.floats()),
    (pa.float32(), st.floats(width=32)),
    (pa.bool_(), st.booleans()),
    (pa.string(), _TEXT),
    (pa.large_string(), _TEXT),
    (pa.dictionary(pa.int32(), pa.string()), st.sampled_from(["a", "b", "ü"])),
    (pa.binary(), st.binary(max_size=8)),
    (pa.date32(), st.dates()),
    (pa.timestamp("us"), st.datetimes()),
    (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(dt.UTC))),
    (pa.decimal128(12, 3), st.decimals(-(10**8), 10**8, places=3)),
]
_Column = tuple[pa.DataType, st.SearchStrategy[Any]]


def _nested(children: st.SearchStrategy[_Column]) -> st.SearchStrategy[_Column]:
    lists = children.map(lambda c: (pa.list_(c[0]), st.lists(st.none() | c[1], max_size=4)))
    fixed = children.map(lambda c: (pa.list_(c[0], 2), st.lists(st.none() | c[1], min_size=2, max_size=2)))
    maps = children.map(
        lambda c: (
            pa.map_(pa.string(), c[0]),
            st.dictionaries(_TEXT, st.none() | c[1], max_size=3).map(lambda found: list(found.items())),
        )
    )
    structs = st.tuples(children, children).map(
        lambda two: (
            pa.struct({"x": two[0][0], "y": two[1][0]}),
            st.fixed_dictionaries({"x": st.none() | two[0][1], "y": st.none() | two[1][1]}),
        )
    )
    return lists | fixed | maps | structs


_COLUMNS = st.recursive(st.sampled_from(_SCALARS), _nested, max_leaves=3)


def plain(type_: pa.DataType, value: Any) -> Any:
    """What an item shall have for a value, said in the plainest way."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if pa.types.is_map(type_):
        return {key: plain(type_.item_type, each) for key, each in value}
    if isinstance(value, dict):
        return {field.name: plain(field.type, value[field.name]) for field in type_}
    if isinstance(value, list):
        return [plain(type_.value_type, each) for each in value]
    return _plain_scalar(type_, value)


def _plain_scalar(type_: pa.DataType, value: Any) -> Any:
    match value:
        case float():
            if not math.isfinite(value):
                return None
            return pytest.approx(value, rel=1e-6, abs=1e-44) if type_ == pa.float32() else value
        case bytes():
            return base64.b64encode(value).decode()
        case dt.datetime():
            spec = "microseconds" if value.microsecond % 1000 else "milliseconds" if value.microsecond else "seconds"
            return value.isoformat(timespec=spec).replace("+00:00", "Z")
        case dt.date():
            return value.isoformat()
        case decimal.Decimal():
            return format(value.quantize(decimal.Decimal("0.001")), "f")
    raise AssertionError(value)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_table_comes_back_as_items(data: st.DataObject) -> None:
    columns = data.draw(st.dictionaries(_TEXT, _COLUMNS, min_size=1, max_size=3))
    rows = data.draw(st.integers(0, 12))
    values = {
        name: data.draw(st.lists(st.none() | strategy, min_size=rows, max_size=rows))
        for name, (_, strategy) in columns.items()
    }
    table = pa.table({name: pa.array(values[name], type_) for name, (type_, _) in columns.items()})
    wanted = data.draw(st.lists(st.sampled_from(sorted(columns)), unique=True) | st.none())
    start, end = sorted(data.draw(st.tuples(st.integers(0, rows), st.integers(0, rows))))
    settings_of_file = {
        "row_group_size": data.draw(st.integers(1, 6)),
        "compression": data.draw(st.sampled_from(["none", "snappy", "zstd"])),
        "use_dictionary": data.draw(st.booleans()),
        "data_page_version": data.draw(st.sampled_from(["1.0", "2.0"])),
        "write_page_checksum": data.draw(st.booleans()),
        "store_schema": data.draw(st.booleans()),
    }
    try:
        file = written(table, **settings_of_file)
    except pa.ArrowIndexError:  # pyarrow does not write dictionaries that have no value, in a struct
        assume(False)
    _, parquet = opened(file)
    assert (parquet.columns, parquet.rows) == (list(columns), rows)
    found = list(parquet.read(start, end, wanted))
    names = [name for name in columns if wanted is None or name in wanted]
    assert [row.item for row in found] == [
        {name: plain(columns[name][0], values[name][row]) for name in names} for row in range(start, end)
    ]
    assert [(row.line, row.start, row.end) for row in found] == [(n + 1, n, n + 1) for n in range(start, end)]


# What is read


def _table(rows: int, first: int = 0) -> pa.Table:
    numbers = range(first, first + rows)
    text = [base64.b64encode(number.to_bytes(4) * 40).decode() for number in numbers]
    return pa.table({"id": list(numbers), "text": text, "meta": [{"a": n, "b": str(n)} for n in numbers]})


_PLAIN = {"compression": "none", "use_dictionary": False}


@pytest.mark.parametrize("columns", [["id"], ["text"], ["meta"], ["meta", "id"], ["id", "text", "meta"]])
def test_only_the_columns_asked_for_are_read(columns: list[str]) -> None:
    store, parquet = opened(written(_table(60_000), row_group_size=20_000, **_PLAIN))
    store.asked.clear()
    assert len(list(parquet.read(0, parquet.rows, columns))) == 60_000
    assert sum(store.asked) == parquet.column_bytes(columns)
    assert sum(store.asked) <= len(store.data)


def test_of_no_columns_nothing_is_read_but_the_footer() -> None:
    store, parquet = opened(written(_table(5000)))
    footer = sum(store.asked)
    rows = list(parquet.read(10, 5000, []))
    assert footer <= 64 << 10
    assert sum(store.asked) == footer
    assert (len(rows), rows[0].item, rows[0].line) == (4990, {}, 11)


def test_only_the_row_groups_asked_for_are_read() -> None:
    store, parquet = opened(written(_table(40_000), row_group_size=10_000, **_PLAIN))
    store.asked.clear()
    assert [row.item["id"] for row in parquet.read(10_000, 20_000, ["id"])] == list(range(10_000, 20_000))
    assert sum(store.asked) == pytest.approx(parquet.column_bytes(["id"]) / 4, rel=0.01)
    assert len(store.asked) == 1


def test_small_row_groups_come_in_few_requests() -> None:
    store, parquet = opened(written(_table(50_000), row_group_size=500))
    store.asked.clear()
    assert sum(1 for _ in parquet.read(0, 50_000, None)) == 50_000
    assert len(parquet.row_groups) == 100
    assert len(store.asked) <= 2


def test_a_large_row_group_is_streamed_in_bounded_pieces() -> None:
    rows = 150_000
    store, parquet = opened(written(_table(rows), row_group_size=rows, **_PLAIN))
    assert len(parquet.row_groups) == 1
    assert parquet.column_bytes(None) > 30 << 20
    store.asked.clear()
    ids = [row.item["id"] for row in parquet.read(0, rows, None)]
    assert ids == list(range(rows))
    assert sum(store.asked) == parquet.column_bytes(None)
    assert max(store.asked) <= 6 << 20
    assert len(store.asked) < 30


def test_rows_come_in_bounded_numbers_whatever_their_size() -> None:
    _, parquet = opened(written(pa.table({"t": ["x" * 300_000 + str(n) for n in range(40)]}), **_PLAIN))
    assert max(len(rows.items) for rows in parquet.read_many(0, 40, None)) <= 8
    _, parquet = opened(written(_table(50_000)))
    assert max(len(rows.items) for rows in parquet.read_many(0, 50_000, None)) <= 2000


def test_rows_of_many_columns_come_in_small_numbers_though_they_take_little_room_in_the_file() -> None:
    _, parquet = opened(written(pa.table({f"c{n}": ["same"] * 5000 for n in range(400)})))
    assert max(len(rows.items) for rows in parquet.read_many(0, 5000, None)) <= 100


def test_several_readings_at_once_do_not_mix() -> None:
    store, parquet = opened(written(_table(40_000), row_group_size=10_000))
    assert store.asked

    def ids(group: int) -> list[int]:
        start = group * 10_000
        return [row.item["id"] for row in parquet.read(start, start + 10_000, ["id", "text"])]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ids, range(4))) == [list(range(g * 10_000, (g + 1) * 10_000)) for g in range(4)]
    first, second = parquet.read(0, 40_000, ["id"]), parquet.read(10_000, 40_000, ["id"])
    assert [(next(first).item["id"], next(second).item["id"]) for _ in range(5000)] == [
        (n, n + 10_000) for n in range(5000)
    ]


def test_columns_are_those_at_the_top_whatever_their_names() -> None:
    table = pa.table({"a.b": [1], "a": [{"b": 2, "c": 3}], "": ["empty"], "ü 1": ["x"]})
    assert items_of(table) == [{"a.b": 1, "a": {"b": 2, "c": 3}, "": "empty", "ü 1": "x"}]
    assert items_of(table, ["a.b"]) == [{"a.b": 1}]
    assert items_of(table, ["ü 1", "a"]) == [{"a": {"b": 2, "c": 3}, "ü 1": "x"}]


def test_a_file_without_rows_has_columns_and_no_items() -> None:
    _, parquet = opened(written(_table(0)))
    assert (parquet.rows, parquet.columns, list(parquet.read(0, 9, None))) == (0, ["id", "text", "meta"], [])


def test_a_footer_longer_than_what_is_read_first_is_read_whole() -> None:
    table = pa.table({f"column_{n}_{'x' * 200}": [n] for n in range(600)})
    store, parquet = opened(written(table))
    assert len(parquet.columns) == 600
    assert sum(store.asked) > 64 << 10


def test_a_file_of_a_folder_is_read(tmp_path: Path) -> None:
    pq.write_table(_table(10), tmp_path / "t.parquet")
    store = LocalStore(tmp_path.as_uri())
    parquet = ParquetObject(store, "t.parquet", store.info("t.parquet"))
    assert [row.item["id"] for row in parquet.read(3, 5, ["id"])] == [3, 4]


# What is wrong


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "is not a Parquet file: it has only 0 bytes", id="empty"),
        pytest.param(b"PAR1PAR1", "is not a Parquet file: it has only 8 bytes", id="magic alone"),
        pytest.param(
            b"id,text\n1,hello\n",
            r"is not a Parquet file, or its end is missing (it ends with b'llo\n', not b'PAR1')",
            id="text",
        ),
        pytest.param(
            written(_table(100))[:-1000],
            "is not a Parquet file, or its end is missing (it ends with",
            id="cut off",
        ),
        pytest.param(b"PARE" + b"x" * 20 + b"PARE", "is encrypted; give a Parquet file that is not", id="encrypted"),
        pytest.param(
            b"PAR1" + b"\xff" * 50 + (40).to_bytes(4, "little") + b"PAR1",
            "the footer of the Parquet file cannot be read: ",
            id="a footer that is none",
        ),
        pytest.param(
            b"PAR1" + b"\0" * 50 + (10**6).to_bytes(4, "little") + b"PAR1",
            "the footer of the Parquet file cannot be read: ",
            id="a footer longer than the file",
        ),
    ],
)
def test_what_is_no_parquet_file_is_named(data: bytes, message: str) -> None:
    assert problem(data).startswith(f"s3://bucket/t.parquet: {message}")


@pytest.mark.parametrize("plaintext_footer", [True, False])
def test_an_encrypted_file_is_refused(plaintext_footer: bool) -> None:
    keys = pyarrow.parquet.encryption.create_encryption_properties(b"0" * 16, plaintext_footer=plaintext_footer)
    message = problem(written(_table(10), encryption_properties=keys))
    assert message == "s3://bucket/t.parquet: is encrypted; give a Parquet file that is not"


def test_a_column_that_is_not_there_is_said_with_one_that_is() -> None:
    assert problem(written(_table(3)), ["txt"]) == (
        "s3://bucket/t.parquet: has no column 'txt'; did you mean 'text'? (it has id, text, meta)"
    )
    many = pa.table({f"c{n}": [n] for n in range(30)})
    assert problem(written(many), ["zz"]).endswith("has no column 'zz' (it has c0, c1, c2, c3, c4, c5, c6, c7, c8, "
        "c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, …)")  # fmt: skip


def test_columns_of_one_name_are_refused() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert problem(written(table)) == "s3://bucket/t.parquet: column 'a' stands twice; rename one"


def test_damaged_data_names_the_row_group() -> None:
    data = bytearray(written(_table(3000), row_group_size=1000, write_page_checksum=True, **_PLAIN))
    chunk = pq.read_metadata(io.BytesIO(bytes(data))).row_group(1).column(1)
    data[chunk.data_page_offset + chunk.total_compressed_size - 10] ^= 1
    message = problem(bytes(data), ["text"])
    assert message.startswith("s3://bucket/t.parquet: row group 2 of 3 cannot be read: ")
    assert message.endswith("; is the file damaged? Copy it again")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_anywhere_is_an_error_of_the_input_or_makes_no_difference(data: st.DataObject) -> None:
    table = _table(50)
    damaged = bytearray(written(table, compression="zstd", write_page_checksum=True))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        _, parquet = opened(bytes(damaged))
        found = [row.item for row in parquet.read(0, parquet.rows, None)]
    except InputError as error:
        assert str(error).startswith("s3://bucket/t.parquet: ")
    else:
        assert orjson.dumps(found)


def test_a_column_whose_name_is_not_utf8_is_an_error_of_the_input() -> None:
    data = written(pa.table({"naïve": [1]}), store_schema=False).replace("ï".encode(), b"\xf4x")
    with pytest.raises(InputError, match=r"^s3://bucket/t\.parquet: the name of a column is not UTF-8; is the file"):
        opened(data)


def test_text_that_is_not_utf8_is_found_with_its_row_and_column() -> None:
    texts = pa.array([b"ok"] * 2500 + [b"\xff\xfe"], pa.binary()).view(pa.string())
    table = pa.table({"n": list(range(2501)), "text": texts})
    assert problem(written(table)) == (
        "s3://bucket/t.parquet: row 2501: column text holds text that is not UTF-8; write it as UTF-8, or as binary"
    )


@pytest.mark.parametrize("rows", [pytest.param(1000, id="loaded"), pytest.param(150_000, id="streamed")])
@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(InputChangedError("s3://bucket/t.parquet has changed"), id="changed"),
        pytest.param(StoreAwayError("cannot reach the store"), id="away"),
    ],
)
def test_what_the_store_says_is_passed_on(rows: int, trouble: Exception) -> None:
    store, parquet = opened(written(_table(rows), row_group_size=rows, **_PLAIN))
    store.trouble = trouble
    with pytest.raises(type(trouble)) as caught:
        list(parquet.read(0, rows, None))
    assert caught.value is trouble


def test_an_object_that_became_shorter_has_changed() -> None:
    store, parquet = opened(written(_table(1000)))
    store.data = store.data[:500]
    store.blocks = lambda name, start, end, etag=None: iter([store.data[start:end]])  # type: ignore[method-assign]
    with pytest.raises(InputChangedError, match="bytes came where"):
        list(parquet.read(0, 1000, None))


def test_without_pyarrow_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(_table(1))
    parquet_footer._pyarrow.cache_clear()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    try:
        assert problem(data) == "Parquet files need pyarrow: pip install 'llmbatch[parquet]'"
    finally:
        parquet_footer._pyarrow.cache_clear()


def test_items_are_what_json_lines_of_the_same_table_are() -> None:
    table = _table(20)
    lines = [json.loads(json.dumps(row)) for row in table.to_pylist()]
    assert items_of(table) == lines
