"""What the workers of a local run tell a collector, each of them a process of its own."""

import json
import shutil
from pathlib import Path

from aiohttp import web

from engine.local_run import Bench, texts
from engine.own_endpoint import chat_answer, serving
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_worker.observing.sampling import is_sampled
from otlp_receiver import Behaviour, OtlpReceiver


def _items(failing: int) -> list[dict[str, str]]:
    return [*texts(120), *({"text": f"[[simulate: bad_request]] {n}"} for n in range(failing))]


async def test_several_processes_tell_of_one_trace_and_of_every_failed_item(tmp_path: Path) -> None:
    with OtlpReceiver() as receiver:
        # slow enough that the second process has begun before the first has done all
        async with Simulator(SimulatorSettings.parse({"latency": "500ms"})) as sim:
            bench = Bench(tmp_path, sim.url, env=receiver.environment())
            bench.batch(items=_items(30), shardSize=25, concurrency=8, telemetry={"sampledItems": 20})
            ended = await bench.run("--workers", "2")
    assert ended.code == 3, str(ended)
    trace = json.loads((bench.state / "plan.json").read_text())["trace"]
    shards = receiver.spans_named("shard")
    assert sorted(s.attributes["llmbatch.shard"] for s in shards) == list(range(6))
    assert len({s.span_id for s in shards}) == 6
    assert len({s.resource["service.instance.id"] for s in shards}) == 2
    assert {(s.trace_id, s.parent_id, s.resource["service.name"]) for s in shards} == {
        (trace["traceId"], trace["spanId"], "llmbatch")
    }
    items = [s for s in receiver.spans if "llmbatch.item.id" in s.attributes]
    failed = {str(s.attributes["llmbatch.item.id"]) for s in items if s.error is not None}
    assert failed == {str(record["id"]) for record in bench.errors()}
    assert {s.parent_id for s in items} <= {s.span_id for s in shards}
    kept = {int(s.attributes["llmbatch.item.index"]) for s in items}
    assert kept >= {n for n in range(150) if is_sampled(n, 150, 20)}
    assert receiver.total("llmbatch.worker.items") == 150


async def test_a_collector_that_hangs_does_not_hold_up_a_run(tmp_path: Path) -> None:
    with OtlpReceiver(behaviour=Behaviour.HANG) as receiver:
        async with Simulator(SimulatorSettings.parse({"latency": "5ms"})) as sim:
            bench = Bench(tmp_path, sim.url, env=receiver.environment())
            bench.batch(items=_items(5))
            ended = await bench.run("--workers", "2")
    assert ended.code == 3, str(ended)
    assert ended.seconds < 20
    assert bench.indexes() == list(range(125))


async def test_requests_tell_of_their_span_only_where_there_are_spans(tmp_path: Path) -> None:
    seen: list[str | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("traceparent"))
        return chat_answer()

    with OtlpReceiver() as receiver:
        async with serving(answer) as url:
            bench = Bench(tmp_path, url, env=receiver.environment())
            bench.batch(items=texts(1))
            assert (await bench.run()).code == 0
            shutil.rmtree(bench.output)
            bench.env = receiver.environment(OTEL_TRACES_EXPORTER="none")
            assert (await bench.run()).code == 0
    (attempt,) = receiver.spans_named("POST")
    assert seen == [f"00-{attempt.trace_id}-{attempt.span_id}-01", None]
