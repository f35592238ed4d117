"""What is told arrives at a collector as it was, by both protocols, with the standard variables."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmbatch_operator.coordinator.certificates import make_authority, make_server_certificate
from llmbatch_telemetry import names
from llmbatch_telemetry.spans import Link, SpanEvent
from llmbatch_telemetry.starting import start_telemetry
from otlp_receiver import Behaviour, OtlpReceiver
from telemetry.telemetry_builders import ROOT, TRACE, span, telemetry

PROTOCOLS = ("http/protobuf", "grpc")
ON_ITS_OWN = {"OTEL_METRIC_EXPORT_INTERVAL": "100"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_span_arrives_as_it_was(protocol: str) -> None:
    told = span(
        name="chat gpt-4.1-mini",
        attributes={"text": "ä\u2028", "number": 3, "part": 0.5, "is": True, "words": ("a", "b")},
        is_client=True,
        error="rate_limited",
        events=(SpanEvent("retry", 1_800_000_001.0, {"llmbatch.attempt": 2}),),
        links=(Link("f" * 32, "e" * 16),),
    )
    with OtlpReceiver() as receiver:
        with telemetry(receiver.environment(protocol), k8s_pod_name="pod-1") as started:
            assert started.has_spans
            started.span(told)
        [came] = receiver.spans
    assert (came.name, came.trace_id, came.span_id, came.parent_id) == (told.name, TRACE, told.span_id, ROOT)
    assert (came.kind, came.error, came.attributes) == ("client", "rate_limited", told.attributes)
    assert (came.start, came.end) == (1_800_000_000.25, 1_800_000_001.75)
    assert [(event.name, event.at, event.attributes) for event in came.events] == [
        ("retry", 1_800_000_001.0, {"llmbatch.attempt": 2})
    ]
    assert came.links == (("f" * 32, "e" * 16),)
    assert came.scope[0] == "llmbatch"
    assert came.resource["service.name"] == "llmbatch-worker"
    assert came.resource["k8s.pod.name"] == "pod-1"


def test_what_is_for_spans_alone_makes_no_other_series() -> None:
    with OtlpReceiver() as receiver:
        environment = receiver.environment(OTEL_RESOURCE_ATTRIBUTES="team=search")
        pod = {"k8s.pod.name": "operator-1"}
        started = start_telemetry("llmbatch-operator", {}, for_spans=pod, environment=environment)
        started.span(span())
        started.meters.add(names.WORKER_ITEMS, 1, "succeeded", "")
        started.close(5)
        assert receiver.spans[0].resource.items() >= {**pod, "team": "search"}.items()
        assert "k8s.pod.name" not in receiver.points[0].resource
        assert receiver.points[0].resource["team"] == "search"


def test_a_span_without_parent_and_error_has_none() -> None:
    with OtlpReceiver() as receiver:
        with telemetry(receiver.environment()) as started:
            started.span(span(parent_id=None))
        [came] = receiver.spans
    assert (came.parent_id, came.error, came.kind) == (None, None, "internal")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_metrics_arrive_as_they_were(protocol: str) -> None:
    with OtlpReceiver() as receiver:
        with telemetry(receiver.environment(protocol)) as started:
            meters = started.meters
            meters.add(names.WORKER_ITEMS, 2, "failed", "timeout")
            meters.add(names.WORKER_ITEMS, 1, "succeeded", "")
            meters.record(names.LIMIT_WAIT, 0.3, "api.openai.com", "443")
            meters.record(names.LIMIT_WAIT, 30, "api.openai.com", "443")
            meters.observe(lambda: [meters.point(names.WORKER_IN_FLIGHT, 7)])
            meters.observe(lambda: [meters.point(names.BATCH_COST, 0.125, "default", "triage", "USD")])
        items = receiver.last("llmbatch.worker.items", llmbatch_outcome="failed")
        assert items is not None
        assert (items.kind, items.is_monotonic, items.is_delta, items.value) == ("sum", True, False, 2)
        assert items.attributes == {"llmbatch.outcome": "failed", "llmbatch.category": "timeout"}
        assert isinstance(items.value, int)
        assert receiver.total("llmbatch.worker.items") == 3
        succeeded = receiver.last("llmbatch.worker.items", llmbatch_outcome="succeeded")
        assert succeeded is not None
        assert "llmbatch.category" not in succeeded.attributes
        waits = receiver.last("llmbatch.worker.limit.wait")
        assert waits is not None
        assert (waits.count, waits.sum, waits.unit, waits.bounds) == (2, 30.3, "s", names.LIMIT_WAIT.bounds)
        assert waits.counts == (0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1)
        in_flight = receiver.last("llmbatch.worker.in_flight")
        assert in_flight is not None
        assert (in_flight.kind, in_flight.value) == ("gauge", 7)
        cost = receiver.last("llmbatch.batch.cost")
        assert cost is not None
        assert cost.value == 0.125


def test_metrics_are_sent_at_the_interval() -> None:
    with OtlpReceiver() as receiver, telemetry(receiver.environment(**ON_ITS_OWN)) as started:
        started.meters.add(names.WORKER_ITEMS, 1, "succeeded", "")
        receiver.wait_until("an item", lambda: receiver.total("llmbatch.worker.items") == 1)
        started.meters.add(names.WORKER_ITEMS, 1, "succeeded", "")
        receiver.wait_until("another", lambda: receiver.total("llmbatch.worker.items") == 2)


def test_a_flush_sends_all_spans_so_far() -> None:
    with OtlpReceiver() as receiver, telemetry(receiver.environment()) as started:
        for number in range(1, 1301):
            started.span(span(number))
        started.flush(10)
        assert [came.span_id for came in receiver.spans] == [f"{number:016x}" for number in range(1, 1301)]


@pytest.mark.parametrize("answer", [b"", b"x" * 1000])
def test_a_connection_is_used_again(answer: bytes) -> None:
    more = {"OTEL_METRICS_EXPORTER": "none"}
    with OtlpReceiver(answer=answer) as receiver:
        with telemetry(receiver.environment(**more)) as started:
            for number in range(1, 11):
                started.span(span(number))
                started.flush(5)
        assert (len(receiver.requests), receiver.connections) == (10, 1)


def test_spans_are_sent_without_a_flush_too() -> None:
    with OtlpReceiver() as receiver, telemetry(receiver.environment(OTEL_BSP_SCHEDULE_DELAY="50")) as started:
        started.span(span())
        receiver.wait_until("the span", lambda: receiver.spans)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_headers_and_compression_go_along(protocol: str) -> None:
    more = {"OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=a%20b, x-tenant=t", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}
    with OtlpReceiver() as receiver:
        with telemetry(receiver.environment(protocol, **more)) as started:
            for number in range(1, 101):
                started.span(span(number))
        assert len(receiver.spans) == 100
        traces = [request for request in receiver.requests if request.path == "/v1/traces"]
        assert {(request.headers["api-key"], request.headers["x-tenant"]) for request in receiver.requests} == {
            ("a b", "t")
        }
        if protocol != "grpc":
            assert traces[0].headers["content-encoding"] == "gzip"
            assert traces[0].size < 2000


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tls_with_an_authority_of_ones_own(protocol: str, tmp_path: Path) -> None:
    with _tls(tmp_path) as receiver:
        trusted = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem")}
        with telemetry(receiver.environment(protocol, **trusted)) as started:
            started.span(span(1))
            started.meters.add(names.WORKER_ITEMS, 1, "succeeded", "")
        assert len(receiver.spans) == 1
        assert receiver.total("llmbatch.worker.items") == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_collector_that_is_not_trusted_gets_nothing(protocol: str, tmp_path: Path) -> None:
    with _tls(tmp_path) as receiver:
        stranger = tmp_path / "other.pem"
        stranger.write_bytes(make_authority(datetime.now(UTC)).certificate_pem)
        more = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(stranger), "OTEL_EXPORTER_OTLP_TIMEOUT": "500"}
        with telemetry(receiver.environment(protocol, **more), close_s=2) as started:
            started.span(span(1))
        assert receiver.requests == []


def test_signals_can_go_to_different_places() -> None:
    with OtlpReceiver() as for_traces, OtlpReceiver() as for_metrics:
        environment = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{for_traces.endpoint}/v1/traces",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": for_metrics.grpc_endpoint,
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc",
        }
        with telemetry(environment) as started:
            started.span(span())
            started.meters.add(names.WORKER_ITEMS, 1, "succeeded", "")
        assert [request.path for request in for_traces.requests] == ["/v1/traces"]
        assert [request.path for request in for_metrics.requests] == ["/v1/metrics"]


def test_one_bad_span_does_not_cost_the_others() -> None:
    with OtlpReceiver() as receiver:
        with telemetry(receiver.environment()) as started:
            started.span(span(1, trace_id="no id"))
            started.span(span(2, name="half \ud83d", error="half \ud83d", attributes={"half": "\ud83d", "whole": 1}))
            started.span(span(3))
        assert [came.span_id[-1] for came in receiver.spans] == ["2", "3"]
        assert receiver.spans[0].name == "half ?"
        assert receiver.spans[0].attributes == {"whole": 1}
        assert receiver.total("llmbatch.telemetry.dropped") == 1


def test_more_points_than_a_request_holds_all_arrive() -> None:
    with OtlpReceiver() as receiver:
        with telemetry(receiver.environment()) as started:
            for number in range(4500):
                started.meters.add(names.WORKER_ATTEMPTS, 1, "succeeded", str(number))
        assert receiver.total("llmbatch.worker.attempts") == 4500
        assert len(receiver.requests) == 3


def _tls(folder: Path) -> OtlpReceiver:
    authority = make_authority(datetime.now(UTC))
    server = make_server_certificate(authority, ["localhost"], datetime.now(UTC))
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    (folder / "tls.crt").write_bytes(server.certificate_pem)
    (folder / "tls.key").write_bytes(server.key_pem)
    return OtlpReceiver(host="localhost", tls=(folder / "tls.crt", folder / "tls.key"))


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_spans_with_long_prompts_come_in_requests_that_collectors_take(protocol: str) -> None:
    words = {"gen_ai.input.messages": "é" * 8192, "gen_ai.output.messages": "é" * 8192}
    with OtlpReceiver() as receiver:
        with telemetry(receiver.environment(protocol)) as started:
            for number in range(1, 301):
                started.span(span(number, attributes=words))
        assert len(receiver.spans) == 300
        assert max(request.size for request in receiver.requests) < 4 << 20


def test_spans_that_wait_are_bounded_by_what_they_hold() -> None:
    with OtlpReceiver(behaviour=Behaviour.HANG) as receiver, telemetry(receiver.environment(), close_s=0.2) as started:
        for number in range(1, 101):
            started.span(span(number, attributes={"gen_ai.input.messages": "x" * 500_000}))
        [lost] = [p.value for p in started.meters.observed() if p.metric is names.DROPPED]
        assert 60 <= float(str(lost)) <= 70
