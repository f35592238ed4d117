"""A real run sends only spans, metrics and attributes that are listed, and so stand in docs/telemetry.md."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.local_run import Bench, Ended
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_telemetry import names
from llmbatch_telemetry.names import METRICS, Kind, SpanName
from llmbatch_telemetry.shapes import RESOURCE_ATTRIBUTES, SPANS, SpanShape
from otlp_decoding import ReceivedPoint, ReceivedSpan
from otlp_receiver import OtlpReceiver

_OF_OPENTELEMETRY = {"telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version"}
_METRICS = {metric.name: metric for metric in METRICS}
_KINDS = {Kind.COUNTER: "sum", Kind.GAUGE: "gauge", Kind.HISTOGRAM: "histogram"}


@dataclass(frozen=True)
class Sent:
    """All that a run has sent."""

    spans: list[ReceivedSpan]
    points: list[ReceivedPoint]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Sent:
    with OtlpReceiver() as receiver:
        ended = asyncio.run(_run(tmp_path_factory.mktemp("run"), receiver))
        assert ended.code == 3, str(ended)
        assert receiver.spans_named(SpanName.BATCH), "the run has sent no trace"
        return Sent(list(receiver.spans), list(receiver.points))


async def _run(folder: Path, receiver: OtlpReceiver) -> Ended:
    settings = SimulatorSettings.parse({"fail": {"server_error": 0.2, "refusal": 0.1}, "seed": 7})
    async with Simulator(settings) as sim:
        bench = Bench(folder, sim.url, receiver.environment(OTEL_METRIC_EXPORT_INTERVAL="200"))
        items = [{"text": f"word {number}"} for number in range(60)]
        bench.batch(items=items, telemetry={"sampledItems": 10, "captureContent": True})
        return await bench.run("--output", "json")


def shape_of(span: ReceivedSpan) -> SpanShape:
    """What is said of spans of this name; items are named by operation and model."""
    named = {shape.name: shape for shape in SPANS}
    (of_items,) = [shape for name, shape in named.items() if name not in set(SpanName)]
    is_item = (
        span.name == f"{span.attributes.get(names.GEN_AI_OPERATION)} {span.attributes.get(names.GEN_AI_REQUEST_MODEL)}"
    )
    return of_items if is_item else named[span.name]


def test_spans_have_the_attributes_that_are_listed_for_them_and_no_other(sent: Sent) -> None:
    seen: dict[str, set[str]] = {}
    for span in sent.spans:
        seen.setdefault(shape_of(span).name, set()).update(span.attributes)
    listed = {shape.name: set(shape.attributes) for shape in SPANS}
    assert {name: keys - listed[name] for name, keys in seen.items() if keys - listed[name]} == {}
    assert seen.keys() >= {"batch", "plan", "shard", "finalize", "POST", "{operation} {model}"}


def test_points_are_of_listed_metrics_with_their_units_kinds_and_attributes(sent: Sent) -> None:
    for point in sent.points:
        metric = _METRICS[point.name]
        assert (point.unit, point.kind) == (metric.unit, _KINDS[metric.kind])
        assert set(point.attributes) <= set(metric.attributes), point.name


def test_a_run_sends_every_metric_of_batches_and_workers_that_it_has(sent: Sent) -> None:
    came = {point.name for point in sent.points}
    wanted = {m.name for m in METRICS if m.name.startswith(("gen_ai.", "http.", "llmbatch.worker.", "llmbatch.store."))}
    # Without a coordinator there is nobody to report to; without limits there is no grant.
    assert wanted - came <= {names.REPORT_DURATION.name, names.WORKER_GRANT.name}
    assert {names.BATCH_ITEMS.name, names.BATCH_ATTEMPTS.name, names.BATCH_TOKENS.name} <= came


def test_resources_say_what_is_listed(sent: Sent) -> None:
    resources: list[Mapping[str, Any]] = [s.resource for s in sent.spans] + [p.resource for p in sent.points]
    assert {key for resource in resources for key in resource} <= {*RESOURCE_ATTRIBUTES, *_OF_OPENTELEMETRY}
    assert all(resource[names.SERVICE_NAME] == "llmbatch" for resource in resources)
