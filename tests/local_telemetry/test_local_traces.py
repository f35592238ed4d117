"""The trace of a local run."""

from pathlib import Path

import pytest
from aiohttp import web

from builders import with_field
from engine.local_run import Bench, texts
from engine.own_endpoint import chat_answer, serving
from llmbatch_cli.running.telling import signal_name
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from local_telemetry.telemetry_bench import check_tree, items_of, told_bench

_TRACE_ID, _SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
_CALLER = f"00-{_TRACE_ID}-{_SPAN_ID}-01"
_REFUSED = {"text": "[[simulate: refusal]]"}


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (11, "SIGSEGV"), (40, "signal 40")])
def test_a_worker_may_be_ended_by_any_signal(number: int, name: str) -> None:
    assert signal_name(number) == name


@pytest.mark.parametrize("workers", ["1", "3"])
async def test_a_run_is_one_trace_with_plan_shards_items_attempts_and_finalize(tmp_path: Path, workers: str) -> None:
    async with Simulator(SimulatorSettings.parse({"fail": {"server_error": 0.2}})) as sim:
        with told_bench(tmp_path, sim.url) as (bench, receiver):
            bench.batch(items=[*texts(57), _REFUSED, _REFUSED, _REFUSED], shardSize=10)
            ended = await bench.run("--workers", workers)
            assert (ended.code, ended.err) == (3, ""), str(ended)
            root = check_tree(receiver, bench)
    assert root.parent_id is None
    assert [len(receiver.spans_named(name)) for name in ("plan", "finalize", "shard")] == [1, 1, 6]
    assert len(items_of(receiver)) == 60
    assert len(receiver.spans_named("POST")) == bench.summary()["attempts"] > 60
    assert f"  trace      {bench.summary()['trace_id']}" in ended.out.splitlines()
    assert {record["trace_id"] for record in bench.results() + bench.errors()} == {root.trace_id}
    starts = [span.start for span in receiver.spans]
    assert root.start == min(starts)
    assert root.end == max(span.end for span in receiver.spans)


@pytest.mark.parametrize(
    ("annotation", "variable", "parent"),
    [
        pytest.param(_CALLER, None, _SPAN_ID, id="by the annotation"),
        pytest.param(None, _CALLER, _SPAN_ID, id="by the environment"),
        pytest.param(_CALLER, f"00-{'a' * 32}-{'b' * 16}-01", _SPAN_ID, id="the annotation comes first"),
        pytest.param("nonsense", _CALLER, _SPAN_ID, id="unless it is none"),
        pytest.param(None, "nonsense", None, id="none"),
    ],
)
async def test_a_run_may_be_part_of_the_callers_trace(
    tmp_path: Path, annotation: str | None, variable: str | None, parent: str | None
) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        environment = {} if variable is None else {"TRACEPARENT": variable}
        with told_bench(tmp_path, sim.url, **environment) as (bench, receiver):
            document = bench.batch(items=texts(2), pricing={"inputPerMillion": 1.0})
            if annotation is not None:
                bench.write(with_field(document, "metadata.annotations", {"traceparent": annotation}))
            ended = await bench.run()
            assert ended.code == 0, str(ended)
            root = check_tree(receiver, bench)
    assert root.parent_id == parent
    assert (root.trace_id == _TRACE_ID) == (parent is not None)


async def test_with_a_template_the_end_shows_a_link_to_the_trace(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        template = "http://jaeger/trace/{trace_id}?of={batch}"
        with told_bench(tmp_path, sim.url, LLMBATCH_TRACE_URL=template) as (bench, _receiver):
            bench.batch(items=texts(1))
            ended, again = await bench.run(), await bench.run()
    link = f"http://jaeger/trace/{bench.summary()['trace_id']}?of=triage"
    assert f"  trace      {link}" in ended.out.splitlines()
    assert "this batch is finished" in again.out + again.err
    assert f"  trace      {link}" in again.out.splitlines()


async def test_a_template_that_cannot_be_used_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url, env={"LLMBATCH_TRACE_URL": "http://jaeger/{id}"})
        bench.batch(items=texts(1))
        ended = await bench.run()
        assert sim.stats.requests == 0
    assert (ended.code, (bench.state / "plan.json").exists()) == (2, False)
    assert ended.err.startswith("error: {id} in the link to a trace")


async def test_a_run_that_stops_for_a_failure_says_so_in_its_trace(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        with told_bench(tmp_path, sim.url) as (bench, receiver):
            bench.batch(items=[{"text": "[[simulate: auth]]"}, *texts(3)], concurrency=1)
            assert (await bench.run()).code == 1
    [root] = receiver.spans_named("batch")
    told = {name: root.attributes.get(name) for name in ("llmbatch.batch.phase", "llmbatch.reason", "error.type")}
    assert told == {"llmbatch.batch.phase": "Failed", "llmbatch.reason": "auth", "error.type": "auth"}
    assert root.error == "auth"


@pytest.mark.parametrize("is_on", [True, False])
async def test_each_attempt_at_an_item_sends_its_own_traceparent_if_there_are_spans(
    tmp_path: Path, is_on: bool
) -> None:
    sent: dict[str, list[str | None]] = {}

    async def fail_first(request: web.Request) -> web.Response:
        of_item = sent.setdefault(request.headers["Idempotency-Key"], [])
        of_item.append(request.headers.get("traceparent"))
        return chat_answer() if len(of_item) == 3 else web.Response(status=500)

    async with serving(fail_first) as url:
        with told_bench(tmp_path, url) as (bench, receiver):
            bench.env = bench.env if is_on else {"OTEL_SDK_DISABLED": "true", **bench.env}
            bench.batch(items=texts(4))
            ended = await bench.run()
            assert ended.code == 0, str(ended)
    attempts = [value for of_item in sent.values() for value in of_item]
    assert [len(of_item) for of_item in sent.values()] == [3] * 4
    if not is_on:
        assert set(attempts) == {None}
        assert receiver.requests == []
        assert "trace " not in ended.out
        return
    trace_id = bench.summary()["trace_id"]
    exported = {f"00-{trace_id}-{span.span_id}-01" for span in receiver.spans_named("POST")}
    assert len(set(attempts)) == 12
    assert set(attempts) == exported
