"""One object or one for each shard, packed or not: whole, in order, with digests, and the same bytes every time."""

import gzip
import hashlib
from pathlib import Path

import orjson
import pytest
import zstandard

from builders import Document
from llmbatch_contract.categories import Category
from llmbatch_contract.errors import InvariantError, StoreFullError
from llmbatch_contract.plan import Shard
from llmbatch_contract.reports import StopReason
from llmbatch_worker.finalizing import layouts
from llmbatch_worker.finalizing.gathering import Gathered
from llmbatch_worker.finalizing.layouts import is_sharded
from llmbatch_worker.finalizing.owning import take_output
from llmbatch_worker.finalizing.reading_ahead import gathered_ahead
from llmbatch_worker.finalizing.shard_lines import Room, ShardLines
from llmbatch_worker.stores.local import LocalStore
from outputs.finished import finished
from sharded import letter, result

_CANCEL = StopReason(category=Category.CANCELLED, message="spec.cancel is set")
_PACKINGS = ["none", "gzip", "zstd"]
_ENDINGS = {"none": "", "gzip": ".gz", "zstd": ".zst"}


def _unpacked(data: bytes, packing: str) -> bytes:
    if packing == "gzip":
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().decompressobj().decompress(data) if packing == "zstd" else data


def _lines(data: bytes) -> list[Document]:
    return [orjson.loads(line) for line in data.splitlines()]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("packing", _PACKINGS)
def test_merged_results_and_errors_are_packed_alike(tmp_path: Path, packing: str) -> None:
    made = finished(tmp_path, output={"compression": packing})
    made.fill(lambda n: letter(n) if n == 3 else result(n))
    summary, objects = made.finalize(), made.objects()
    for kind, indexes in (("results", [0, 1, 2, 4, 5, 6]), ("errors", [3])):
        name = f"{kind}.jsonl{_ENDINGS[packing]}"
        assert [r["index"] for r in _lines(_unpacked(objects[name], packing))] == indexes
        assert summary["output"][kind] == {
            "uri": str(made.output / name), "name": name, "records": len(indexes), "bytes": len(objects[name]),
            "sha256": _sha256(objects[name]), "compression": packing,
        }  # fmt: skip


@pytest.mark.parametrize("packing", _PACKINGS)
def test_sharded_results_are_an_object_for_each_shard_and_a_manifest(tmp_path: Path, packing: str) -> None:
    made = finished(tmp_path, output={"layout": "sharded", "compression": packing})
    made.fill(lambda n: letter(n) if n == 3 else result(n))
    summary, objects = made.finalize(), made.objects()
    manifest = orjson.loads(objects["results/_manifest.json"])
    assert [(m["name"], m["records"], m["first_item"], m["items"]) for m in manifest] == [
        (f"00000.jsonl{_ENDINGS[packing]}", 3, 0, 3),
        (f"00001.jsonl{_ENDINGS[packing]}", 2, 3, 3),
        (f"00002.jsonl{_ENDINGS[packing]}", 1, 6, 1),
    ]
    stored = [objects[f"results/{m['name']}"] for m in manifest]
    assert [(m["bytes"], m["sha256"]) for m in manifest] == [(len(data), _sha256(data)) for data in stored]
    assert [r["index"] for data in stored for r in _lines(_unpacked(data, packing))] == [0, 1, 2, 4, 5, 6]
    digests = "".join(f"{m['sha256']}  {m['name']}\n" for m in manifest)
    assert summary["output"]["results"] == {
        "uri": f"{made.output}/results/", "name": "results/", "records": 6, "bytes": sum(map(len, stored)),
        "sha256": _sha256(digests.encode()), "compression": packing, "objects": 3,
    }  # fmt: skip


@pytest.mark.parametrize("output", [{}, {"compression": "gzip"}, {"compression": "zstd", "layout": "sharded"},
                                    {"format": "parquet"}, {"format": "csv", "compression": "gzip"}])  # fmt: skip
def test_the_same_batch_gives_the_same_bytes(tmp_path: Path, output: Document) -> None:
    made = finished(tmp_path, output=output)
    made.fill()
    made.finalize()
    before = made.objects()
    made.finalize()
    assert made.objects() == before


def test_a_shard_without_results_has_no_object_and_a_batch_without_any_has_one_for_its_columns(tmp_path: Path) -> None:
    made = finished(tmp_path, output={"layout": "sharded", "format": "csv"})
    made.fill(lambda n: letter(n) if n < 3 else result(n))
    assert made.finalize()["output"]["results"]["objects"] == 2
    assert [n for n in made.names() if n.startswith("results/0")] == ["results/00001.csv", "results/00002.csv"]
    other = finished(tmp_path / "other", output={"layout": "sharded", "format": "csv"})
    other.finalize(_CANCEL)
    assert other.objects()["results/00002.csv"] == b"id,text,ai_output\n"


@pytest.mark.parametrize("layout", ["merged", "sharded"])
def test_large_objects_are_the_same_as_small_ones(tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = finished(tmp_path, output={"layout": layout})
    made.fill()
    made.finalize()
    before = made.objects()
    monkeypatch.setattr(layouts, "_IN_MEMORY_BYTES", 100)
    monkeypatch.setattr(layouts, "_IN_FLIGHT_BYTES", 100)
    made.finalize()
    assert made.objects() == before


@pytest.mark.parametrize("layout", ["merged", "sharded"])
def test_of_results_that_cannot_all_be_written_none_is_left(tmp_path: Path, layout: str) -> None:
    made = finished(tmp_path, items=60, output={"layout": layout})
    made.fill()
    made.store.remove(["shards/00017/part-0001-00000.jsonl", "shards/00017/done.json"])
    with pytest.raises(InvariantError):
        made.finalize()
    assert made.names() == []


@pytest.mark.parametrize(
    ("layout", "items", "place", "expected"),
    [
        pytest.param("auto", 1_000_000, True, False, id="a million items in one object"),
        pytest.param("auto", 1_000_001, True, True, id="more in several"),
        pytest.param("auto", 1_000_001, False, False, id="not in the built-in store"),
        pytest.param("merged", 5_000_000, True, False, id="merged if so wished"),
        pytest.param("sharded", 1, True, True, id="sharded if so wished"),
    ],
)
def test_the_layout_follows_from_the_number_of_items(
    tmp_path: Path, layout: str, items: int, place: bool, expected: bool
) -> None:
    spec = finished(tmp_path, output={"layout": layout}).job.batch.spec
    spec = spec if place else spec.model_copy(update={"output": spec.output.model_copy(update={"uri": None})})
    assert is_sharded(spec, items) is expected


# Records in memory, or not


def _kept(room: Room, lines: dict[int, bytes], items: int = 8) -> ShardLines:
    found = ShardLines(items, room)
    for position, line in lines.items():
        found.add(position, line)
    return found


@pytest.mark.parametrize("room", [0, 200, 300, 10_000], ids=lambda size: f"{size} bytes of room")
def test_lines_come_out_in_order_wherever_they_were_kept(room: int) -> None:
    shared = Room(room)
    lines = _kept(shared, {5: b"five\n", 0: b"zero\n", 7: b"seven" * 20, 2: b"two\n"})
    lines.add(0, b"later\n")
    assert (lines.missing, lines.size) == (4, 5 + 5 + 100 + 4)
    expected = [b"zero\n", None, b"two\n", None, None, b"five\n", None, b"seven" * 20]
    assert list(lines.in_order()) == expected
    assert shared.take(room)  # all of it was given back


def test_a_shard_that_is_not_read_to_its_end_gives_back_its_room() -> None:
    shared = Room(1000)
    lines = _kept(shared, dict.fromkeys(range(8), b"x" * 20))
    for _line in lines.in_order():
        break
    lines.close()
    assert shared.take(1000)


def test_a_full_disk_says_where_room_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full)
        with pytest.raises(StoreFullError, match=r"cannot sort the records of a large shard in /.*: No space left"):
            list(_kept(Room(0), {0: b"x" * 100}).in_order())


@pytest.mark.parametrize("output", [{"format": "csv"}, {"format": "parquet"}, {"layout": "sharded"}])
def test_a_batch_that_finds_no_memory_writes_the_same(
    tmp_path: Path, output: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = finished(tmp_path, 50, 20, output=output)
    made.fill(parts=4)
    made.finalize()
    before = made.objects()
    monkeypatch.setattr("llmbatch_worker.finalizing.gathering.ROOM_BYTES", 0)
    made.finalize()
    assert made.objects() == before


# Ahead of the writing


def test_shards_come_in_order_and_few_are_gathered_ahead() -> None:
    shards = [Shard(n, n, 1, n, n + 1) for n in range(100)]
    gathered_so_far, room = [], Room(1 << 20)

    def gather(shard: Shard) -> Gathered:
        gathered_so_far.append(shard.number)
        lines = _kept(room, {0: b"x" * 3_000_000}, items=1)
        return Gathered(shard, iter(()), 0, [], lines)

    for number, gathered in enumerate(gathered_ahead(gather, shards)):
        assert gathered.shard.number == number
        assert len(gathered_so_far) <= number + 4
    assert sorted(gathered_so_far) == list(range(100))


def test_an_error_comes_after_what_was_before_it() -> None:
    def gather(shard: Shard) -> Gathered:
        if shard.number == 5:
            raise InvariantError("five is broken")
        return Gathered(shard, iter(()), 0, [], ShardLines(1, Room(0)))

    some = gathered_ahead(gather, [Shard(n, n, 1, n, n + 1) for n in range(9)])
    assert [next(some).shard.number for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(InvariantError, match="five is broken"):
        next(some)


def test_when_the_summary_is_there_it_alone_says_whose_the_outputs_are(tmp_path: Path) -> None:
    made = finished(tmp_path)
    made.fill()
    take_output(LocalStore(made.job.output_uri), "u", "triage", "default", overwrite=False)
    made.finalize()
    assert LocalStore(made.job.output_uri).names("") == ["errors.jsonl", "report.json", "results.jsonl", "summary.json"]
