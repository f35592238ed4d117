"""Batches whose inputs and outputs are in a bucket, in bad times: the store away, pods killed, keys renewed; and what a
user reads of them with the command line.
"""

import json
import os
import subprocess
import sys
import uuid
from typing import Any

import pytest

from delivering.result_receiver import KEY, Receiver
from e2e.deployed import Batches, Deployment, SimulatorPod, batch
from e2e.object_store import ObjectStore
from llmbatch_contract.status import Phase

pytest_plugins = ["cluster_fixture", "e2e.deployed", "e2e.object_store"]

_SECRET = "s3"
_ITEMS = 600


@pytest.fixture
def place(object_store: ObjectStore, batches: Batches) -> str:
    """A folder of the bucket, and in the namespace a Secret for it."""
    batches.secret(_SECRET, object_store.credentials)
    return f"test-{uuid.uuid4().hex[:8]}"


def _far(simulator: SimulatorPod, store: ObjectStore, place: str, items: int = _ITEMS, **spec: Any) -> dict[str, Any]:
    """A batch from an object of a place to the folder `out` of it."""
    lines = b"".join(json.dumps({"id": f"t-{n}", "text": f"text {n}"}).encode() + b"\n" for n in range(items))
    there = {"store": store.settings, "credentialsSecret": {"name": _SECRET}}
    source = {"uri": store.put(f"{place}/in.jsonl", lines), "idField": "id", **there}
    output = {"uri": store.uri(f"{place}/out/"), **there}
    return batch(simulator.url, **{"input": source, "output": output, "parallelism": 2, "concurrency": 8, **spec})


def _written(store: ObjectStore, place: str, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.read(f"{place}/out/{name}").splitlines()]


def _finished_shards(batches: Batches, name: str) -> int:
    found: int = (batches.status(name).get("shards") or {}).get("succeeded", 0)
    return found


def _kubectl_llmbatch(batches: Batches, store: ObjectStore, *words: str) -> subprocess.CompletedProcess[str]:
    """The command as a user has it, with keys of their own."""
    environment = os.environ | store.credentials | {"KUBECONFIG": str(batches.cluster.kubeconfig), "NO_PROXY": "*"}
    command = [sys.executable, "-m", "llmbatch_cli.kubectl.main", *words, "-n", batches.namespace]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_store_a_pod_and_the_operator_that_fail_lose_nothing(
    batches: Batches, simulator: SimulatorPod, object_store: ObjectStore, place: str, deployment: Deployment
) -> None:
    simulator.update(latency="400ms")
    name = batches.apply(_far(simulator, object_store, place, shardSize=300))
    batches.wait_items(name, 60)
    with object_store.away():
        blocked = batches.wait_condition(name, "Blocked", reason="StoreAway")
        assert "is not to be reached" in blocked["message"]
        assert "goes on by itself" in blocked["message"]
    batches.kill(batches.running_pods(name)[0]["metadata"]["name"])
    deployment.kill()
    status = batches.wait_succeeded(name, timeout_s=90)

    assert batches.condition(name, "Blocked")["status"] == "False"
    results = _written(object_store, place, "results.jsonl")
    assert [line["index"] for line in results] == list(range(_ITEMS))
    assert simulator.stats()["requests"] - _ITEMS <= status["resentItems"] <= 300, "of one shard at most"


def test_what_is_finished_is_read_while_the_batch_runs_and_all_of_it_after_a_cancel(
    batches: Batches, simulator: SimulatorPod, object_store: ObjectStore, place: str
) -> None:
    simulator.update(latency="300ms")
    name = batches.apply(_far(simulator, object_store, place, shardSize=100))
    batches.cluster.wait_until("a shard is finished", lambda: _finished_shards(batches, name) > 0)
    partial = _kubectl_llmbatch(batches, object_store, "results", name, "--partial")
    assert partial.returncode == 0, partial.stderr
    assert len(partial.stdout.splitlines()) >= 100
    assert "shards are finished" in partial.stderr

    batches.patch(name, cancel=True)
    status = batches.wait_phase(name, Phase.CANCELLED)
    for which, count in (("results", status["items"]["succeeded"]), ("errors", status["items"]["cancelled"])):
        read = _kubectl_llmbatch(batches, object_store, which, name)
        assert read.returncode == 0, read.stderr
        assert len(read.stdout.splitlines()) == count
    batches.cluster.wait_until("the working objects are gone", lambda: not object_store.keys(f"{place}/out/_llmbatch/"))


def test_results_in_a_bucket_are_delivered_too_and_signed_with_the_key_of_the_namespace(
    batches: Batches, simulator: SimulatorPod, object_store: ObjectStore, place: str
) -> None:
    batches.secret("llmbatch-notify", {"signing-key": KEY})
    with Receiver(host=batches.cluster.node_ip) as receiver:
        receiver.answers = [503]
        deliver = {"url": receiver.url, "batchSize": 50}
        name = batches.apply(_far(simulator, object_store, place, 120, deliver=deliver))
        batches.wait_succeeded(name, timeout_s=90)
        assert sorted(receiver.taken) == list(range(120))
    assert batches.condition(name, "Delivered")["message"] == "120 results delivered"
    assert [receiver.taken[line["index"]]["id"] for line in _written(object_store, place, "results.jsonl")] == [
        f"t-{n}" for n in range(120)
    ]
    assert receiver.url not in json.dumps(batches.events(name))


def test_what_is_missing_is_named_until_it_is_there(
    batches: Batches, simulator: SimulatorPod, object_store: ObjectStore, place: str
) -> None:
    manifest = _far(simulator, object_store, place, 20, name="certificate")
    ca = {"caConfigMap": {"name": "store-ca", "key": "ca.crt"}}
    manifest["spec"]["output"]["store"] = {**object_store.settings, **ca}
    batches.apply(manifest)
    manifest = _far(simulator, object_store, place, 20, name="bucket")
    manifest["spec"]["output"]["uri"] = "s3://no-such-bucket/out"
    batches.apply(manifest)

    blocked = batches.wait_condition("certificate", "Blocked", reason="StoreAway")
    assert "ConfigMap store-ca, key ca.crt" in blocked["message"]
    blocked = batches.wait_condition("bucket", "Blocked", reason="OutputMissing")
    assert "there is no bucket no-such-bucket" in blocked["message"]
