"""Inputs of several objects: one plan over all of them, and what is wrong with one is said of that one."""

import gzip
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders import Document, batch
from llmbatch_contract.errors import DuplicateIdError, InputError, InvalidError
from llmbatch_contract.layout import UNPACKED_INPUT
from llmbatch_contract.spec import InputFormat, Packing
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.planning.planner import Planned, make_plan
from llmbatch_worker.stores.local import LOCAL, LocalStore
from llmbatch_worker.stores.protocol import Found, ObjectInfo, Readable, Store


@dataclass
class CountedStores:
    """The stores of a local run; notes which object is read, and how much of it."""

    read: dict[str, int] = field(default_factory=dict)
    tells_versions: bool = True

    def open(self, uri: str) -> Store:
        return LOCAL.open(uri)

    def open_input(self, uri: str) -> tuple[Readable, str]:
        store, name = LOCAL.open_input(uri)
        return _Counted(store, self), name

    def find_inputs(self, uri: str) -> Iterable[Found]:
        for found in LOCAL.find_inputs(uri):
            yield found if self.tells_versions else Found(found.uri, ObjectInfo(found.info.size, None))


@dataclass
class _Counted:
    store: LocalStore
    stores: CountedStores

    def info(self, name: str) -> ObjectInfo:
        return self.store.info(name)

    def where(self, name: str) -> str:
        return self.store.where(name)

    def blocks(self, name: str, start: int, end: int, etag: str | None = None) -> Iterator[bytes]:
        for block in self.store.blocks(name, start, end, etag):
            self.stores.read[name] = self.stores.read.get(name, 0) + len(block)
            yield block


def _write(folder: Path, files: dict[str, bytes]) -> str:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return f"{folder.as_uri()}/"


def _plan(tmp_path: Path, files: dict[str, bytes], stores: Any = LOCAL, **fields: Any) -> tuple[Planned, list[Any]]:
    """The plan, and the items that shards read."""
    spec: Document = {"uri": _write(tmp_path / "in", files), **fields.pop("input", {})}
    wanted = batch(input=spec, **{"prompt": "{{ text }}", **fields})
    store = LocalStore((tmp_path / "work").as_uri())
    planned = make_plan(wanted, store, uid="u", created_at="2026-01-01T00:00:00Z", stores=stores)
    items = PlannedItems(planned.plan.input, spec.get("idField"), store, stores)
    return planned, [row.item for shard in planned.plan.shards for _, _, row in items.rows(shard)]


def _texts(*texts: str) -> bytes:
    return b"".join(orjson.dumps({"text": text}) + b"\n" for text in texts)


def _parquet(path: Path, rows: dict[str, list[Any]], group_rows: int = 1000) -> bytes:
    pq.write_table(pa.table(rows), path, row_group_size=group_rows)
    return path.read_bytes()


def test_a_plan_names_all_objects_with_their_versions_and_the_places_of_their_items(tmp_path: Path) -> None:
    files = {"a.csv": b"id,text\n1,a\n2,b\n", "b.csv": b"", "c.csv": b"id,text\n3,c"}
    planned, items = _plan(tmp_path, files, shard_size=3)
    given = planned.plan.input
    store = LocalStore((tmp_path / "in").as_uri())
    assert [(o.uri, o.etag, o.size) for o in given.objects] == [
        ((tmp_path / "in" / name).as_uri(), store.info(name).etag, len(data)) for name, data in files.items()
    ]
    assert [(o.data_start, o.data_end) for o in given.objects] == [(8, 16), (0, 0), (8, 11)]
    assert (given.unpacked, given.fields, given.size) == (False, ["id", "text"], sum(map(len, files.values())))
    assert [i["text"] for i in items] == ["a", "b", "c"]
    lines = "".join(f"{hashlib.sha256(d).hexdigest()}  {(tmp_path / 'in' / n).as_uri()}\n" for n, d in files.items())
    assert given.sha256 == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        pytest.param(
            b"id,other\n1,2\n",
            "b.csv: lacks the column 'text' that is in {folder}/a.csv; all files must have the same columns "
            "in the same order",
            id="another column",
        ),
        pytest.param(
            b"id,text,more\n1,2,3\n",
            "b.csv: has the column 'more' that is not in {folder}/a.csv; all files must have the same "
            "columns in the same order",
            id="a column more",
        ),
        pytest.param(
            b"text,id\n1,2\n",
            "b.csv: column 1 of the header is 'text', but 'id' in {folder}/a.csv; all files must have the same columns "
            "in the same order",
            id="another order",
        ),
        pytest.param(
            b'{"id": 1}\n',
            "b.csv: lacks the column 'id' that is in {folder}/a.csv; all files must have the same columns "
            "in the same order",
            id="no header",
        ),
        pytest.param(
            b"PAR1",
            "b.csv: is parquet, but {folder}/a.csv is csv; give objects of one format, or say which by "
            "spec.input.format",
            id="parquet",
        ),
        pytest.param(
            b"id,text\n1,2\n1,2,3\n",
            "b.csv:3: 3 fields, but the header has 2, near '1,2,3'; is a quote missing?",
            id="a mistake in a row",
        ),
    ],
)
def test_a_file_that_does_not_go_with_the_others_is_named(tmp_path: Path, other: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        _plan(tmp_path, {"a.csv": b"id,text\n1,a\n", "b.csv": other})
    assert str(caught.value) == f"{tmp_path}/in/{message.format(folder=tmp_path / 'in')}"


def test_objects_of_different_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"b\.csv: is csv, but .*a\.jsonl is jsonl; give objects of one format"):
        _plan(tmp_path, {"a.jsonl": _texts("a"), "b.csv": b"text\nb\n"})


def test_a_format_that_is_asked_for_is_that_of_all_objects(tmp_path: Path) -> None:
    _, items = _plan(tmp_path, {"a.jsonl": _texts("a"), "b.txt": _texts("b")}, input={"format": "jsonl"})
    assert [i["text"] for i in items] == ["a", "b"]


def test_the_delimiter_is_that_of_the_first_file(tmp_path: Path) -> None:
    _, items = _plan(tmp_path, {"a.csv": b"id;text\n1;a\n", "b.csv": b"id;text\n2;b,c\n"})
    assert [i["text"] for i in items] == ["a", "b,c"]


def test_a_table_with_tabs_by_its_name_is_cut_at_tabs(tmp_path: Path) -> None:
    _, items = _plan(tmp_path, {"a.tsv": b"text\ta, b, c\n1\t2, 3, 4\n"})
    assert items == [{"text": "1", "a, b, c": "2, 3, 4"}]


def test_blank_objects_are_passed_over_wherever_they_are(tmp_path: Path) -> None:
    files = {
        "1": b"",
        "2": b"\n \n",
        "3": b"id,text\n1,a\n",
        "4": b"\r\n",
        "5": b"",
        "6": b"id,text\n",
        "7": b"\xef\xbb\xbf\n",
    }
    planned, items = _plan(tmp_path, files)
    assert planned.plan.input.format is InputFormat.CSV
    assert [i["text"] for i in items] == ["a"]


def test_an_id_that_stands_in_two_objects_is_shown_with_both(tmp_path: Path) -> None:
    files = {"a.csv": b"id,text\n1,a\n2,b\n", "b.csv": b"id,text\n3,c\n2,d\n1,e\n"}
    with pytest.raises(DuplicateIdError) as caught:
        _plan(tmp_path, files, input={"idField": "id"})
    assert str(caught.value) == (
        f"{tmp_path}/in/b.csv:3: id '2' stands already in {tmp_path}/in/a.csv:3; ids must be unique, and 2 items "
        "repeat an id"
    )


def test_fields_that_some_items_lack_are_counted_and_the_first_is_shown(tmp_path: Path) -> None:
    with_lang = b'{"text": "a", "lang": "de"}\n'
    files = {"a.jsonl": with_lang * 300, "b.jsonl": with_lang * 50 + _texts("b") * 77 + with_lang + b"{}\n"}
    planned, _ = _plan(tmp_path, files, prompt="{{ text }} {{ lang if lang is defined }}")
    lacks = {name: (lack.items, lack.first) for name, lack in planned.lacks.items()}
    assert lacks == {"lang": (78, f"{tmp_path}/in/b.jsonl:51"), "text": (1, f"{tmp_path}/in/b.jsonl:129")}
    assert (planned.misfits, planned.plan.items) == (1, 429)


# Where shards read


def test_one_packed_object_among_plain_ones_makes_a_copy_of_all(tmp_path: Path) -> None:
    files = {"a.jsonl": _texts("a"), "b.jsonl": gzip.compress(_texts("b")), "c.jsonl": _texts("c")[:-1]}
    planned, items = _plan(tmp_path, files)
    assert (planned.plan.input.unpacked, planned.plan.input.packing) == (True, Packing.NONE)
    assert [i["text"] for i in items] == ["a", "b", "c"]
    assert (tmp_path / "work" / UNPACKED_INPUT).read_bytes() == _texts("a", "b", "c")


def test_a_server_that_tells_no_versions_is_copied_from(tmp_path: Path) -> None:
    planned, items = _plan(tmp_path, {"a.jsonl": _texts("a")}, CountedStores(tells_versions=False))
    assert planned.plan.input.unpacked
    assert [i["text"] for i in items] == ["a"]


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        pytest.param({}, 1, id="all"),
        pytest.param({"where": "text != 'x'"}, 1, id="where"),
        pytest.param({"sample": {"items": 5}}, 2, id="sample"),
    ],
)
def test_the_input_is_read_once_and_twice_for_a_sample(tmp_path: Path, fields: Document, most: int) -> None:
    files = {name: _texts(*(f"{name}{n:01000}" for n in range(2000))) for name in "abc"}
    stores = CountedStores()
    _, items = _plan(tmp_path, files, stores, input={"idField": "text", **fields})
    before = dict(stores.read)
    spec: Document = {"uri": f"{(tmp_path / 'in').as_uri()}/", "idField": "text", **fields}
    stores.read.clear()
    make_plan(batch(input=spec, prompt="{{ text }}"), None, uid="u", created_at="x", stores=stores)
    head = {"a": 1 << 20}  # is looked at first
    assert all(stores.read[name] <= most * len(data) + head.get(name, 0) for name, data in files.items())
    assert before
    assert items


def test_a_limit_stops_reading_and_needs_no_copy(tmp_path: Path) -> None:
    files = {name: _texts(*(f"{name}{n:01000}" for n in range(2000))) for name in "abc"}
    stores = CountedStores()
    planned, items = _plan(tmp_path, files, stores, input={"limit": 2010}, shard_size=1000)
    assert [i["text"] for i in items] == [*(f"a{n:01000}" for n in range(2000)), *(f"b{n:01000}" for n in range(10))]
    assert (planned.plan.input.unpacked, planned.plan.input.sha256, planned.of_items) == (False, None, None)
    assert "c" not in stores.read


def test_what_where_lets_pass_keeps_its_number_as_its_id(tmp_path: Path) -> None:
    files = {"a.jsonl": _texts("a", "b"), "b.jsonl": _texts("c", "d")}
    planned, _ = _plan(tmp_path, files, input={"where": "text in ['b', 'd']"})
    items = PlannedItems(planned.plan.input, None, LocalStore((tmp_path / "work").as_uri()))
    rows = [(number, item_id, row.item["text"]) for s in planned.plan.shards for number, item_id, row in items.rows(s)]
    assert rows == [(0, "1", "b"), (1, "3", "d")]
    assert (planned.plan.items, planned.of_items) == (2, 4)


def test_an_item_for_which_where_cannot_be_said_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"/b\.jsonl:2: spec\.input\.where: .*lang"):
        _plan(
            tmp_path,
            {"a.jsonl": b'{"lang": "de"}\n', "b.jsonl": b'\n{"text": "a"}\n'},
            input={"where": "lang == 'de'"},
        )


def test_an_expression_that_is_none_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match=r"spec\.input\.where"):
        _plan(tmp_path, {"a.jsonl": _texts("a") * 5}, input={"where": "lang =="})


def test_only_the_ids_of_items_that_are_taken_must_be_unique(tmp_path: Path) -> None:
    _plan(tmp_path, {"a.jsonl": _texts("a", "a", "b", "c")}, input={"where": "text != 'a'", "idField": "text"})


# Parquet


_COLUMNS: dict[str, list[Any]] = {"id": [1, 2, 3], "text": ["a", "b", "c"], "much": ["x" * 1000] * 3}


def test_only_the_columns_of_parquet_that_are_needed_are_read(tmp_path: Path) -> None:
    data = _parquet(tmp_path / "x", _COLUMNS)
    planned, items = _plan(tmp_path, {"a.parquet": data, "b.parquet": data})
    given = planned.plan.input
    assert (given.format, given.unpacked, given.columns, given.fields) == (
        InputFormat.PARQUET,
        False,
        ["text"],
        ["text"],
    )
    assert items == [{"text": "a"}, {"text": "b"}, {"text": "c"}] * 2
    assert (given.sha256, given.size) == (None, 2 * len(data))
    assert planned.plan.input_tokens_estimate > 0


def test_parquet_is_found_by_its_content(tmp_path: Path) -> None:
    planned, items = _plan(tmp_path, {"a": _parquet(tmp_path / "x", _COLUMNS)}, input={"idField": "id"})
    assert planned.plan.input.columns == ["id", "text"]
    assert items[0] == {"id": 1, "text": "a"}


def test_parquet_with_huge_row_groups_is_copied(tmp_path: Path) -> None:
    data = _parquet(tmp_path / "x", {"text": [str(n) for n in range(10_001)]}, 10_001)
    planned, items = _plan(tmp_path, {"a.parquet": data}, shard_size=1000)
    assert planned.plan.input.unpacked
    assert [i["text"] for i in items] == [str(n) for n in range(10_001)]


def test_parquet_with_row_groups_of_a_shard_is_cut_where_they_end(tmp_path: Path) -> None:
    data = _parquet(tmp_path / "x", {"text": [str(n) for n in range(3000)]}, 700)
    planned, _ = _plan(tmp_path, {"a.parquet": data}, shard_size=1000)
    assert [s.items for s in planned.plan.shards] == [700, 700, 700, 900]


@pytest.mark.parametrize(
    ("files", "fields", "message"),
    [
        pytest.param(
            {"a.parquet": _COLUMNS, "b.parquet": {"id": [4]}},
            {},
            r"b\.parquet: lacks the column 'text' that is in .*a\.parquet",
            id="an object lacks a column",
        ),
        pytest.param(
            {"a.parquet": {"text": ["a"]}, "b.parquet": _COLUMNS},
            {"where": "id is defined and id > 1"},
            r"b\.parquet: has the column 'id' that is not in .*a\.parquet; all files must have the columns that",
            id="a column that is asked for begins later",
        ),
        pytest.param(
            {"a.parquet": _COLUMNS}, {"idField": "no"}, "has no column 'no', which is the idField", id="no id"
        ),
        pytest.param({"a.parquet": {"txt": ["a"]}}, {}, "did you mean txt", id="a column of another name"),
    ],
)
def test_columns_that_are_not_there_are_named(
    tmp_path: Path, files: dict[str, dict[str, list[Any]]], fields: Document, message: str
) -> None:
    packed = {name: _parquet(tmp_path / name, rows) for name, rows in files.items()}
    with pytest.raises(InputError, match=message):
        _plan(tmp_path, packed, input=fields)


def test_columns_that_nobody_needs_may_begin_and_end(tmp_path: Path) -> None:
    packed = [_parquet(tmp_path / "x", {"text": ["a"], name: [1]}) for name in ("old", "new")]
    _, items = _plan(tmp_path, {"a.parquet": packed[0], "b.parquet": packed[1]})
    assert items == [{"text": "a"}, {"text": "a"}]


def test_parquet_inside_gzip_is_refused(tmp_path: Path) -> None:
    data = gzip.compress(_parquet(tmp_path / "x", _COLUMNS))
    with pytest.raises(InputError, match=r"a\.parquet\.gz: Parquet inside gzip cannot be read in parts; unpack it$"):
        _plan(tmp_path, {"a.parquet.gz": data})


_BAD: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("cut off", lambda d: d[:-5]),
    ("no Parquet", lambda _: b"hello" * 5),
]


@pytest.mark.parametrize("spoil", [spoil for _, spoil in _BAD], ids=[name for name, _ in _BAD])
def test_one_damaged_parquet_object_is_named(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    data = _parquet(tmp_path / "x", _COLUMNS)
    with pytest.raises(InputError, match=r"b\.parquet: "):
        _plan(tmp_path, {"a.parquet": data, "b.parquet": spoil(data)})


def test_parquet_of_a_server_without_ranges_is_read_once(tmp_path: Path) -> None:
    data = _parquet(tmp_path / "x", _COLUMNS)
    stores = CountedStores(tells_versions=False)
    planned, items = _plan(tmp_path, {"a.parquet": data}, stores)
    assert planned.plan.input.unpacked
    assert [i["text"] for i in items] == ["a", "b", "c"]
    assert stores.read == {"a.parquet": len(data)}
