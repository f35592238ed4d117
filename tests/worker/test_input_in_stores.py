"""The same input planned and read in an S3 server, on a volume and in a folder: nothing depends on where it is."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders import Document, batch
from llmbatch_contract.errors import InputChangedError, InputError, StoreMissingError
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.planning.planner import Planned, make_plan
from llmbatch_worker.stores.local import LOCAL, LocalStore
from llmbatch_worker.stores.protocol import Stores
from s3_servers import Bucket

pytest_plugins = ["s3_fixture"]

Files = dict[str, bytes]


def _jsonl(first: int, items: int) -> bytes:
    return b"".join(orjson.dumps({"id": n, "text": f"text {n}"}) + b"\n" for n in range(first, first + items))


def _csv(first: int, items: int) -> bytes:
    return b"id,text\n" + b"".join(b'%d,"text\n %d"\n' % (n, n) for n in range(first, first + items))


def _parquet(folder: Path, first: int, items: int) -> bytes:
    numbers = range(first, first + items)
    table = pa.table({"id": list(numbers), "text": [f"text {n}" for n in numbers], "much": ["x" * 500] * items})
    pq.write_table(table, folder / "x", row_group_size=100)
    return (folder / "x").read_bytes()


def _formats(folder: Path) -> dict[str, Files]:
    return {
        "jsonl": {"a b.jsonl": _jsonl(0, 500), "b#1.jsonl": _jsonl(500, 500), "c.jsonl": b""},
        "large jsonl": {"a.jsonl": _jsonl(0, 80_000)},
        "csv": {"a.csv": _csv(0, 300), "é.csv": _csv(300, 300)},
        "mixed packing": {"a.csv": _csv(0, 300), "b.csv": gzip.compress(_csv(300, 300))},
        "parquet": {"a.parquet": _parquet(folder, 0, 350), "b.parquet": _parquet(folder, 350, 200)},
    }


_NAMES = ["jsonl", "large jsonl", "csv", "mixed packing", "parquet"]
_SELECTIONS: list[Document] = [{}, {"where": "id|int >= 250", "limit": 200}, {"sample": {"items": 70, "seed": 3}}]


def _read(
    uri: str, store: LocalStore, stores: Stores, fields: Document
) -> tuple[Planned, list[tuple[int, str, dict[str, Any]]]]:
    wanted = batch(input={"uri": uri, "idField": "id", **fields}, prompt="{{ text }}", shard_size=150)
    planned = make_plan(wanted, store, uid="u", created_at="2026-01-01T00:00:00Z", stores=stores)
    items = PlannedItems(planned.plan.input, "id", store, stores)
    rows = [(n, i, row.item) for shard in planned.plan.shards for n, i, row in items.rows(shard)]
    return planned, rows


def _in_folder(tmp_path: Path, files: Files) -> str:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return f"{folder.as_uri()}/"


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("fields", _SELECTIONS, ids=["all", "where and limit", "sample"])
def test_an_input_in_s3_is_planned_and_read_as_one_in_a_folder(
    tmp_path: Path, moto_s3: Bucket, name: str, fields: Document
) -> None:
    files = _formats(tmp_path)[name]
    here = _read(_in_folder(tmp_path, files), LocalStore((tmp_path / "here").as_uri()), LOCAL, fields)
    for key, data in files.items():
        moto_s3.put(f"in/{key}", data)
    there = _read(moto_s3.uri("in/"), LocalStore((tmp_path / "there").as_uri()), moto_s3.stores(), fields)
    assert there[1] == here[1]
    assert there[0].plan.shards == here[0].plan.shards
    assert there[0].plan.input.unpacked is here[0].plan.input.unpacked
    assert [o.data_end for o in there[0].plan.input.objects] == [
        o.data_end
        for o in here[0].plan.input.objects
        if o.size  # listings of S3 leave out empty objects
    ]


@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet"])
def test_an_object_in_s3_that_changed_since_it_was_planned_is_refused(
    tmp_path: Path, moto_s3: Bucket, name: str
) -> None:
    files = _formats(tmp_path)[name]
    for key, data in files.items():
        moto_s3.put(f"in/{key}", data)
    store, stores = LocalStore((tmp_path / "work").as_uri()), moto_s3.stores()
    planned, _ = _read(moto_s3.uri("in/"), store, stores, {})
    last = [key for key, data in files.items() if data][-1]
    moto_s3.put(f"in/{last}", files[last].replace(b"text", b"TEXT"))
    with pytest.raises(InputChangedError, match=f"s3://.*/in/{last}"):
        list(PlannedItems(planned.plan.input, "id", store, stores).rows(planned.plan.shards[-1]))


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        pytest.param(lambda b: None, StoreMissingError, "s3://.*/in/", id="nothing there"),
        pytest.param(lambda b: b.put("in/a", b""), StoreMissingError, "s3://.*/in/, or only empty ones", id="empty"),
        pytest.param(
            lambda b: b.put("in/a.jsonl", b'{"id": 1}\n{"id": \n'),
            InputError,
            r"s3://.*/in/a\.jsonl:2: column \d+: not valid JSON .*, near",
            id="a wrong line",
        ),
    ],
)
def test_what_is_wrong_in_s3_is_said_with_its_uri(
    tmp_path: Path, moto_s3: Bucket, spoil: Callable[[Bucket], None], error: type[Exception], message: str
) -> None:
    spoil(moto_s3)
    with pytest.raises(error, match=message):
        _read(moto_s3.uri("in/"), LocalStore(tmp_path.as_uri()), moto_s3.stores(), {})
