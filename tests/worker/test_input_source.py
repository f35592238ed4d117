"""Inputs as they are opened for planning, and the planned ones as shards read them."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.errors import InputChangedError, InputError, LLMBatchError, StoreMissingError
from llmbatch_contract.layout import UNPACKED_INPUT
from llmbatch_contract.plan import PlannedInput, PlannedObject, Shard
from llmbatch_contract.spec import Input, InputFormat, Packing
from llmbatch_worker.inputs import objects as objects_module
from llmbatch_worker.inputs.ahead import ahead
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.inputs.source import INLINE_NAME, inline_facts, open_source
from llmbatch_worker.planning.digests import Digests
from llmbatch_worker.stores.local import LocalStore


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


def content(path: Path, data: bytes, *, block: int = 1 << 20) -> bytes:
    """What an input of these bytes is opened as."""
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmbatch_worker.stores.local.BLOCK_BYTES", block)
        (text,) = open_source(Input(uri=path.as_uri())).texts()
        return b"".join(text.blocks)


# Opening


def test_a_plain_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a b#c.csv"
    path.write_bytes(b"a,b\n1,2\n")
    source = open_source(Input(uri=path.as_uri()))
    (text,) = source.texts()
    assert (source.name, text.name, text.packing) == (str(path), str(path), Packing.NONE)
    assert [(o.uri, o.info) for o in source.objects] == [
        (path.as_uri(), LocalStore(tmp_path.as_uri()).info(path.name)),
    ]
    assert b"".join(text.blocks) == b"a,b\n1,2\n"


_MAGIC = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")


@settings(max_examples=50, deadline=None)
@given(data=st.binary(min_size=1, max_size=200).filter(lambda d: not d.startswith(_MAGIC)), block=st.integers(1, 99))
def test_a_plain_file_comes_whole_whatever_the_blocks(folder: Path, data: bytes, block: int) -> None:
    assert content(folder / "plain", data, block=block) == data


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.binary(max_size=200), min_size=1, max_size=4), block=st.integers(1, 99), is_gzip=st.booleans())
def test_a_packed_file_of_several_parts_comes_unpacked(
    folder: Path, parts: list[bytes], block: int, is_gzip: bool
) -> None:
    packed = b"".join(gzip.compress(part) if is_gzip else zstandard.compress(part) for part in parts)
    assert content(folder / "packed", packed, block=block) == b"".join(parts)


def test_a_packed_file_comes_in_pieces_of_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"\0" * (50 << 20)))
    (text,) = open_source(Input(uri=path.as_uri())).texts()
    sizes = [len(piece) for piece in text.blocks]
    assert text.packing is Packing.GZIP
    assert sum(sizes) == 50 << 20
    assert max(sizes) <= 4 << 20


def test_a_gzip_file_that_was_cut_off_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cut\.gz: the gzip file ends too early; is the upload complete\?$"):
        content(tmp_path / "cut.gz", gzip.compress(bytes(range(200)))[:-9])


def test_a_file_is_packed_by_content_not_by_name(tmp_path: Path) -> None:
    assert content(tmp_path / "a.gz", b"a,b\n") == b"a,b\n"
    assert content(tmp_path / "a.csv", gzip.compress(b"a,b\n")) == b"a,b\n"
    assert content(tmp_path / "b.csv", zstandard.compress(b"a,b\n")) == b"a,b\n"


def test_a_plain_deflate_stream_is_not_taken_for_gzip(tmp_path: Path) -> None:
    packed = zlib.compress(b"hello")
    assert content(tmp_path / "a", packed) == packed


_VALUES = st.none() | st.integers(0, 99) | st.text('\n"é', max_size=3)
_ITEMS = st.lists(st.dictionaries(st.text("aé", max_size=2), _VALUES, max_size=3), max_size=5)


@given(_ITEMS)
def test_inline_items_are_read_as_lines_of_json(items: list[dict[str, Any]]) -> None:
    source = open_source(Input(items=items))
    (text,) = source.texts()
    data = b"".join(text.blocks)
    assert [orjson.loads(line) for line in data.splitlines()] == items
    assert (source.name, text.name, source.objects) == (INLINE_NAME, INLINE_NAME, ())
    assert inline_facts(items) == (len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({1: "yes"}, id="names that are numbers"),
        pytest.param(10**25, id="a very long number"),
        pytest.param("\ud800", id="half a character"),
        pytest.param(b"bytes", id="bytes"),
        pytest.param({1, 2}, id="a set"),
    ],
)
def test_an_inline_item_that_is_no_json_is_read_or_refused_with_a_sentence(value: object) -> None:
    source = open_source(Input(items=[{"a": value}]))
    try:
        assert [b"".join(text.blocks) for text in source.texts()]
    except LLMBatchError as error:
        assert INLINE_NAME in str(error)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        content(tmp_path / "empty.csv", b"")
    assert str(caught.value) == f"{tmp_path}/empty.csv is empty"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreMissingError) as caught:
        open_source(Input(uri=(tmp_path / "none.csv").as_uri()))
    assert str(caught.value) == f"cannot read {tmp_path}/none.csv: there is no such file"
    with pytest.raises(StoreMissingError, match="no is not a folder"):
        open_source(Input(uri=(tmp_path / "no" / "none.csv").as_uri()))


def test_an_input_of_another_scheme_says_what_to_give() -> None:
    with pytest.raises(InputError, match=r"^s3://bucket/a\.csv is not supported: give a path or a file:// URI$"):
        open_source(Input(uri="s3://bucket/a.csv"))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * (3 << 20))
    (text,) = open_source(Input(uri=path.as_uri())).texts()
    next(text.blocks)
    path.write_bytes(b"y" * (2 << 20))
    with pytest.raises(InputChangedError):
        list(text.blocks)


# Several objects


def test_objects_come_in_the_order_of_their_names_and_empty_ones_too(tmp_path: Path) -> None:
    files = {"b.csv": b"2", "a.csv": b"1", "c.csv": b"", "Z.csv": b"0"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    source = open_source(Input(uri=f"{tmp_path.as_uri()}/*.csv"))
    found = [(text.number, Path(text.name).name, b"".join(text.blocks)) for text in source.texts()]
    assert found == [(0, "Z.csv", b"0"), (1, "a.csv", b"1"), (2, "b.csv", b"2"), (3, "c.csv", b"")]
    assert source.name == f"{tmp_path}/*.csv"


def test_objects_that_are_all_empty_are_refused(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).touch()
    with pytest.raises(InputError) as caught:
        open_source(Input(uri=f"{tmp_path.as_uri()}/"))
    assert str(caught.value) == f"{tmp_path}: all 2 objects are empty"


def test_too_many_objects_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects_module, "MOST_OBJECTS", 2)
    for name in "abc":
        (tmp_path / name).write_bytes(b"1")
    with pytest.raises(InputError, match="stands for more than 2 objects; give a narrower pattern"):
        open_source(Input(uri=f"{tmp_path.as_uri()}/"))


def test_small_objects_are_read_ahead_and_large_ones_bit_by_bit(tmp_path: Path) -> None:
    sizes = [10, 3 << 20, 10, 2 << 20, 10]
    for number, size in enumerate(sizes):
        (tmp_path / str(number)).write_bytes(bytes([number]) * size)
    texts = open_source(Input(uri=f"{tmp_path.as_uri()}/")).texts()
    assert [b"".join(text.blocks) for text in texts] == [bytes([n]) * size for n, size in enumerate(sizes)]


def test_an_object_that_vanishes_while_others_are_read_is_named(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number:03}").write_bytes(b"1")
    texts = open_source(Input(uri=f"{tmp_path.as_uri()}/")).texts()
    next(texts)
    (tmp_path / "199").unlink()
    with pytest.raises(StoreMissingError, match="199"):
        list(texts)


def test_nothing_is_done_further_ahead_than_allowed() -> None:
    begun: list[int] = []
    done = ahead(range(1000), begun.append, lambda _thing: 1 << 20, most_bytes=4 << 20)
    for taken in range(1, 50):
        next(done)
        assert len(begun) <= taken + 4
    done.close()
    assert len(begun) < 60


def test_what_fails_ahead_fails_when_its_turn_comes() -> None:
    def inverse(number: int) -> float:
        return 1 / (3 - number)

    done = ahead(range(10), inverse, lambda _thing: 1)
    assert [next(done) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(done)


@given(objects=st.lists(st.lists(st.binary(max_size=9), max_size=4), min_size=1, max_size=4))
def test_digests_are_those_that_sha256sum_prints(objects: list[list[bytes]]) -> None:
    digests, uris = Digests(), [f"file:///{n}" for n in range(len(objects))]
    lines = ""
    for number, blocks in enumerate(objects):
        assert digests.of_all(uris) is None
        assert list(digests.passing(number, blocks)) == blocks
        lines += f"{hashlib.sha256(b''.join(blocks)).hexdigest()}  {uris[number]}\n"
    of_one = hashlib.sha256(b"".join(objects[0])).hexdigest()
    assert digests.of_all(uris) == (of_one if len(objects) == 1 else hashlib.sha256(lines.encode()).hexdigest())


# Reading by shards


def planned(
    uri: str, data: bytes, *, fmt: InputFormat = InputFormat.JSONL, etag: str | None = None, numbered: bool = False
) -> PlannedInput:
    return PlannedInput(
        uri=uri,
        objects=[PlannedObject(uri=uri, etag=etag, size=len(data), data_end=len(data))],
        unpacked=etag is None,
        numbered=numbered,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        format=fmt,
        fields=["id", "b"],
    )


_FILES = [
    pytest.param(InputFormat.JSONL, b'{"id":"x","b":1}\n', b'{"id":"y","b":2}\n', id="jsonl"),
    pytest.param(InputFormat.CSV, b'x,"1\n"\n', b"y,2\n", id="csv"),
    pytest.param(
        InputFormat.OPENAI,
        b'{"custom_id":"x","url":"/v1/responses","body":{}}\n',
        b'{"custom_id":"y","url":"/v1/responses","body":{}}\n',
        id="openai",
    ),
]


@pytest.mark.parametrize(("fmt", "first", "second"), _FILES)
def test_a_shard_has_the_items_of_its_bytes_with_their_numbers_and_ids(
    tmp_path: Path, fmt: InputFormat, first: bytes, second: bytes
) -> None:
    data = b"id,b\n" * (fmt is InputFormat.CSV) + first + second
    working, inputs = LocalStore((tmp_path / "work").as_uri()), LocalStore((tmp_path / "in").as_uri())
    inputs.put("data", data)
    etag = inputs.info("data").etag
    items = PlannedItems(planned((tmp_path / "in" / "data").as_uri(), data, fmt=fmt, etag=etag), "id", working)
    shard = Shard(number=1, first_item=41, items=1, start=len(data) - len(second), end=len(data))
    assert [(number, item_id) for number, item_id, _ in items.rows(shard)] == [(41, "y")]


_UNPACKED = [
    pytest.param(InputFormat.JSONL, "id", {"id": "y"}, "y", id="jsonl"),
    pytest.param(InputFormat.CSV, "id", {"id": "y"}, "y", id="csv"),
    pytest.param(InputFormat.PARQUET, None, {"id": "y"}, "41", id="parquet, without ids"),
    pytest.param(InputFormat.OPENAI, None, {"custom_id": "y", "url": "/v1/responses", "body": {}}, "y", id="openai"),
]


@pytest.mark.parametrize(("fmt", "id_field", "item", "item_id"), _UNPACKED)
@pytest.mark.parametrize("numbered", [False, True])
def test_an_unpacked_input_is_json_lines_whatever_it_was(
    tmp_path: Path, fmt: InputFormat, id_field: str | None, item: dict[str, Any], item_id: str, numbered: bool
) -> None:
    lines = [orjson.dumps([n, item] if numbered else item) + b"\n" for n in (7, 8)]
    working = LocalStore(tmp_path.as_uri())
    working.put(UNPACKED_INPUT, b"".join(lines))
    items = PlannedItems(planned("file:///a", b"", fmt=fmt, numbered=numbered), id_field, working)
    shard = Shard(number=1, first_item=41, items=1, start=len(lines[0]), end=sum(map(len, lines)))
    expected_id = "8" if numbered and item_id == "41" else item_id
    assert [(number, i, row.item) for number, i, row in items.rows(shard)] == [(41, expected_id, item)]


@pytest.fixture
def three_objects(tmp_path: Path) -> Iterator[tuple[PlannedInput, LocalStore]]:
    store = LocalStore(tmp_path.as_uri())
    found = []
    for number in range(3):
        data = b"id,b\n" + b"".join(b"%d-%d,x\n" % (number, n) for n in range(2 if number != 1 else 0))
        store.put(str(number), data)
        uri, etag = (tmp_path / str(number)).as_uri(), store.info(str(number)).etag
        found.append(PlannedObject(uri=uri, etag=etag, size=len(data), data_start=5, data_end=len(data)))
    yield planned("file:///", b"", fmt=InputFormat.CSV, etag="x").model_copy(update={"objects": found}), store


def test_a_shard_may_go_over_several_objects(three_objects: tuple[PlannedInput, LocalStore]) -> None:
    items = PlannedItems(three_objects[0], "id", three_objects[1])
    shard = Shard(number=0, first_item=1, items=2, start=11, end=11, first_object=0, last_object=2)
    assert [(number, item_id) for number, item_id, _ in items.rows(shard)] == [(1, "0-1"), (2, "2-0")]


def test_of_several_objects_each_must_be_as_it_was_planned(three_objects: tuple[PlannedInput, LocalStore]) -> None:
    items = PlannedItems(three_objects[0], "id", three_objects[1])
    three_objects[1].put("2", b"id,b\n2-0,y\n2-1,y\n")
    shard = Shard(number=0, first_item=1, items=2, start=11, end=11, first_object=0, last_object=2)
    rows = items.rows(shard)
    next(rows)
    with pytest.raises(InputChangedError, match="/2 has changed"):
        next(rows)


def test_a_shard_of_an_input_that_changed_is_refused(tmp_path: Path) -> None:
    store, data = LocalStore(tmp_path.as_uri()), b'{"a":1}\n'
    store.put("data", data)
    items = PlannedItems(planned((tmp_path / "data").as_uri(), data, etag=store.info("data").etag), None, store)
    store.put("data", b'{"a":2}\n')
    with pytest.raises(InputChangedError):
        list(items.rows(Shard(0, 0, 1, 0, len(data))))
