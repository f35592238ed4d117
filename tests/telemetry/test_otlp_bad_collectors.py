"""A collector that is slow, dead or lies costs telemetry, and nothing else: no exception, no wait, no memory."""

import logging
import threading
import time
from functools import partial

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from llmbatch_telemetry import names
from llmbatch_telemetry.exporting.health import Health
from llmbatch_telemetry.settings import Protocol, Signal
from otlp_receiver import Behaviour, OtlpReceiver
from telemetry.telemetry_builders import closed_port, span, telemetry

BAD = [behaviour for behaviour in Behaviour if behaviour is not Behaviour.TAKE]
PROTOCOLS = ("http/protobuf", "grpc")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("behaviour", BAD)
def test_the_end_is_bounded_whatever_the_collector_does(protocol: str, behaviour: Behaviour) -> None:
    with OtlpReceiver(behaviour=behaviour) as receiver:
        with telemetry(receiver.environment(protocol), close_s=1) as started:
            for number in range(1, 1001):
                started.span(span(number))
            started.meters.add(names.WORKER_ITEMS, 1, "succeeded", "")
            before = time.monotonic()
        assert time.monotonic() - before < 2
        assert receiver.spans == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_end_is_bounded_when_nobody_listens(protocol: str) -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{closed_port()}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
    }
    with telemetry(environment, close_s=1) as started:
        started.span(span())
        before = time.monotonic()
    assert time.monotonic() - before < 2


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=%20secret-value"}, id="a header that requests quotes"),
        pytest.param({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://{place}/v1/traces?key=secret-value"}, id="a query"),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:secret-value@{place}"},
            id="a password, by gRPC",
        ),
    ],
)
def test_the_reason_of_a_failure_has_no_secrets(more: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    place = f"127.0.0.1:{closed_port()}"
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{place}", "OTEL_METRICS_EXPORTER": "none"}
    environment["OTEL_EXPORTER_OTLP_TIMEOUT"] = "2500"
    environment |= {name: value.format(place=place) for name, value in more.items()}
    with telemetry(environment, close_s=1) as started:
        started.span(span())
        started.flush(5)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("llmbatch")]
    assert "[secret]" in next(line for line in lines if place in line)
    assert not any("secret-value" in line for line in lines)


def test_a_flush_waits_no_longer_than_it_is_told_to() -> None:
    with OtlpReceiver(behaviour=Behaviour.HANG) as receiver, telemetry(receiver.environment(), close_s=0.2) as started:
        started.span(span())
        before = time.monotonic()
        started.flush(0.3)
        assert 0.25 < time.monotonic() - before < 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_collector_that_failed_is_not_waited_for_again(protocol: str) -> None:
    with OtlpReceiver(behaviour=Behaviour.HANG) as receiver:
        environment = receiver.environment(protocol, OTEL_EXPORTER_OTLP_TIMEOUT="300")
        with telemetry(environment, close_s=0.2) as started:
            started.span(span(1))
            started.flush(5)
            started.span(span(2))
            before = time.monotonic()
            for _ in range(100):
                started.flush(5)
            assert time.monotonic() - before < 0.3


def test_a_collector_that_comes_back_gets_what_comes_then() -> None:
    with OtlpReceiver(behaviour=Behaviour.ERROR) as receiver:
        with telemetry(receiver.environment(OTEL_BSP_SCHEDULE_DELAY="50")) as started:
            started.span(span(1))
            started.flush(5)
            receiver.behaviour = Behaviour.TAKE
            started.span(span(2))
            receiver.wait_until("the second span", lambda: receiver.spans)
        assert [came.span_id[-1] for came in receiver.spans] == ["2"]
        assert receiver.total("llmbatch.telemetry.dropped") == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_collector_that_is_busy_is_asked_again(protocol: str) -> None:
    more = {"OTEL_METRICS_EXPORTER": "none"}
    with OtlpReceiver(behaviour=Behaviour.ERROR, status=503) as receiver:
        with telemetry(receiver.environment(protocol, **more)) as started:
            started.span(span())
            threading.Timer(0.2, setattr, (receiver, "behaviour", Behaviour.TAKE)).start()
            started.flush(10)
            receiver.wait_until("the span", lambda: receiver.spans)
        assert len(receiver.spans) == 1


def test_a_collector_that_has_moved_takes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with (
        OtlpReceiver(behaviour=Behaviour.ERROR, status=301) as receiver,
        telemetry(receiver.environment(OTEL_METRICS_EXPORTER="none")) as started,
    ):
        started.span(span())
    assert "301" in caplog.text
    assert "telemetry: 1 spans were lost" in caplog.text


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_a_collector_says_it_has_not_taken_is_counted_and_told_of_once(
    protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    said = ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
    with OtlpReceiver(answer=ExportTraceServiceResponse(partial_success=said).SerializeToString()) as receiver:
        with telemetry(receiver.environment(protocol)) as started:
            for number in range(1, 11):
                started.span(span(number))
                if number % 5 == 0:
                    started.flush(5)
        assert receiver.total("llmbatch.telemetry.dropped") == 4
        assert len([request for request in receiver.requests if request.path == "/v1/traces"]) == 2
    lines = [line for line in caplog.messages if "too old" in line]
    assert len(lines) == 2, lines
    assert lines[0].startswith("telemetry: of the spans, http://127.0.0.1:")
    assert lines[0].endswith("has not taken 2: too old")
    assert lines[1].startswith("telemetry: of the metrics, ")


@pytest.mark.parametrize("rejected", [-1, 2**62])
def test_a_collector_that_lies_about_what_it_took_makes_no_nonsense(rejected: int) -> None:
    said = ExportTracePartialSuccess(rejected_spans=rejected, error_message="\ufffd" * 10_000)
    with OtlpReceiver(answer=ExportTraceServiceResponse(partial_success=said).SerializeToString()) as receiver:
        with telemetry(receiver.environment()) as started:
            started.span(span())
        assert receiver.total("llmbatch.telemetry.dropped") in (0, 1)


def test_a_full_queue_drops_and_counts() -> None:
    more = {"OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"}
    with OtlpReceiver(behaviour=Behaviour.HANG) as receiver:
        with telemetry(receiver.environment(**more)) as started:
            for number in range(1, 11):
                started.span(span(number))
            receiver.wait_until("the first request, which hangs", lambda: receiver.requests)
            for number in range(5000):
                started.span(span(number + 11))
            receiver.behaviour = Behaviour.TAKE
            receiver.release()
        came, lost = len(receiver.spans), receiver.total("llmbatch.telemetry.dropped")
    assert 100 <= came <= 120
    assert came + lost == 5010


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_hangs_until_the_end_counts_as_lost(protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    with OtlpReceiver(behaviour=Behaviour.HANG) as receiver:
        with telemetry(receiver.environment(protocol), close_s=0.4) as started:
            for number in range(1, 4):
                started.span(span(number))
            started.flush(0.2)
        receiver.release()
        for thread in set(threading.enumerate()) - before:
            if thread.name in ("llmbatch-spans", "llmbatch-metrics"):
                thread.join(15)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("llmbatch")]
    assert [line.partition(" to http")[0] for line in lines] == [
        "telemetry: spans do not get",
        "telemetry: 3 spans were lost",
        "telemetry: metrics do not get",
    ]
    assert all(line.endswith(": no answer until the end") for line in (lines[0], lines[2]))


def test_queuing_does_not_wait_for_the_collector() -> None:
    with OtlpReceiver(behaviour=Behaviour.HANG) as receiver, telemetry(receiver.environment(), close_s=0.2) as started:
        one = span()
        before = time.monotonic()
        for _ in range(50_000):
            started.span(one)
        assert time.monotonic() - before < 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_line_when_it_begins_to_fail_and_one_when_it_works_again(
    protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    more = {"OTEL_BSP_SCHEDULE_DELAY": "20", "OTEL_METRICS_EXPORTER": "none"}
    with (
        OtlpReceiver(behaviour=Behaviour.ERROR) as receiver,
        telemetry(receiver.environment(protocol, **more)) as started,
    ):
        for number in range(1, 6):
            started.span(span(number))
            receiver.wait_until("another attempt", partial(_has_come, receiver, number))
        receiver.behaviour = Behaviour.TAKE
        started.span(span(6))
        receiver.wait_until("the last one", lambda: receiver.spans)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("llmbatch")]
    assert len(lines) == 3, lines
    assert "spans do not get to http://127.0.0.1" in lines[0]
    assert ("500" in lines[0]) or ("INTERNAL" in lines[0])
    assert "taken again" in lines[1]
    assert lines[2] == "telemetry: 5 spans were lost"


def test_a_long_reason_ends_with_a_whole_word(caplog: pytest.LogCaptureFixture) -> None:
    health = Health("spans", Signal("http://collector", Protocol.HTTP))
    health.failed("retrying in a while " * 100)
    reason = caplog.messages[0].partition("http://collector: ")[2]
    assert reason.endswith((" retrying …", " in …", " a …", " while …"))
    assert 290 < len(reason) <= 302


def test_no_thread_is_left(caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    with OtlpReceiver(behaviour=Behaviour.ERROR) as receiver, telemetry(receiver.environment()) as started:
        started.span(span())
    left = [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("llmbatch")]
    assert left == []


def test_an_endpoint_with_a_password_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    endpoint = f"http://user:hunter2@127.0.0.1:{closed_port()}"
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "100"}
    with telemetry(environment, close_s=2) as started:
        started.span(span())
    assert "do not get to http://127.0.0.1" in caplog.text
    assert "hunter2" not in caplog.text


def _has_come(receiver: OtlpReceiver, count: int) -> bool:
    return len(receiver.requests) >= count
