"""Inputs as they are opened for planning, and the planned ones as shards read them."""

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.errors import InputChangedError, InputError, LLMBatchError, StoreMissingError
from llmbatch_contract.layout import UNPACKED_INPUT
from llmbatch_contract.plan import PlannedInput, Shard
from llmbatch_contract.spec import Input, InputFormat
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.inputs.source import INLINE_NAME, open_source
from llmbatch_worker.stores.local import LocalStore


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


def content(path: Path, data: bytes, *, block: int = 1 << 20) -> bytes:
    """What an input of these bytes is opened as."""
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmbatch_worker.stores.local.BLOCK_BYTES", block)
        return b"".join(open_source(Input(uri=path.as_uri())).blocks)


# Opening


def test_a_plain_file_is_read_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a b#c.csv"
    path.write_bytes(b"a,b\n1,2\n")
    source = open_source(Input(uri=path.as_uri()))
    assert (source.name, source.unpacked) == (str(path), False)
    assert source.etag == LocalStore(tmp_path.as_uri()).info(path.name).etag
    assert b"".join(source.blocks) == b"a,b\n1,2\n"


@settings(max_examples=50, deadline=None)
@given(
    data=st.binary(min_size=1, max_size=200).filter(lambda d: not d.startswith(b"\x1f\x8b")), block=st.integers(1, 99)
)
def test_a_plain_file_comes_whole_whatever_the_blocks(folder: Path, data: bytes, block: int) -> None:
    assert content(folder / "plain", data, block=block) == data


@settings(max_examples=100, deadline=None)
@given(members=st.lists(st.binary(max_size=200), min_size=1, max_size=4), block=st.integers(2, 99))
def test_a_gzip_file_of_several_members_comes_unpacked(folder: Path, members: list[bytes], block: int) -> None:
    packed = b"".join(gzip.compress(member) for member in members)
    assert content(folder / "packed", packed, block=block) == b"".join(members)


def test_gzip_is_unpacked_in_pieces_of_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"\0" * (50 << 20)))
    source = open_source(Input(uri=path.as_uri()))
    sizes = [len(piece) for piece in source.blocks]
    assert source.unpacked
    assert sum(sizes) == 50 << 20
    assert max(sizes) <= 4 << 20


@given(cut=st.integers(2, 60), members=st.integers(1, 3), block=st.integers(2, 99))
@settings(max_examples=60, deadline=None)
def test_a_gzip_file_that_was_cut_off_says_so(folder: Path, cut: int, members: int, block: int) -> None:
    path, member = folder / "cut.gz", gzip.compress(bytes(range(200)), mtime=0)
    packed = member * members
    cut_off = packed[: -min(cut, len(member) - 2)]
    with pytest.raises(InputError) as caught:
        content(path, cut_off, block=block)
    assert str(caught.value) == f"{path}: the gzip file ends too early; is the upload complete?"


def test_a_gzip_file_that_was_damaged_is_named(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"hello" * 100))
    packed[-6] ^= 0xFF
    with pytest.raises(InputError, match=r"damaged\.gz: not valid gzip: "):
        content(tmp_path / "damaged.gz", bytes(packed))


def test_the_error_of_a_damaged_gzip_file_has_no_words_of_zlib(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        content(tmp_path / "damaged.gz", gzip.compress(b"hello")[:10] + b"\xff" * 20)
    assert "Error -3" not in str(caught.value)


def test_zeros_after_the_last_gzip_member_are_passed_over_as_gunzip_does(tmp_path: Path) -> None:
    packed = gzip.compress(b"hello") + b"\0" * 100
    assert gzip.decompress(packed) == content(tmp_path / "padded.gz", packed) == b"hello"


def test_a_file_is_gzip_by_content_not_by_name(tmp_path: Path) -> None:
    assert content(tmp_path / "a.gz", b"a,b\n") == b"a,b\n"
    assert content(tmp_path / "a.csv", gzip.compress(b"a,b\n")) == b"a,b\n"


_VALUES = st.none() | st.integers(0, 99) | st.text('\n"é', max_size=3)
_ITEMS = st.lists(st.dictionaries(st.text("aé", max_size=2), _VALUES, max_size=3), max_size=5)


@given(_ITEMS)
def test_inline_items_are_read_as_lines_of_json(items: list[dict[str, Any]]) -> None:
    source = open_source(Input(items=items))
    lines = b"".join(source.blocks).splitlines()
    assert [orjson.loads(line) for line in lines] == items
    assert (source.name, source.unpacked, source.etag) == (INLINE_NAME, True, None)


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
        assert b"".join(source.blocks)
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
    blocks = iter(open_source(Input(uri=path.as_uri())).blocks)
    next(blocks)
    path.write_bytes(b"y" * (2 << 20))
    with pytest.raises(InputChangedError):
        list(blocks)


# Reading by shards


def planned(uri: str, data: bytes, *, fmt: InputFormat = InputFormat.JSONL, etag: str | None = None) -> PlannedInput:
    return PlannedInput(
        uri=uri,
        unpacked=etag is None,
        etag=etag,
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
@pytest.mark.parametrize("unpacked", [False, True], ids=["where it is", "unpacked"])
def test_a_shard_has_the_items_of_its_bytes_with_their_numbers_and_ids(
    tmp_path: Path, fmt: InputFormat, first: bytes, second: bytes, unpacked: bool
) -> None:
    data = b"id,b\n" * (fmt is InputFormat.CSV) + first + second
    working, inputs = LocalStore((tmp_path / "work").as_uri()), LocalStore((tmp_path / "in").as_uri())
    name = UNPACKED_INPUT if unpacked else "data"
    (working if unpacked else inputs).put(name, data)
    etag = None if unpacked else inputs.info(name).etag
    items = PlannedItems(planned((tmp_path / "in" / "data").as_uri(), data, fmt=fmt, etag=etag), "id", working)
    shard = Shard(number=1, first_item=41, items=1, start=len(data) - len(second), end=len(data))
    assert [(number, item_id) for number, item_id, _ in items.rows(shard)] == [(41, "y")]


def test_a_shard_of_an_input_that_changed_is_refused(tmp_path: Path) -> None:
    store, data = LocalStore(tmp_path.as_uri()), b'{"a":1}\n'
    store.put("data", data)
    items = PlannedItems(planned((tmp_path / "data").as_uri(), data, etag=store.info("data").etag), None, store)
    store.put("data", b'{"a":2}\n')
    with pytest.raises(InputChangedError):
        list(items.rows(Shard(0, 0, 1, 0, len(data))))


def test_a_plain_deflate_stream_is_not_taken_for_gzip(tmp_path: Path) -> None:
    packed = zlib.compress(b"hello")
    assert content(tmp_path / "a", packed) == packed
