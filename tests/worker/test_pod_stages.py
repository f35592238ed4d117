"""The stages of a batch as pods do them: what they leave in the store, their last words and their exit codes."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.local_run import texts, until
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_contract.categories import Category
from llmbatch_contract.plan import Plan
from llmbatch_contract.pods import Stage
from llmbatch_contract.reports import Command, StopReason
from worker.object_server import Fault, ObjectServer
from worker.pod_bench import PodBench

CANCELLED = StopReason(category=Category.CANCELLED, message="spec.cancel is set").dump_json().decode()
LATE = StopReason(category=Category.DEADLINE, message="not done within 60 s").dump_json().decode()


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings.parse({"latency": "20ms"})) as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, sim: Simulator) -> Iterator[PodBench]:
    with ObjectServer() as server:
        yield PodBench(tmp_path, server, sim.url)


# Plan


async def test_plan_leaves_a_plan_and_says_what_is_in_it(bench: PodBench) -> None:
    bench.batch(items=[*texts(250), {"other": 1}], pods=2)
    ended = await bench.run("plan")
    assert ended.code == 0, str(ended)
    plan = Plan.load(bench.server.objects["work/plan.json"])
    assert (plan.uid, plan.items, [s.items for s in plan.shards]) == ("the-uid", 251, [126, 125])
    facts = bench.words.plan
    assert facts is not None
    assert (facts.items, facts.shards, facts.misfits) == (251, 2, 1)
    assert facts.input_tokens_estimate == plan.input_tokens_estimate > 0
    assert "spec.input.items:251" in (facts.first_misfit or "")
    assert "planned 251 items in 2 shards" in ended.err


async def test_a_batch_that_is_planned_is_not_planned_again(bench: PodBench) -> None:
    bench.batch(items=texts(3))
    await bench.run("plan")
    plan = bench.server.objects["work/plan.json"]
    bench.server.requests.clear()
    ended = await bench.run("plan", pod="pod-1")
    assert ended.code == 0, str(ended)
    assert bench.server.objects["work/plan.json"] == plan
    assert bench.written() == []
    assert bench.words.plan is not None
    assert bench.words.plan.items == 3


@pytest.mark.parametrize(
    ("fields", "code", "kind", "words"),
    [
        pytest.param(
            {"input": {"configMap": {"name": "tickets", "key": "a.csv"}}}, 1, "InputMissingError",
            "ConfigMap tickets has no key a.csv", id="an input that may yet come",
        ),
        pytest.param(
            {"items": texts(1), "prompt": "{{ txt }}"}, 2, "InputError", "did you mean text", id="a wrong field",
        ),
        pytest.param(
            {"input": {"pvc": {"claimName": "data", "path": "a.csv"}}}, 1, "StoreMissingError",
            "PersistentVolumeClaim data, path a.csv", id="a file that may yet come",
        ),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_in_the_last_words(
    bench: PodBench, fields: dict[str, Any], code: int, kind: str, words: str
) -> None:
    bench.batch(**fields)
    (bench.folder / "volumes" / "input").mkdir(parents=True)
    ended = await bench.run("plan")
    assert ended.code == code, str(ended)
    error = bench.words.error
    assert error is not None
    assert error.kind == kind
    assert words in error.message
    assert words in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "config", "words"),
    [
        pytest.param(("--stop", "{}"), None, "--stop {}: must be a reason", id="a reason that is none"),
        pytest.param((), b"not gzip", "is of another version or damaged", id="a damaged configuration"),
    ],
)
async def test_a_wrong_setting_is_a_clear_error(
    bench: PodBench, arguments: tuple[str, ...], config: bytes | None, words: str
) -> None:
    bench.batch(items=texts(1))
    if config is not None:
        bench.config.write_bytes(config)
    ended = await bench.run("finalize", *arguments)
    assert ended.code == 2, str(ended)
    assert words in (bench.words.error.message if bench.words.error else "")


# Shard


async def test_a_shard_is_worked_on_to_its_end_and_then_not_again(bench: PodBench, sim: Simulator) -> None:
    bench.planned(items=[*texts(4), {"text": "[[simulate: bad_request]]"}, *texts(120, "more")], shardSize=100)
    ended = await bench.run("shard")
    assert ended.code == 0, str(ended)
    assert sim.stats.requests == 100
    progress = bench.words.progress
    assert progress is not None
    assert (progress.shard, progress.items, progress.succeeded, progress.failed) == (0, 100, 99, 1)
    assert progress.errors == {Category.INVALID_REQUEST: 1}
    assert bench.words.stop is None
    assert "shard 0: 100 items, 0 done before" in ended.err
    assert "shard 0: done, 99 succeeded, 1 failed" in ended.err
    assert "more 1" not in ended.err
    facts = bench.server.reports[-1].plan
    assert facts is not None
    assert (facts.items, facts.shards) == (125, 2)
    assert bench.server.reports[-1].leaving

    again = await bench.run("shard", pod="pod-1")
    assert again.code == 0, str(again)
    assert sim.stats.requests == 100
    assert bench.words.progress == progress


async def test_a_pod_imports_only_what_its_stage_needs(bench: PodBench) -> None:
    bench.planned(items=texts(1))
    bench.env["PYTHONPROFILEIMPORTTIME"] = "1"
    ended = await bench.run("shard")
    imported = {line.rpartition("|")[2].strip() for line in ended.err.splitlines() if line.startswith("import time:")}
    assert "llmbatch_worker.engine" in imported
    unwanted = ("rich", "typer", "click", "llmbatch_worker.planning", "llmbatch_worker.finalizing", "llmbatch_cli")
    assert [name for name in imported if name.startswith(unwanted)] == []


async def test_a_shard_number_that_the_plan_does_not_have_is_an_error(bench: PodBench) -> None:
    bench.planned(items=texts(1))
    bench.env["JOB_COMPLETION_INDEX"] = "1"
    ended = await bench.run("shard")
    assert ended.code == 2, str(ended)
    assert "JOB_COMPLETION_INDEX is '1'" in ended.err


async def test_a_pod_that_was_killed_is_continued_and_repeats_little(bench: PodBench, sim: Simulator) -> None:
    bench.planned(items=texts(300), concurrency=8, shardSize=300)
    async with bench.started("shard") as process:
        await until(lambda: sim.stats.answered_ok >= 50)
        bench.server.command(Command.PAUSE)  # makes it write
        await until(lambda: len(bench.records()) > 0)
        written = sim.stats.answered_ok
        bench.server.command(Command.RUN)
        await until(lambda: sim.stats.answered_ok >= written + 20)
        process.signal(signal.SIGKILL)
        await process.ended()
    kept = len(bench.records())
    assert 50 <= kept < 300
    sent = sim.stats.requests
    again = await bench.run("shard", pod="pod-1")
    assert again.code == 0, str(again)
    assert sim.stats.requests == sent + 300 - kept
    assert sorted(r["index"] for r in bench.records()) == list(range(300))
    progress = bench.words.progress
    assert progress is not None
    assert progress.attempt == 2
    assert sent - kept <= progress.resent <= 300 - kept
    assert f"shard 0: 300 items, {kept} done before" in again.err


async def test_a_failure_on_which_the_batch_stops_ends_the_pod_and_is_told(bench: PodBench, sim: Simulator) -> None:
    sim.update(fail={"auth": 1.0})
    bench.planned(items=texts(50), concurrency=1)
    ended = await bench.run("shard")
    assert ended.code == 4, str(ended)
    assert bench.words.stop is not None
    assert bench.words.stop.category is Category.AUTH
    assert bench.words.progress is not None
    assert bench.server.reports[-1].stop == bench.words.stop


async def test_a_pod_that_is_told_to_stop_ends_and_blames_nobody(bench: PodBench, sim: Simulator) -> None:
    bench.planned(items=texts(500), concurrency=4)
    async with bench.started("shard") as process:
        await until(lambda: sim.stats.answered_ok >= 10)
        bench.server.command(Command.STOP)
        ended = await process.ended()
    assert ended.code == 4, str(ended)
    assert (bench.words.stop, bench.words.error) == (None, None)
    assert len(bench.records()) == sim.stats.answered_ok


# Finalize


async def test_finalize_writes_the_outputs_and_says_what_came_of_it(bench: PodBench) -> None:
    bench.planned(items=[*texts(3), {"text": "[[simulate: bad_request]]"}], output={"format": "csv"})
    await bench.run("shard")
    ended = await bench.run("finalize")
    assert ended.code == 0, str(ended)
    assert bench.server.names("output") == ["errors.jsonl", "report.json", "results.csv", "summary.json"]
    final = bench.words.final
    assert final is not None
    assert (final.items, final.succeeded, final.failed, final.cancelled) == (4, 3, 1, 0)
    assert (final.results_name, final.resent) == ("results.csv", 0)
    assert [(e.category, e.count, e.sample.item_id if e.sample else "") for e in final.errors] == [
        (Category.INVALID_REQUEST, 1, "3")
    ]
    assert final.usage.total > 0
    assert set(final.latency_ms) == {"p50", "p95", "p99"}
    outputs = bench.server.objects["output/results.csv"] + bench.server.objects["output/errors.jsonl"]
    assert final.output_bytes == len(outputs)

    bench.server.requests.clear()
    again = await bench.run("finalize", "--stop", CANCELLED, pod="pod-1")
    assert again.code == 0, str(again)
    assert bench.words.final == final
    assert bench.written() == []


@pytest.mark.parametrize(
    ("stop", "phase", "category"),
    [
        pytest.param(CANCELLED, "Cancelled", "cancelled", id="cancelled"),
        pytest.param(LATE, "Failed", "deadline", id="deadline"),
    ],
)
async def test_a_batch_that_ended_before_it_was_planned_has_outputs_too(
    bench: PodBench, stop: str, phase: str, category: str
) -> None:
    bench.batch(items=texts(3))
    ended = await bench.run("finalize", "--stop", stop)
    assert ended.code == 0, str(ended)
    final = bench.words.final
    assert final is not None
    assert (final.items, final.succeeded, final.failed, final.cancelled) == (3, 0, 0, 3)
    assert f"finalized: {phase}" in ended.err
    assert [r["error"]["category"] for r in bench.lines("errors.jsonl")] == [category] * 3


# Run


@pytest.mark.parametrize("items", [0, 1, 7])
async def test_a_small_batch_runs_in_one_pod(bench: PodBench, sim: Simulator, items: int) -> None:
    bench.batch(items=texts(items), shardSize=3)
    ended = await bench.run("run")
    assert ended.code == 0, str(ended)
    words = bench.words
    assert words.stage is Stage.RUN
    assert words.plan is not None
    assert words.plan.items == items
    assert words.final is not None
    assert (words.final.items, words.final.succeeded) == (items, items)
    assert [r["index"] for r in bench.lines("results.jsonl")] == list(range(items))
    assert sim.stats.requests == items

    again = await bench.run("run", pod="pod-1")
    assert again.code == 0, str(again)
    assert bench.words.final == words.final
    assert sim.stats.requests == items


async def test_no_items_are_planned_and_finalized_stage_by_stage(bench: PodBench) -> None:
    bench.batch(items=[], output={"format": "csv"})
    for stage in ("plan", "finalize"):
        ended = await bench.run(stage)
        assert ended.code == 0, str(ended)
    assert bench.words.final is not None
    assert bench.words.final.items == 0
    assert bench.server.objects["output/errors.jsonl"] == b""


async def test_of_a_small_batch_that_stops_a_finalize_pod_writes_the_outputs(bench: PodBench, sim: Simulator) -> None:
    sim.update(fail={"auth": 1.0})
    bench.batch(items=texts(5), concurrency=1)
    ended = await bench.run("run")
    assert ended.code == 4, str(ended)
    words = bench.words
    assert words.plan is not None
    assert words.final is None
    assert words.stop is not None
    finalized = await bench.run("finalize", "--stop", words.stop.dump_json().decode())
    assert finalized.code == 0, str(finalized)
    assert bench.words.final is not None
    assert bench.words.final.cancelled == 5


# The coordinator


async def test_a_pod_whose_coordinator_is_away_at_its_start_waits_for_it(bench: PodBench, sim: Simulator) -> None:
    bench.batch(items=texts(3))
    bench.server.trouble(Fault.UNAVAILABLE)
    async with bench.started("run") as process:
        await until(lambda: len(bench.server.requests) >= 3)
        bench.server.heal()
        ended = await process.ended()
    assert ended.code == 0, str(ended)
    assert ended.err.count("waiting: the coordinator is in trouble") == 1
    assert "waits no longer, after" in ended.err


async def test_while_the_store_is_full_nothing_is_lost_and_little_is_sent(bench: PodBench, sim: Simulator) -> None:
    bench.batch(items=texts(200), concurrency=4)
    async with bench.started("run") as process:
        await until(lambda: sim.stats.answered_ok >= 20)
        bench.server.trouble(Fault.FULL, method="PUT")
        refused = len(bench.written())
        await until(lambda: len(bench.written()) >= refused + 3)
        bench.server.heal()
        ended = await process.ended()
    assert ended.code == 0, str(ended)
    assert sim.stats.requests == 200
    assert [r["index"] for r in bench.lines("results.jsonl")] == list(range(200))
    assert "waiting: the store is full: batch x uses 2 GiB" in ended.err


async def test_reports_that_get_lost_hold_nothing_up(bench: PodBench, sim: Simulator) -> None:
    bench.batch(items=texts(300), concurrency=4)
    async with bench.started("run") as process:
        await until(lambda: sim.stats.answered_ok >= 10)
        bench.server.trouble(Fault.DROP_BEFORE, path="/v1/report")
        ended = await process.ended()
    assert ended.code == 0, str(ended)
    assert "reports do not get through, the work goes on" in ended.err
    assert sim.stats.requests == 300


async def test_a_pod_whose_batch_was_deleted_ends_at_once(bench: PodBench, sim: Simulator) -> None:
    bench.batch(items=[{"text": "[[simulate: hang]]"}] * 20, concurrency=4)
    async with bench.started("run") as process:
        await until(lambda: sim.stats.in_flight == 4)
        bench.server.trouble(Fault.GONE)
        started = asyncio.get_running_loop().time()
        ended = await process.ended()
        took_s = asyncio.get_running_loop().time() - started
    assert ended.code == 130, str(ended)
    assert took_s < 4
    assert "Traceback" not in ended.err
    assert sim.stats.requests == 4
