"""Batches that deliver their results, in real processes: on a laptop and as pods, also killed in between."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from delivering.result_receiver import KEY, Receiver
from engine.local_run import Bench, Process, texts, until
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_contract.categories import Category
from llmbatch_contract.pods import SIGNING_KEY_VARIABLE
from llmbatch_contract.reports import StopReason
from worker.object_server import ObjectServer
from worker.pod_bench import PodBench

_CANCELLED = StopReason(category=Category.CANCELLED, message="spec.cancel is set").dump_json().decode()


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings.parse({"latency": "1ms"})) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


@pytest.fixture
def bench(tmp_path: Path, sim: Simulator) -> Bench:
    return Bench(tmp_path, sim.url, {"LLMBATCH_SIGNING_KEY": KEY})


@pytest.fixture
def pods(tmp_path: Path, sim: Simulator) -> Iterator[PodBench]:
    with ObjectServer() as server:
        yield PodBench(tmp_path, server, sim.url, {SIGNING_KEY_VARIABLE: KEY})


def _deliver(receiver: Receiver, batch_size: int = 10) -> dict[str, Any]:
    return {"url": receiver.url, "batchSize": batch_size}


def _is_proven(bench: Bench, receiver: Receiver) -> bool:
    """Every result was received or is undelivered, as it stands in the results."""
    path = bench.output / "undelivered.jsonl"
    lost = {row["index"]: row["record"] for row in bench.results(path.name)} if path.exists() else {}
    return {**lost, **receiver.taken} == {record["index"]: record for record in bench.results()}


async def _has_got(receiver: Receiver, requests: int, process: Process) -> None:
    """Wait until so many came, while the process runs."""
    await until(lambda: len(receiver.got) >= requests or process.process.returncode is not None, 40)
    if process.process.returncode is not None:
        pytest.fail(f"ended after {len(receiver.got)} requests: {await process.ended()}")


async def test_a_local_run_delivers_its_results(bench: Bench, receiver: Receiver) -> None:
    items = [*texts(30), {"text": "[[simulate: bad_request]]"}, *texts(4, "more")]
    bench.batch(items=items, deliver=_deliver(receiver), output={"uri": "out", "includeInput": True})
    ended = await bench.run()
    assert ended.code == 3, str(ended)
    assert sorted(receiver.taken) == [n for n in range(35) if n != 30]
    assert receiver.taken[3]["input"] == {"text": "item 3"}
    assert _is_proven(bench, receiver)
    assert bench.summary()["delivery"] == {"delivered": 34, "undelivered": 0, "requests": 4}
    assert "delivered  34 results" in ended.out
    (batch,) = {tuple(got.message["batch"].values()) for got in receiver.got}
    assert batch == ("default", "triage", bench.summary()["uid"])
    assert KEY not in ended.out + ended.err + (bench.output / "summary.json").read_text()


@pytest.mark.parametrize("form", ["csv", "openai", "parquet"])
async def test_records_are_the_same_whatever_form_the_output_has(bench: Bench, receiver: Receiver, form: str) -> None:
    bench.batch(items=texts(5), deliver=_deliver(receiver), output={"uri": "out", "format": form})
    ended = await bench.run()
    assert ended.code == 0, str(ended)
    assert sorted(receiver.taken) == list(range(5))
    for record in receiver.taken.values():
        assert set(record) == {
            "id", "index", "output", "finish_reason", "model", "usage", "attempts", "latency_ms", "completed_at",
            "trace_id",
        }  # fmt: skip


async def test_what_was_not_taken_is_beside_the_results(bench: Bench, receiver: Receiver) -> None:
    receiver.answer = lambda got: 422 if 12 in got.indexes else 200
    bench.batch(items=texts(30), deliver=_deliver(receiver))
    ended = await bench.run()
    assert ended.code == 0, "how the batch has ended does not depend on it"
    assert [row["index"] for row in bench.results("undelivered.jsonl")] == list(range(10, 20))
    assert "delivered  20 results; 10 are in undelivered.jsonl, http://127.0.0.1" in ended.out
    assert "s3cret" not in ended.out
    assert _is_proven(bench, receiver)
    again = await bench.run()
    assert again.code == 0
    assert len(receiver.got) == 3, "a batch that is finished posts nothing again"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        pytest.param("", "LLMBATCH_SIGNING_KEY is not set", id="no key"),
        pytest.param("hunter2", "LLMBATCH_SIGNING_KEY must be `whsec_` and then 24 to 64", id="a wrong key"),
    ],
)
async def test_without_a_key_a_local_run_does_not_begin(
    bench: Bench, receiver: Receiver, sim: Simulator, key: str, words: str
) -> None:
    bench.env["LLMBATCH_SIGNING_KEY"] = key
    bench.batch(items=texts(3), deliver=_deliver(receiver))
    ended = await bench.run()
    assert ended.code == 2, str(ended)
    assert words in ended.err
    assert 'make one with `export LLMBATCH_SIGNING_KEY="whsec_$(openssl rand -base64 32)"`' in ended.err
    assert "hunter2" not in ended.err
    assert sim.stats.requests == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
async def test_a_run_that_ends_while_it_delivers_goes_on_where_it_was(
    bench: Bench, receiver: Receiver, sim: Simulator, number: signal.Signals
) -> None:
    bench.batch(items=texts(400), deliver=_deliver(receiver, 1), concurrency=64)
    receiver.delay_s = 0.005
    for until_got in (30, 180, 300):
        async with bench.started() as process:
            await _has_got(receiver, until_got, process)
            process.signal(number)
            await process.ended()
        assert not (bench.output / "summary.json").exists()
    before = len(receiver.got)
    ended = await bench.run()
    assert ended.code == 0, str(ended)
    assert _is_proven(bench, receiver)
    assert sorted(receiver.taken) == list(range(400))
    assert bench.summary()["delivery"] == {"delivered": 400, "undelivered": 0, "requests": 400}
    assert sim.stats.requests == 400, "nothing is asked again"
    assert before < len(receiver.got) <= 400 + 3 * (64 + 8)


async def test_a_killed_run_loses_nothing_of_what_a_receiver_refuses(bench: Bench, receiver: Receiver) -> None:
    receiver.answer = lambda got: 400 if got.indexes[0] % 9 == 0 else 200
    bench.batch(items=texts(300), deliver=_deliver(receiver, 1), concurrency=64)
    receiver.delay_s = 0.005
    for until_got in (100, 250):
        async with bench.started() as process:
            await _has_got(receiver, until_got, process)
            process.signal(signal.SIGKILL)
            await process.ended()
    ended = await bench.run()
    assert ended.code == 0, str(ended)
    assert [row["index"] for row in bench.results("undelivered.jsonl")] == list(range(0, 300, 9))
    assert _is_proven(bench, receiver)


# Pods


async def test_a_pod_delivers_when_the_results_are_written(pods: PodBench, receiver: Receiver) -> None:
    pods.batch(items=texts(25), deliver=_deliver(receiver))
    ended = await pods.run("run")
    assert ended.code == 0, str(ended)
    assert sorted(receiver.taken) == list(range(25))
    final = pods.words.final
    assert final is not None
    assert (final.delivered, final.undelivered, final.delivery_error) == (25, 0, None)
    assert "s3cret" not in ended.err


async def test_a_pod_without_the_key_writes_the_results_and_says_so(pods: PodBench, receiver: Receiver) -> None:
    pods.env.clear()
    pods.batch(items=texts(25), deliver=_deliver(receiver))
    ended = await pods.run("run")
    assert ended.code == 0, str(ended)
    assert receiver.got == []
    final = pods.words.final
    assert final is not None
    assert (final.delivered, final.undelivered) == (0, 25)
    assert final.delivery_error == "nothing was posted: the Secret llmbatch-notify has no signing-key"
    assert len(pods.lines("undelivered.jsonl")) == len(pods.lines("results.jsonl")) == 25


async def test_a_cancelled_batch_delivers_what_was_answered(pods: PodBench, receiver: Receiver) -> None:
    pods.planned(items=texts(20), shardSize=10, deliver=_deliver(receiver))
    assert (await pods.run("shard")).code == 0
    ended = await pods.run("finalize", "--stop", _CANCELLED)
    assert ended.code == 0, str(ended)
    assert sorted(receiver.taken) == [record["index"] for record in pods.lines("results.jsonl")] == list(range(10))
    assert len(pods.lines("errors.jsonl")) == 10


async def test_a_pod_that_is_told_to_end_while_it_delivers_does_so_at_once(pods: PodBench, receiver: Receiver) -> None:
    receiver.answer = lambda got: 503 if got.indexes[0] >= 100 else 200
    pods.planned(items=texts(300), shardSize=300, deliver=_deliver(receiver, 1))
    assert (await pods.run("shard")).code == 0
    async with pods.started("finalize") as process:
        await _has_got(receiver, 105, process)
        process.signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            ended = await process.ended()
    assert ended.code == 130, str(ended)
    receiver.answer = 200
    ended = await pods.run("finalize", pod="pod-1")
    assert ended.code == 0, str(ended)
    assert sorted(receiver.taken) == list(range(300))
    assert pods.words.final is not None
    assert pods.words.final.delivered == 300


async def test_a_pod_tells_of_a_receiver_that_is_away(pods: PodBench, receiver: Receiver) -> None:
    receiver.answer = 503
    pods.batch(items=texts(3), deliver=_deliver(receiver))
    async with pods.started("run") as process:
        await until(lambda: any(r.store_trouble is not None for r in pods.server.reports), 40)
        told = next(r.store_trouble for r in pods.server.reports if r.store_trouble is not None)
        receiver.answer = 200
        ended = await process.ended(30)
    assert ended.code == 0, str(ended)
    assert told.kind == "receiver"
    assert told.message.endswith("it answers HTTP 503")
    assert sorted(receiver.taken) == [0, 1, 2]
