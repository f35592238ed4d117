"""What pods tell a collector: spans with the right parents, and metrics that say what was done."""

import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from engine.local_run import texts, until
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_contract.pods import JOB_VARIABLE, NODE_VARIABLE, POD_UID_VARIABLE
from llmbatch_contract.trace import span_id, trace_of
from llmbatch_telemetry.shapes import SPANS
from llmbatch_worker.pods import telling
from otlp_decoding import ReceivedSpan
from otlp_receiver import Behaviour, OtlpReceiver
from worker.object_server import ObjectServer
from worker.pod_bench import PodBench

PLACE = {POD_UID_VARIABLE: "pod-uid", NODE_VARIABLE: "node-a", JOB_VARIABLE: "triage-run"}
ITEM = "chat test-model"


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings.parse({"latency": "2ms"})) as simulator:
        yield simulator


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def bench(tmp_path: Path, sim: Simulator, receiver: OtlpReceiver) -> Iterator[PodBench]:
    with ObjectServer() as server:
        yield PodBench(tmp_path, server, sim.url, env=PLACE | receiver.environment())


def _by_item(spans: list[ReceivedSpan]) -> dict[str, ReceivedSpan]:
    return {str(s.attributes["llmbatch.item.id"]): s for s in spans if "llmbatch.item.id" in s.attributes}


async def test_each_stage_is_a_span_below_the_batch_with_an_id_that_others_know(
    bench: PodBench, receiver: OtlpReceiver
) -> None:
    bench.batch(items=texts(3))
    for stage, pod in (("plan", "pod-p"), ("shard", "pod-s"), ("finalize", "pod-f")):
        ended = await bench.run(stage, pod=pod)
        assert ended.code == 0, str(ended)
    trace = trace_of("the-uid")
    expected = {
        "plan": span_id("the-uid", "plan", "pod-p"),
        "shard": span_id("the-uid", "shard", "0", "pod-s"),
        "finalize": span_id("the-uid", "finalize", "pod-f"),
    }
    for name, own_id in expected.items():
        (span,) = receiver.spans_named(name)
        assert (span.span_id, span.trace_id, span.parent_id) == (own_id, trace.trace_id, trace.span_id)
        assert span.error is None
        assert span.attributes["llmbatch.items"] == 3
        assert span.end >= span.start


async def test_every_pod_says_who_and_where_it_is(bench: PodBench, receiver: OtlpReceiver) -> None:
    bench.planned(items=texts(2))
    await bench.run("shard", pod="pod-7")
    resources = [*(span.resource for span in receiver.spans), *(point.resource for point in receiver.points)]
    for resource in resources:
        own = {name: value for name, value in resource.items() if not name.startswith("telemetry.sdk")}
        assert own.pop("service.version")
        assert own == {
            "service.name": "llmbatch-worker",
            "service.instance.id": "pod-uid",
            "k8s.namespace.name": "default",
            "k8s.pod.name": "pod-7",
            "k8s.pod.uid": "pod-uid",
            "k8s.node.name": "node-a",
            "k8s.job.name": "triage-run",
            "k8s.container.name": "worker",
            "llmbatch.batch.name": "triage",
            "llmbatch.batch.uid": "the-uid",
            "llmbatch.stage": "shard",
        }
    assert receiver.spans
    assert receiver.points


async def test_every_failed_item_is_a_span_with_its_attempts_below(bench: PodBench, receiver: OtlpReceiver) -> None:
    failing = {
        "bad_request": ("invalid_request", 1),
        "server_error": ("server_error", 3),
        "empty": ("invalid_output", 3),
    }
    items = [*texts(3), *({"text": f"[[simulate: {directive}]]"} for directive in failing)]
    bench.planned(items=items, retry={"maxAttempts": 3, "initialSeconds": 0.01, "maxSeconds": 0.02})
    ended = await bench.run("shard")
    assert ended.code == 0, str(ended)
    spans = _by_item(receiver.spans)
    for number, (category, attempts) in enumerate(failing.values(), 3):
        span = spans[str(number)]
        assert span.name.startswith("chat ")
        assert span.kind == "client"
        assert span.parent_id == span_id("the-uid", "shard", "0", "pod-0")
        assert span.attributes["llmbatch.item.kept_for"] == "failed"
        assert span.attributes["error.type"] == category
        assert span.attributes["llmbatch.attempts"] == attempts
        tried = sorted((s for s in receiver.spans_named("POST") if s.parent_id == span.span_id), key=lambda s: s.start)
        assert [s.attributes["llmbatch.attempt"] for s in tried] == list(range(1, attempts + 1))
        assert {s.attributes["error.type"] for s in tried} == {category}
        assert all(span.start <= s.start and s.end <= span.end + 0.001 for s in tried)
        assert ["llmbatch.retry_after" in s.attributes for s in tried] == [True] * (attempts - 1) + [False]


async def test_exactly_as_many_items_are_sampled_as_asked_for(bench: PodBench, receiver: OtlpReceiver) -> None:
    bench.planned(items=texts(200), telemetry={"sampledItems": 40})
    await bench.run("shard")
    kept = Counter(str(span.attributes["llmbatch.item.kept_for"]) for span in _by_item(receiver.spans).values())
    assert kept == {"sampled": 40, "slow": 4}
    (shard,) = receiver.spans_named("shard")
    assert (shard.attributes["llmbatch.items.succeeded"], shard.attributes["llmbatch.attempts"]) == (200, 200)


async def test_metrics_of_a_pod_say_what_it_did(bench: PodBench, receiver: OtlpReceiver, sim: Simulator) -> None:
    items = [*texts(20), *({"text": f"[[simulate: bad_request]] {n}"} for n in range(5))]
    bench.planned(items=[*items, {"text": "[[simulate: server_error x2]]"}])
    await bench.run("shard")
    assert receiver.total("llmbatch.worker.items") == 26
    assert receiver.total("llmbatch.worker.items", {"llmbatch.category": "invalid_request"}) == 5
    assert receiver.total("llmbatch.worker.attempts") == sim.stats.requests == 28
    assert receiver.total("http.client.request.duration") == 28
    assert receiver.total("gen_ai.client.operation.duration") == 26
    assert receiver.total("llmbatch.worker.limit.wait") == 28
    progress = bench.words.progress
    assert progress is not None
    tokens = [p for p in receiver.points if p.has({"gen_ai.token.type": "output"})]
    assert (tokens[-1].count, tokens[-1].sum) == (21, progress.usage.output)
    for name in ("llmbatch.store.operation.duration", "llmbatch.worker.report.duration", "llmbatch.worker.in_flight"):
        assert receiver.last(name) is not None, name


async def test_spans_carry_what_their_shapes_say_and_nothing_else(bench: PodBench, receiver: OtlpReceiver) -> None:
    bench.batch(items=[*texts(2), {"text": "[[simulate: server_error]]"}], telemetry={"captureContent": True})
    ended = await bench.run("run")
    assert ended.code == 0, str(ended)
    shapes = {shape.name: set(shape.attributes) for shape in SPANS}
    kinds = set()
    for span in receiver.spans:
        kind = "{operation} {model}" if "llmbatch.item.id" in span.attributes else span.name
        assert set(span.attributes) <= shapes[kind], kind
        kinds.add(kind)
    assert kinds == {"plan", "shard", "finalize", "{operation} {model}", "POST"}


async def test_requests_carry_the_span_of_their_attempt(
    bench: PodBench, receiver: OtlpReceiver, sim: Simulator
) -> None:
    bench.planned(items=texts(1))
    await bench.run("shard")
    (attempt,) = receiver.spans_named("POST")
    (item,) = _by_item(receiver.spans).values()
    assert attempt.parent_id == item.span_id
    assert attempt.attributes["http.response.status_code"] == 200
    assert str(attempt.attributes["url.full"]).endswith("/v1/chat/completions")


@pytest.mark.parametrize("stage", ["shard", "run"])
async def test_a_shard_that_cannot_even_begin_is_told_of(stage: str, bench: PodBench, receiver: OtlpReceiver) -> None:
    config = bench.batch(items=texts(1))
    if stage == "run":  # it plans for itself, and then has no API key
        endpoint = config.job.batch.spec.endpoint.dump() | {"apiKeySecret": {"name": "missing"}}
        bench.batch(items=texts(1), endpoint=endpoint)
    assert (await bench.run(stage)).code != 0
    (span,) = receiver.spans_named("shard")
    assert span.error is not None
    assert span.span_id == span_id("the-uid", "shard", "0", "pod-0")


async def test_no_words_of_items_answers_and_errors_leave_the_pod(
    bench: PodBench, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    canary = "CANARY-4711"
    items = [{"text": f"{canary} fine"}, {"text": f"{canary} [[simulate: bad_request]]"}]
    bench.planned(items=[*items, {"other": canary}])
    ended = await bench.run("shard")
    assert ended.code == 0, str(ended)
    assert len(_by_item(receiver.spans)) == 3
    assert canary not in repr([receiver.spans, receiver.points])
    assert canary not in ended.err


async def test_prompts_and_answers_are_in_the_spans_only_if_asked_for(bench: PodBench, receiver: OtlpReceiver) -> None:
    bench.planned(items=[{"text": "tell me " * 5000}], telemetry={"captureContent": True})
    await bench.run("shard")
    (item,) = _by_item(receiver.spans).values()
    for name, role in (("gen_ai.input.messages", "user"), ("gen_ai.output.messages", "assistant")):
        text = str(item.attributes[name])
        assert len(text) <= 8192
        messages = json.loads(text)
        assert messages[-1]["role"] == role
        assert messages[-1]["parts"][0]["type"] == "text"
        assert messages[-1]["parts"][0]["content"]


async def test_a_record_of_a_failed_item_is_not_written_before_its_span_is_sent(
    bench: PodBench, receiver: OtlpReceiver
) -> None:
    bench.env |= {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}
    bench.planned(items=[{"text": "[[simulate: bad_request]]"}, {"text": "[[simulate: hang]]"}], concurrency=2)
    async with bench.started("shard") as pod:
        await until(lambda: bool(bench.records()))
        pod.kill_group()
    assert [s.attributes["error.type"] for s in _by_item(receiver.spans).values()] == ["invalid_request"]


async def test_a_pod_that_is_told_to_end_sends_what_it_has(bench: PodBench, receiver: OtlpReceiver) -> None:
    bench.planned(items=[*texts(10), {"text": "[[simulate: hang]]"}], concurrency=20)
    async with bench.started("shard") as pod:
        await until(lambda: len(bench.records()) == 10)
        pod.signal(signal.SIGTERM)
        ended = await pod.ended(20)
    assert ended.code == 130, str(ended)
    (shard,) = receiver.spans_named("shard")
    assert shard.attributes["error.type"] == "interrupted"
    assert shard.attributes["llmbatch.items.succeeded"] == 10
    assert len(_by_item(receiver.spans)) == 10
    assert receiver.total("llmbatch.worker.items") == 10


async def test_an_item_that_stops_the_batch_has_a_span(bench: PodBench, receiver: OtlpReceiver) -> None:
    bench.planned(items=[{"text": "[[simulate: auth]]"}])
    await bench.run("shard")
    (item,) = _by_item(receiver.spans).values()
    (shard,) = receiver.spans_named("shard")
    assert item.attributes["error.type"] == shard.attributes["error.type"] == "auth"


MISBEHAVING = [Behaviour.HANG, Behaviour.ERROR, Behaviour.GARBAGE, Behaviour.ENDLESS]


@pytest.mark.parametrize("behaviour", MISBEHAVING)
async def test_a_collector_that_misbehaves_changes_nothing(
    bench: PodBench, receiver: OtlpReceiver, behaviour: Behaviour
) -> None:
    receiver.behaviour = behaviour
    await _runs_as_ever(bench)
    assert receiver.requests


async def test_a_collector_that_is_not_there_changes_nothing(bench: PodBench) -> None:
    bench.env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    await _runs_as_ever(bench)


async def _runs_as_ever(bench: PodBench) -> None:
    items = [*texts(300), *({"text": f"[[simulate: bad_request]] {n}"} for n in range(20))]
    bench.planned(items=items)
    ended = await bench.run("shard")
    assert ended.code == 0, str(ended)
    assert "Traceback" not in ended.err
    assert ended.seconds < 10  # 5 s at the most go to a collector that does not answer
    progress = bench.words.progress
    assert progress is not None
    assert (progress.succeeded, progress.failed) == (300, 20)
    assert len(bench.records()) == 320


async def test_without_variables_nothing_of_opentelemetry_is_loaded(bench: PodBench) -> None:
    bench.env = PLACE | {"PYTHONVERBOSE": "1"}
    bench.planned(items=texts(2))
    ended = await bench.run("shard")
    assert ended.code == 0
    assert "import 'llmbatch_worker.engine'" in ended.err
    assert "opentelemetry" not in ended.err


async def test_a_shard_of_failing_items_writes_few_lines(bench: PodBench) -> None:
    kinds = ("bad_request", "content_policy", "context_length", "refusal")
    bench.env = dict(PLACE)
    bench.planned(items=[{"text": f"[[simulate: {kinds[n % 4]}]] {n}"} for n in range(1000)], concurrency=32)
    ended = await bench.run("shard")
    assert ended.code == 0, str(ended)
    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert len(lines) <= 30
    first = [line for line in lines if "item" in line]
    assert {line["category"] for line in first} == {"invalid_request", "content_filter", "context_length", "refusal"}
    own_id = span_id("the-uid", "shard", "0", "pod-0")
    known = {"level": "warning", "shard": 0, "attempts": 1, "span_id": own_id, "trace_id": trace_of("the-uid").trace_id}
    assert all(known.items() <= line.items() for line in first)
    assert {line["status"] for line in first} <= {200, 400}
    last = next(line for line in lines if "done, 0 succeeded, 1000 failed" in line["message"])
    assert sum(count for name, count in last.items() if name.startswith("failed_")) == 1000
    assert "simulate" not in ended.err


def test_the_collectors_certificate_comes_with_the_configuration(bench: PodBench, tmp_path: Path) -> None:
    config = bench.batch(items=texts(1)).model_copy(update={"telemetry_ca": "-----BEGIN CERTIFICATE-----"})
    seen = telling._with_certificate({"A": "b"}, config.telemetry_ca)
    assert Path(seen["OTEL_EXPORTER_OTLP_CERTIFICATE"]).read_text() == "-----BEGIN CERTIFICATE-----"
    assert telling._with_certificate({"A": "b"}, None) == {"A": "b"}
    named = {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/of/the/batch.pem"}
    assert telling._with_certificate(named, config.telemetry_ca) == named


async def test_the_shards_that_a_canary_leaves_unfinished_are_no_errors(
    bench: PodBench, receiver: OtlpReceiver
) -> None:
    bench.planned(items=texts(30), shardSize=10, canary={"items": 3})
    ended = await bench.run("canary", pod="pod-c")
    assert ended.code == 0, str(ended)
    spans = receiver.spans_named("shard")
    assert sorted(span.attributes["llmbatch.shard"] for span in spans) == [0, 1, 2]
    assert [(span.error, span.attributes["llmbatch.attempts"]) for span in spans] == [(None, 1)] * 3
