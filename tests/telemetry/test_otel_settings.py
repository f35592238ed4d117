"""The standard OTEL_* variables mean what the specification says; what makes no sense is said, and switches off."""

import logging
from typing import Any

import pytest

from llmbatch_telemetry.settings import Protocol, Temporality, read_settings, resource_attributes
from llmbatch_telemetry.starting import start_telemetry

HERE = "http://collector:4318"
GENERAL = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize(
    ("variables", "traces", "metrics"),
    [
        pytest.param({}, None, None, id="nothing asks for nothing"),
        pytest.param({GENERAL: HERE}, f"{HERE}/v1/traces", f"{HERE}/v1/metrics", id="an endpoint for both"),
        pytest.param({GENERAL: f"{HERE}/"}, f"{HERE}/v1/traces", f"{HERE}/v1/metrics", id="with a slash"),
        pytest.param({GENERAL: f"{HERE}/otlp"}, f"{HERE}/otlp/v1/traces", f"{HERE}/otlp/v1/metrics", id="with a path"),
        pytest.param(
            {GENERAL: f"{HERE}/otlp/?key=x"},
            f"{HERE}/otlp/v1/traces?key=x",
            f"{HERE}/otlp/v1/metrics?key=x",
            id="a query",
        ),
        pytest.param({GENERAL: " "}, None, None, id="an empty variable is not set"),
        pytest.param({GENERAL: HERE, "OTEL_SDK_DISABLED": "True"}, None, None, id="disabled"),
        pytest.param(
            {GENERAL: HERE, "OTEL_SDK_DISABLED": "false", "OTEL_TRACES_SAMPLER": "always_off"},
            None,
            f"{HERE}/v1/metrics",
            id="a sampler that takes none",
        ),
        pytest.param(
            {GENERAL: HERE, "OTEL_TRACES_SAMPLER": "parentbased_always_on"},
            f"{HERE}/v1/traces",
            f"{HERE}/v1/metrics",
            id="the default sampler",
        ),
        pytest.param({GENERAL: HERE, "OTEL_TRACES_EXPORTER": "none"}, None, f"{HERE}/v1/metrics", id="no traces"),
        pytest.param({GENERAL: HERE, "OTEL_METRICS_EXPORTER": "none"}, f"{HERE}/v1/traces", None, id="no metrics"),
        pytest.param({"OTEL_TRACES_EXPORTER": "otlp"}, "http://localhost:4318/v1/traces", None, id="named, by default"),
        pytest.param(
            {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            None,
            "http://localhost:4317",
            id="named, by gRPC",
        ),
        pytest.param({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{HERE}/x"}, f"{HERE}/x", None, id="one's own, as it is"),
        pytest.param(
            {GENERAL: "collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "collector:4317",
            "collector:4317",
            id="gRPC takes an address without a scheme",
        ),
    ],
)
def test_where_signals_go(variables: dict[str, str], traces: str | None, metrics: str | None) -> None:
    settings = read_settings(variables)
    assert settings.problems == ()
    assert (settings.traces.endpoint if settings.traces else None) == traces
    assert (settings.metrics.endpoint if settings.metrics else None) == metrics


def test_variables_of_a_signal_come_before_general_ones() -> None:
    settings = read_settings(
        {
            GENERAL: HERE,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_HEADERS": "a=1",
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "b=2",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
            "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "500",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
        }
    )
    traces, metrics = settings.traces, settings.metrics
    assert traces is not None
    assert metrics is not None
    assert (traces.protocol, metrics.protocol) == (Protocol.HTTP, Protocol.GRPC)
    assert (traces.headers, metrics.headers) == ({"a": "1"}, {"b": "2"})
    assert (traces.timeout_s, metrics.timeout_s) == (2.5, 0.5)
    assert (traces.certificate, metrics.certificate) == ("/ca.pem", "/ca.pem")
    assert (traces.gzip, metrics.gzip) == (True, False)


def test_a_password_in_an_endpoint_without_sense_is_not_repeated() -> None:
    problems = read_settings({GENERAL: "htp://user:password@collector?key=secret"}).problems
    assert "'htp://collector'" in problems[0]
    assert not any("password" in problem or "secret" in problem for problem in problems)


def test_how_metrics_and_spans_are_sent() -> None:
    settings = read_settings(
        {
            GENERAL: HERE,
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "Delta",
            "OTEL_METRIC_EXPORT_INTERVAL": "15000",
            "OTEL_BSP_SCHEDULE_DELAY": "1000",
            "OTEL_BSP_MAX_QUEUE_SIZE": "100",
        }
    )
    assert (settings.temporality, settings.interval_s) == (Temporality.DELTA, 15)
    assert (settings.queue.delay_s, settings.queue.size, settings.queue.batch) == (1, 100, 100)


@pytest.mark.parametrize(
    ("variable", "value", "off"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "foo", "both"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "both"),
        (GENERAL, "collector:4318", "both"),
        (GENERAL, "http://[", "both"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "both"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "key=sec\nret", "both"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "x", "both"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1", "both"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "both"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "traces"),
        ("OTEL_METRICS_EXPORTER", "prometheus", "metrics"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "nan", "metrics"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "x", "metrics"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "traces"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "9" * 5000, "traces"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon", "traces"),
    ],
)
def test_a_value_without_sense_is_named_and_switches_off(variable: str, value: str, off: str) -> None:
    settings = read_settings({GENERAL: HERE, variable: value})
    assert (settings.traces is None) == (off in ("both", "traces"))
    assert (settings.metrics is None) == (off in ("both", "metrics"))
    for problem in settings.problems:
        assert problem.startswith(f"{variable} is ")
        assert "secret" not in problem
        assert problem.endswith(" are exported")
    assert len(settings.problems) == (2 if off == "both" else 1)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("OTEL_SDK_DISABLED", "1", "which counts as false"),
        ("OTEL_TRACES_SAMPLER", "traceidratio", "it is ignored, see spec.telemetry.sampledItems"),
    ],
)
def test_a_value_that_changes_nothing_is_named(variable: str, value: str, words: str) -> None:
    settings = read_settings({GENERAL: HERE, variable: value})
    (problem,) = settings.problems
    assert problem.startswith(f"{variable} is '{value}', ")
    assert problem.endswith(words)
    assert settings.traces is not None
    assert settings.metrics is not None


def test_headers_are_not_shown() -> None:
    assert "hunter2" not in repr(read_settings({GENERAL: HERE, "OTEL_EXPORTER_OTLP_HEADERS": "key=hunter2"}))


def test_what_a_user_says_of_the_process_comes_first() -> None:
    environment = {"OTEL_RESOURCE_ATTRIBUTES": "team=a%20b,k8s.pod.name=mine", "OTEL_SERVICE_NAME": "triage"}
    attributes, problems = resource_attributes(environment, "llmbatch", {"k8s.pod.name": "pod", "k8s.node.name": ""})
    assert attributes == {"service.name": "triage", "k8s.pod.name": "mine", "team": "a b"}
    assert problems == []


def test_resource_attributes_without_sense_are_ignored() -> None:
    attributes, [problem] = resource_attributes({"OTEL_RESOURCE_ATTRIBUTES": "team"}, "llmbatch", {})
    assert attributes == {"service.name": "llmbatch"}
    assert problem == "OTEL_RESOURCE_ATTRIBUTES is not a list of key=value with commas between; it is ignored"


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"OTEL_EXPORTER_OTLP_PROTOCOL": "foo"}, id="a protocol that is none"),
        pytest.param({"OTEL_EXPORTER_OTLP_CERTIFICATE": "/not/there.pem"}, id="a certificate that is not there"),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/not/there.pem", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            id="a certificate that is not there, by gRPC",
        ),
    ],
)
def test_what_cannot_be_started_is_off_with_a_warning(
    variables: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    kept: dict[str, Any] = {"environment": {GENERAL: HERE, **variables}}
    started = start_telemetry("llmbatch", {}, **kept)
    assert (started.has_spans, started.meters.is_on) == (False, False)
    assert start_telemetry("llmbatch", {}, keep_meters=True, **kept).meters.is_on
    assert caplog.text.count("telemetry: ") >= 1
