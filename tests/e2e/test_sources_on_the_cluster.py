"""Batches from buckets, volumes and ConfigMaps to buckets and volumes, on the real node and a real S3 server."""

import base64
import gzip
import io
import json
import uuid
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from e2e.deployed import Batches, SimulatorPod, batch
from e2e.object_store import ObjectStore
from e2e.volumes import claim
from llmbatch_contract.status import Phase

pytest_plugins = ["cluster_fixture", "e2e.deployed", "e2e.object_store"]

_SECRET = "s3"


@pytest.fixture
def place(object_store: ObjectStore, batches: Batches) -> str:
    """A folder of the bucket, and in the namespace a Secret for it."""
    batches.secret(_SECRET, object_store.credentials)
    return f"test-{uuid.uuid4().hex[:8]}"


def _tickets(count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"t-{n}" for n in range(count)],
            "text": [f"text {n}" for n in range(count)],
            "stars": [n % 5 for n in range(count)],
            "unused": ["x" * 50] * count,
        }
    )


def _in_store(store: ObjectStore, uri: str, **more: Any) -> dict[str, Any]:
    return {"uri": uri, "store": store.settings, "credentialsSecret": {"name": _SECRET}, **more}


def _parquet(frame: pd.DataFrame, rows: int) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, row_group_size=rows, index=False)
    return buffer.getvalue()


def test_parquet_in_a_bucket_becomes_parquet_in_a_bucket(
    batches: Batches, simulator: SimulatorPod, object_store: ObjectStore, place: str
) -> None:
    frame = _tickets(1200)
    for number in range(3):
        object_store.put(f"{place}/in/{number}.parquet", _parquet(frame[number * 400 : (number + 1) * 400], 100))
    uri = object_store.uri(f"{place}/in/*.parquet")
    output = _in_store(object_store, object_store.uri(f"{place}/out/"), format="parquet", includeInput=True)
    manifest = batch(simulator.url, output=output, shardSize=300, parallelism=2)
    manifest["spec"]["input"] = _in_store(object_store, uri, idField="id")
    name = batches.apply(manifest)
    status = batches.wait_succeeded(name, timeout_s=120)

    assert status["items"]["succeeded"] == 1200
    assert status["input"] == {
        "format": "parquet",
        "packing": "none",
        "objects": 3,
        "bytes": sum(len(object_store.read(key)) for key in object_store.keys(f"{place}/in/")),
    }
    assert status["output"]["results"] == object_store.uri(f"{place}/out/results.parquet")
    written = pd.read_parquet(io.BytesIO(object_store.read(f"{place}/out/results.parquet")))
    assert list(written["id"]) == list(frame["id"])
    assert list(written["stars"]) == list(frame["stars"])
    assert written["output"].str.len().min() > 0
    summary = json.loads(object_store.read(f"{place}/out/summary.json"))
    assert summary["items"] == {"total": 1200, "succeeded": 1200, "failed": 0, "cancelled": 0}
    batches.cluster.wait_until("the working objects are gone", lambda: not object_store.keys(f"{place}/out/_llmbatch/"))
    names = [key.removeprefix(f"{place}/out/") for key in object_store.keys(f"{place}/out/")]
    assert names == ["errors.jsonl", "report.json", "results.parquet", "summary.json"]
    for secret in object_store.credentials.values():
        assert secret not in json.dumps(batches.get(name))
        assert secret not in json.dumps(batches.events(name))


def test_files_on_a_volume_become_files_on_a_volume(batches: Batches, simulator: SimulatorPod, tmp_path: Path) -> None:
    if not batches.cluster.is_ours:
        pytest.skip("the test puts files into a folder of the node")
    folder = tmp_path / "volume"
    claim(batches.cluster, batches.namespace, "data", folder)
    (folder / "in").mkdir()
    for number in range(2):
        text = _tickets(60)[number * 30 : (number + 1) * 30].to_csv(index=False)
        (folder / "in" / f"{number}.csv.gz").write_bytes(gzip.compress(text.encode()))
    tmp_path.chmod(0o755)
    output = {"pvc": {"claimName": "data", "path": "out"}, "format": "csv", "compression": "gzip"}
    manifest = batch(simulator.url, output=output, shardSize=20, parallelism=2)
    manifest["spec"]["input"] = {"pvc": {"claimName": "data", "path": "in/*.csv.gz"}, "idField": "id"}
    status = batches.wait_succeeded(batches.apply(manifest), timeout_s=120)

    assert status["items"]["succeeded"] == 60
    assert (status["input"]["objects"], status["input"]["packing"]) == (2, "gzip")
    written = pd.read_csv(folder / "out" / "results.csv.gz")
    assert list(written["id"]) == list(_tickets(60)["id"])
    names = {"errors.jsonl.gz", "report.json", "results.csv.gz", "summary.json"}
    assert {path.name for path in (folder / "out").iterdir()} == names, "and no empty folders"


def test_wrong_credentials_block_a_batch_until_the_secret_is_right(
    batches: Batches, simulator: SimulatorPod, object_store: ObjectStore, place: str
) -> None:
    batches.secret(_SECRET, {**object_store.credentials, "AWS_SECRET_ACCESS_KEY": "not-it"})
    uri = object_store.put(f"{place}/in.jsonl", b"".join(b'{"text": "a"}\n' for _ in range(30)))
    manifest = batch(simulator.url, output=_in_store(object_store, object_store.uri(f"{place}/out")))
    manifest["spec"]["input"] = _in_store(object_store, uri)
    name = batches.apply(manifest)
    blocked = batches.wait_condition(name, "Blocked", reason="StoreDenied", timeout_s=90)
    assert object_store.uri(place) in blocked["message"]
    assert "AWS_SECRET_ACCESS_KEY" in blocked["message"]
    assert "not-it" not in json.dumps(batches.get(name))

    batches.secret(_SECRET, object_store.credentials)
    status = batches.wait_succeeded(name, timeout_s=180)
    assert status["items"]["succeeded"] == 30
    assert batches.condition(name, "Blocked")["status"] == "False"


def test_a_second_batch_does_not_overwrite_the_first(
    batches: Batches, simulator: SimulatorPod, object_store: ObjectStore, place: str
) -> None:
    output = _in_store(object_store, object_store.uri(f"{place}/out"))
    batches.wait_succeeded(batches.apply(batch(simulator.url, 3, name="first", output=output)))
    before = object_store.read(f"{place}/out/results.jsonl")
    simulator.reset()
    name = batches.apply(batch(simulator.url, 4, name="second", output=output))
    batches.wait_phase(name, Phase.FAILED)
    assert "first" in batches.condition(name, "Failed")["message"]
    assert simulator.stats()["requests"] == 0
    assert object_store.read(f"{place}/out/results.jsonl") == before

    third = batch(simulator.url, 4, name="third", output={**output, "overwrite": True})
    batches.wait_succeeded(batches.apply(third))
    assert len(object_store.read(f"{place}/out/results.jsonl").splitlines()) == 4


def test_a_deleted_batch_leaves_no_working_objects_and_touches_nothing_else(
    batches: Batches, simulator: SimulatorPod, object_store: ObjectStore, place: str
) -> None:
    simulator.update(latency="500ms")
    mine = object_store.put(f"{place}/out/_llmbatch/notes.txt", b"mine")
    items = 2000
    manifest = batch(
        simulator.url,
        [{"text": str(n)} for n in range(items)],
        output=_in_store(object_store, object_store.uri(f"{place}/out")),
        shardSize=500,
    )
    del manifest["spec"]["input"]["idField"]
    manifest["spec"]["request"]["prompt"] = "{{ text }}"
    name = batches.apply(manifest)
    batches.wait_items(name, 20)
    assert len(object_store.keys(f"{place}/out/_llmbatch/")) > 1
    batches.delete(name)
    left = [mine.removeprefix("s3://batches/")]
    batches.cluster.wait_until(
        "only what is somebody else's is left", lambda: object_store.keys(f"{place}/out/") == left, timeout_s=120
    )


def test_a_packed_key_of_a_config_map_goes_to_a_bucket(
    batches: Batches, simulator: SimulatorPod, object_store: ObjectStore, place: str
) -> None:
    packed = gzip.compress(_tickets(250).to_json(orient="records", lines=True).encode())
    body = {"binaryData": {"items.jsonl.gz": base64.b64encode(packed).decode()}}
    batches.cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tickets"}, **body}, namespace=batches.namespace
    )
    output = _in_store(object_store, object_store.uri(f"{place}/out"), compression="zstd", layout="sharded")
    manifest = batch(simulator.url, output=output, shardSize=100)
    manifest["spec"]["input"] = {
        "configMap": {"name": "tickets", "key": "items.jsonl.gz"},
        "idField": "id",
        "where": "stars < 3",
        "sample": {"items": 120, "seed": 1},
    }
    status = batches.wait_succeeded(batches.apply(manifest), timeout_s=120)
    assert status["items"]["succeeded"] == 120
    folder = f"{place}/out/results/"
    manifest_of_shards = json.loads(object_store.read(f"{folder}_manifest.json"))
    assert sum(each["records"] for each in manifest_of_shards) == 120
    ids: list[str] = []
    for each in manifest_of_shards:
        data = io.BytesIO(object_store.read(f"{folder}{each['name']}"))
        ids += list(pd.read_json(data, lines=True, compression="zstd", dtype=False)["id"])
    stars = _tickets(250).set_index("id")["stars"]
    assert len(set(ids)) == 120
    assert ids == sorted(ids, key=lambda item_id: int(item_id.removeprefix("t-")))
    assert max(stars[item_id] for item_id in ids) < 3
