"""The metrics of a local run equal its summary, whatever happened on the way."""

import os
import signal
from pathlib import Path

import pytest

from engine.local_run import texts, until
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from local_telemetry.telemetry_bench import PRICING, check_totals, check_tree, told_bench

_REFUSED = {"text": "[[simulate: refusal]]"}
_TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_SOON = {"OTEL_METRIC_EXPORT_INTERVAL": "200", "OTEL_BSP_SCHEDULE_DELAY": "200"}


def _settings(**settings: object) -> SimulatorSettings:
    return SimulatorSettings.parse({"fail": {"server_error": 0.1}, **settings})


@pytest.mark.parametrize("temporality", ["cumulative", "delta", "lowmemory"])
@pytest.mark.parametrize("workers", ["1", "3"])
async def test_metrics_equal_the_summary(tmp_path: Path, workers: str, temporality: str) -> None:
    async with Simulator(_settings(latency="10ms")) as sim:
        with told_bench(tmp_path, sim.url, **_SOON, **{_TEMPORALITY: temporality}) as (bench, receiver):
            bench.batch(items=[*texts(150), _REFUSED, {"text": "[[simulate: content_policy]]"}], pricing=PRICING)
            ended = await bench.run("--workers", workers)
            assert (ended.code, ended.err) == (3, ""), str(ended)
            check_totals(receiver, bench)
    assert bench.summary()["retries"] > 0
    assert {point.is_delta for point in receiver.points if point.name == "llmbatch.batch.items"} == {
        temporality == "delta"
    }


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
async def test_a_worker_process_that_is_killed_costs_no_count_and_no_parent(tmp_path: Path, temporality: str) -> None:
    async with Simulator(_settings(latency="20ms")) as sim:
        with told_bench(tmp_path, sim.url, **_SOON, **{_TEMPORALITY: temporality}) as (bench, receiver):
            items = [*texts(298), _REFUSED, _REFUSED]
            bench.batch(items=items[::-1], pricing=PRICING, shardSize=100, concurrency=2)
            async with bench.started("--workers", "3") as process:
                await until(lambda: sim.stats.answered_ok >= 60)
                os.kill(process.children()[0], signal.SIGKILL)
                ended = await process.ended()
            assert ended.code == 3, str(ended)
            assert bench.summary()["resent_items"] > 0
            check_totals(receiver, bench)
            check_tree(receiver, bench)
    [killed] = [span for span in receiver.spans_named("shard") if span.error is not None]
    assert (killed.attributes["error.type"], killed.error) == ("SIGKILL", "the worker process was ended by SIGKILL")
    assert len(receiver.spans_named("shard")) == 4


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
@pytest.mark.parametrize("workers", ["1", "3"])
async def test_a_run_that_was_interrupted_goes_on_counting_in_the_same_trace(
    tmp_path: Path, workers: str, temporality: str
) -> None:
    async with Simulator(_settings(latency="20ms")) as sim:
        with told_bench(tmp_path, sim.url, **_SOON, **{_TEMPORALITY: temporality}) as (bench, receiver):
            bench.batch(items=[_REFUSED, *texts(300), _REFUSED], pricing=PRICING, shardSize=100, concurrency=4)
            async with bench.started("--workers", workers) as process:
                await until(lambda: sim.stats.answered_ok >= 120)
                process.signal(signal.SIGINT)
                assert (await process.ended()).code == 130
            assert receiver.spans_named("batch") == []
            before = receiver.total("llmbatch.batch.items")
            assert before > 0
            ended = await bench.run("--workers", workers)
            assert ended.code == 3, str(ended)
            check_totals(receiver, bench)
            check_tree(receiver, bench)
    totals = [point for point in receiver.points if point.name == "llmbatch.batch.attempts" and not point.is_delta]
    assert [point.value for point in totals] == sorted(point.value for point in totals)
    assert [len(receiver.spans_named(name)) for name in ("plan", "finalize")] == [1, 1]


async def test_while_it_runs_metrics_tell_how_it_goes(tmp_path: Path) -> None:
    async with Simulator(_settings(latency="50ms")) as sim:
        with told_bench(tmp_path, sim.url, **_SOON) as (bench, receiver):
            bench.batch(items=texts(400), pricing=PRICING, concurrency=4)
            async with bench.started() as process:
                await until(lambda: receiver.last("llmbatch.batch.time_left") is not None)
                process.signal(signal.SIGINT)
                await process.ended()
    told: dict[str, float] = {}
    for point in receiver.points:
        told[point.name] = max(point.value, told.get(point.name, 0))
    assert told["llmbatch.batch.size"] == 400
    assert told["llmbatch.batch.workers"] == 1
    assert told["llmbatch.batch.in_flight"] == 4
    assert 0 < told["llmbatch.batch.time_left"] < 120
    assert 0 < told["llmbatch.batch.age"] < 120
