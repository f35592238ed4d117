"""Outputs in one object or many, whole or before the end, from a store that is a folder."""

import csv
import gzip
import hashlib
import io
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from finished_shards import finished_shards
from llmbatch_cli.outputs.download import deliver_output
from llmbatch_cli.outputs.joining import joined
from llmbatch_cli.outputs.objects import Output, OutputObject, Outputs
from llmbatch_cli.outputs.packed import note_of, unpacked_blocks
from llmbatch_cli.outputs.partial import counts_in_words, partial_blocks, records_of
from llmbatch_cli.outputs.stored import StoredObjects
from llmbatch_contract import layout
from llmbatch_contract.errors import BatchStateError, DownloadError, InvalidError, InvariantError, StoreMissingError
from llmbatch_contract.partial import PartialCounts
from llmbatch_worker.stores.local import LocalStore


def in_blocks(data: bytes, size: int = 7) -> Iterator[bytes]:
    return (data[n : n + size] for n in range(0, len(data), size))


def output_of(ending: str, *contents: bytes, size: int = 7) -> Output:
    objects = [OutputObject(f"{n:05d}.{ending}", in_blocks(data, size)) for n, data in enumerate(contents)]
    return Output("results/", objects, b"[]")


def as_csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=9)
ROWS = st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=4)


@given(
    header=st.lists(CELLS, min_size=2, max_size=2),
    files=st.lists(ROWS, min_size=1, max_size=4),
    size=st.integers(1, 40),
)
def test_csv_files_become_one_with_one_header(header: list[str], files: list[list[list[str]]], size: int) -> None:
    data = b"".join(joined(output_of("csv", *(as_csv([header, *rows]) for rows in files), size=size)))
    assert data == as_csv([header, *(row for rows in files for row in rows)])


def test_a_csv_file_with_another_header_is_not_mixed_in() -> None:
    with pytest.raises(DownloadError, match=r"00001\.csv has another header"):
        list(joined(output_of("csv", b"a,b\n1,2\n", b"a,c\n3,4\n")))


def test_json_lines_are_laid_end_to_end_packed_or_not() -> None:
    lines = [b'{"id": "%d"}\n' % n for n in range(3)]
    assert b"".join(joined(output_of("jsonl", *lines))) == b"".join(lines)
    packed = b"".join(joined(output_of("jsonl.gz", *map(gzip.compress, lines))))
    assert gzip.decompress(packed) == b"".join(lines)
    packed = b"".join(joined(output_of("jsonl.zst", *map(zstandard.compress, lines))))
    with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as reader:
        assert reader.read() == b"".join(lines)


@pytest.mark.parametrize("ending", ["parquet", "csv.gz"])
def test_what_cannot_be_one_file_needs_a_folder(ending: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match=f"2 files of format {ending}.*-o DIR/"):
        deliver_output(output_of(ending, b"1", b"2"), str(tmp_path / "file"), force=False, tell=print)
    assert list(tmp_path.iterdir()) == []
    deliver_output(output_of(ending, b"1", b"2"), f"{tmp_path}/new/", force=False, tell=print)
    names = [f"00000.{ending}", f"00001.{ending}", "_manifest.json"]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == names
    with pytest.raises(InvalidError, match=r"00000.* exists; --force overwrites it"):
        deliver_output(output_of(ending, b"1", b"2"), str(tmp_path / "new"), force=False, tell=print)
    deliver_output(output_of(ending, b"3"), str(tmp_path / "new"), force=True, tell=print)
    assert (tmp_path / "new" / names[0]).read_bytes() == b"3"


def test_a_single_object_goes_into_a_folder_by_its_name(tmp_path: Path) -> None:
    deliver_output(
        Output("results.csv", [OutputObject("results.csv", iter([b"a\n"]))]), str(tmp_path), force=False, tell=print
    )
    assert (tmp_path / "results.csv").read_bytes() == b"a\n"


def test_one_parquet_object_is_a_file_as_it_is(tmp_path: Path) -> None:
    output = output_of("parquet", b"PAR1")
    assert note_of(output) == "00000.parquet comes as it is stored"
    assert note_of(output_of("parquet", b"PAR1", b"PAR1")) == "", "they make no file"
    deliver_output(output, str(tmp_path / "file"), force=False, tell=print)
    assert (tmp_path / "file").read_bytes() == b"PAR1"


def test_what_is_no_text_is_named_when_it_goes_to_stdout_and_then_only(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    told: list[str] = []
    packed = zstandard.compress(b"{}\n")
    for place in (None, str(tmp_path / "file")):
        deliver_output(output_of("jsonl.zst", packed), place, force=False, tell=told.append)
    assert told == ["00000.jsonl.zst comes as it is stored, packed with zstd"]
    assert capfdbinary.readouterr().out == packed == (tmp_path / "file").read_bytes()


@pytest.mark.parametrize(
    ("ending", "data", "note"),
    [
        pytest.param("jsonl", b"{}\n", "", id="plain"),
        pytest.param(
            "jsonl.gz", gzip.compress(b"{}\n"), "00000.jsonl.gz comes as it is stored, packed with gzip", id="gzip"
        ),
        pytest.param(
            "jsonl.zst",
            zstandard.compress(b"{}\n"),
            "00000.jsonl.zst comes as it is stored, packed with zstd",
            id="zstd",
        ),
    ],
)
def test_what_is_packed_is_unpacked_for_who_looks_into_it(ending: str, data: bytes, note: str) -> None:
    assert note_of(output_of(ending, data)) == note
    assert b"".join(unpacked_blocks(output_of(ending, data))) == b"{}\n"


# In a store


def stored(folder: Path, objects: dict[str, bytes]) -> StoredObjects:
    for name, data in objects.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return StoredObjects(LocalStore(folder.as_uri()), LocalStore(folder.as_uri()))


def row(name: str, data: bytes) -> dict[str, object]:
    return {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


PARTS = {"results/00000.jsonl": b"one\n", "results/00001.jsonl": b"two\n"}
MANIFEST = json.dumps([row(name.rpartition("/")[2], data) for name, data in PARTS.items()]).encode()


def test_results_in_many_objects_are_compared_one_by_one(tmp_path: Path) -> None:
    outputs = Outputs(stored(tmp_path, PARTS | {"results/_manifest.json": MANIFEST}), "tickets")
    assert b"".join(joined(outputs.output("results", "results/"))) == b"one\ntwo\n"
    (tmp_path / "results" / "00001.jsonl").write_bytes(b"TWO\n")
    with pytest.raises(DownloadError, match=r"00001\.jsonl of the results of tickets: .*SHA-256 differs"):
        list(joined(outputs.output("results", "results/")))
    (tmp_path / "results" / "00000.jsonl").unlink()
    with pytest.raises(StoreMissingError, match=r"00000\.jsonl"):
        list(joined(outputs.output("results", "results/")))


@pytest.mark.parametrize("done", [[], [2], range(20)], ids=["none", "one", "more than are read at once"])
def test_records_of_finished_shards_are_read_in_order(tmp_path: Path, done: Sequence[int]) -> None:
    work = finished_shards(20, 30, done)
    objects = stored(tmp_path, work.objects)
    told: list[PartialCounts] = []
    assert list(records_of(objects.partial("results"), "results", told.append)) == work.results
    assert list(records_of(objects.partial("errors"), "errors", told.append)) == work.errors
    assert told == [
        PartialCounts(len(done), 20, 30 * len(done), 600, len(records)) for records in (work.results, work.errors)
    ]
    assert counts_in_words(told[0], "results").endswith(f"{len(done)} of 20 shards are finished")


def test_a_large_shard_is_put_into_order_outside_of_memory(tmp_path: Path) -> None:
    work = finished_shards(1, 5_000, [0], text="x" * 4_000)
    assert list(partial_blocks(stored(tmp_path, work.objects).working, "results"))[:-1] == work.results


def test_a_stream_that_breaks_off_is_not_taken_for_the_whole() -> None:
    counts = PartialCounts(1, 1, 1, 1, 1).line()
    assert list(records_of(iter([b'{"index":0}\n', counts]), "results", print)) == [b'{"index":0}\n']
    for cut in (b"", b'{"index":0}\n', b'{"index":0}\n' + counts[:-5]):
        with pytest.raises(DownloadError, match="results came incomplete"):
            list(records_of(iter([cut]), "results", print))


def test_a_reader_may_stop_early_and_damage_is_an_error(tmp_path: Path) -> None:
    work = finished_shards(30, 10, range(30))
    objects = stored(tmp_path, work.objects)
    blocks = objects.partial("results")
    assert next(blocks) == work.results[0]
    del blocks
    (tmp_path / layout.part(7, 1, 0)).write_bytes(b"{")
    with pytest.raises(InvariantError, match="shard 7 is damaged"):
        list(objects.partial("results"))
    shutil.rmtree(tmp_path / "shards" / "00003")
    (tmp_path / layout.PLAN).unlink()
    with pytest.raises(BatchStateError, match=r"no shard is finished yet \(.*plan\.json"):
        list(objects.partial("results"))
