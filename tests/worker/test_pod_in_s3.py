"""Pods whose input and outputs are in S3, with keys from a Secret: from the items to outputs and nothing else."""

import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.local_run import texts, until
from fault_proxy import Fault, FaultProxy, access_denied, hang, trickle
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_operator import jobs
from llmbatch_worker.pods import deadline
from s3_servers import Bucket
from worker.object_server import ObjectServer
from worker.pod_bench import PodBench

pytest_plugins = ["s3_fixture"]

_ALWAYS = float("inf")
_SECRET = {"credentialsSecret": {"name": "minio"}}


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings.parse({"latency": "20ms"})) as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, sim: Simulator) -> Iterator[PodBench]:
    with ObjectServer() as server:
        yield PodBench(tmp_path, server, sim.url)


def _give_secret(bench: PodBench, bucket: Bucket) -> None:
    """As Kubernetes mounts it."""
    for use in ("input", "output"):
        folder = bench.folder / "credentials" / use
        folder.mkdir(parents=True)
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            (folder / key).write_text(bucket.environment[key])


def _batch(bench: PodBench, bucket: Bucket, **output: Any) -> None:
    bucket.put("tickets/a.jsonl", b"".join(json.dumps(item).encode() + b"\n" for item in texts(60)))
    bucket.put("tickets/b.jsonl", b"".join(json.dumps(item).encode() + b"\n" for item in texts(60, "more")))
    place = {"store": bucket.settings, **_SECRET}
    bench.batch(
        place=bucket.uri("answers"),
        input={"uri": bucket.uri("tickets/*.jsonl"), **place},
        output={"uri": bucket.uri("answers"), **place, **output},
    )


_OUTPUTS = ["answers/errors.jsonl", "answers/report.json", "answers/results.jsonl", "answers/summary.json"]
_INPUTS = ["tickets/a.jsonl", "tickets/b.jsonl"]


async def test_a_batch_from_s3_to_s3_leaves_its_outputs_and_nothing_else(bench: PodBench, s3: Bucket) -> None:
    _batch(bench, s3)
    _give_secret(bench, s3)
    for stage in ("plan", "shard", "finalize"):
        ended = await bench.run(stage)
        assert ended.code == 0, str(ended)
        if stage == "plan":
            plan = bench.words.plan
            assert plan is not None
            assert (plan.items, plan.format, plan.packing, plan.objects) == (120, "jsonl", "none", 2)
            assert "answers/_llmbatch/owner.json" in s3.names()
            assert "answers/_llmbatch/the-uid/plan.json" in s3.names()
    assert sorted(s3.names()) == [*_OUTPUTS, *_INPUTS]
    assert [json.loads(line)["index"] for line in s3.get("answers/results.jsonl").splitlines()] == list(range(120))
    assert bench.words.final is not None
    assert bench.words.final.succeeded == 120
    assert bench.written() == []


async def test_a_missing_secret_is_told_and_tried_again(bench: PodBench, moto_s3: Bucket) -> None:
    _batch(bench, moto_s3)
    for use in ("input", "output"):
        (bench.folder / "credentials" / use).mkdir(parents=True)  # `optional`: there is an empty folder
    ended = await bench.run("plan")
    assert ended.code == 1, str(ended)
    assert bench.words.error is not None
    assert bench.words.error.kind == "StoreDeniedError"
    assert "Secret minio" in bench.words.error.message


async def test_a_store_that_refuses_while_outputs_are_written_is_waited_for_and_told_of(
    bench: PodBench, moto_s3: Bucket, fault_proxy: Callable[[Bucket], FaultProxy]
) -> None:
    proxy = fault_proxy(moto_s3)
    _batch(bench, proxy.bucket)
    _give_secret(bench, moto_s3)
    for stage in ("plan", "shard"):
        ended = await bench.run(stage)
        assert ended.code == 0, str(ended)
    bench.server.reports.clear()
    proxy.add(access_denied(), method="PUT", key="answers/*", times=_ALWAYS)
    async with bench.started("finalize") as process:
        await until(lambda: any(r.store_trouble is not None for r in bench.server.reports))
        told = bench.server.reports[-1]
        proxy.clear()
        ended = await process.ended(30)
    assert ended.code == 0, str(ended)
    assert told.store_trouble is not None
    assert (told.asks, told.store_trouble.kind) == (False, "denied")
    assert "s3:PutObject" in told.store_trouble.message
    assert sorted(moto_s3.names()) == [*_OUTPUTS, *_INPUTS]


async def test_without_the_permission_to_remove_a_batch_succeeds_all_the_same(
    bench: PodBench, moto_s3: Bucket, fault_proxy: Callable[[Bucket], FaultProxy]
) -> None:
    proxy = fault_proxy(moto_s3)
    proxy.add(access_denied(), method="POST", query="delete", times=_ALWAYS)
    proxy.add(access_denied(), method="DELETE", times=_ALWAYS)
    _batch(bench, proxy.bucket)
    _give_secret(bench, moto_s3)
    ended = await bench.run("run")
    assert ended.code == 0, str(ended)
    assert "the working objects stay where they are" in ended.err
    assert set(_OUTPUTS) <= set(moto_s3.names())


_IN_A_SECOND = """
from llmbatch_worker.pods import deadline
deadline.LEAVES_S = 1.0
from llmbatch_worker.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("stage", "fault", "method", "key"),
    [
        pytest.param("plan", trickle(), "GET", "tickets/*", id="plan reads an input that comes byte by byte"),
        pytest.param("shard", trickle(), "GET", "tickets/*", id="a shard does"),
        pytest.param("shard", hang(100), "PUT", "*/part-*", id="a part is not taken"),
        pytest.param("finalize", trickle(), "GET", "*/part-*", id="a part comes byte by byte"),
        pytest.param("finalize", hang(100), "PUT", "answers/results.jsonl", id="an output is not taken"),
    ],
)
async def test_a_pod_that_is_told_to_end_while_a_store_hangs_is_gone_in_time_and_the_next_does_the_rest(
    bench: PodBench, moto_s3: Bucket, fault_proxy: Callable[[Bucket], FaultProxy],
    stage: str, fault: Fault, method: str, key: str,
) -> None:  # fmt: skip
    proxy = fault_proxy(moto_s3)
    _batch(bench, proxy.bucket)
    _give_secret(bench, moto_s3)
    stages = ["plan", "shard", "finalize"]
    for before in stages[: stages.index(stage)]:
        assert (await bench.run(before)).code == 0
    proxy.add(fault, method=method, key=key, times=_ALWAYS)
    async with bench.started(stage, program=("-c", _IN_A_SECOND)) as process:
        await until(proxy.stuck.is_set)
        process.signal(signal.SIGTERM)
        ended = await process.ended(8)
    assert ended.code == 130, str(ended)
    assert "Traceback" not in ended.err
    assert "told to end 1 s ago, and something still waits" in ended.err
    proxy.clear()
    for again in stages[stages.index(stage) :]:
        ended = await bench.run(again)
        assert ended.code == 0, str(ended)
    assert [json.loads(line)["index"] for line in moto_s3.get("answers/results.jsonl").splitlines()] == list(range(120))
    assert sorted(moto_s3.names()) == [*_OUTPUTS, *_INPUTS]


def test_in_time_is_before_kubernetes_kills() -> None:
    assert deadline.LEAVES_S <= jobs._GRACE_S - 5
