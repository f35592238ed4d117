"""A batch on the cluster is one trace in Jaeger, and its metrics are its status, whatever pods die on the way."""

import secrets

import pytest

from e2e.deployed import Batches, Jaeger, SimulatorPod, batch
from e2e.metric_checks import expect_no_steps_back
from e2e.telling import expect_a_whole_trace, expect_telling_logs, expect_the_same_numbers, troubled
from e2e.trace_checks import expect_dead_letters, expect_one_root, expect_parents, told, watched
from llmbatch_telemetry import names
from llmbatch_telemetry.names import SpanName
from otlp_receiver import Behaviour, OtlpReceiver

pytest_plugins = ["cluster_fixture", "e2e.deployed", "e2e.telling"]


@pytest.mark.timeout(240)
def test_a_batch_whose_pods_are_killed_is_one_trace_and_its_metrics_are_its_status(
    batches: Batches, simulator: SimulatorPod, jaeger: Jaeger, received: OtlpReceiver
) -> None:
    simulator.update(latency="500ms")
    name = batches.apply(troubled(simulator, 300))
    batches.wait_items(name, 30)
    seen = batches.running_pods(name)
    killed, taken_away = (pod["metadata"]["name"] for pod in seen[:2])
    batches.kill(killed)
    batches.take_away(taken_away)
    tale = watched(batches, name, *seen)
    expect_a_whole_trace(jaeger, batches, simulator, tale, killed, taken_away)
    expect_the_same_numbers(received, tale)
    expect_no_steps_back(received.points, tale)
    expect_telling_logs(batches, tale)


def test_a_traceparent_makes_the_batch_a_part_of_the_callers_trace_also_by_grpc(
    batches: Batches, simulator: SimulatorPod, jaeger: Jaeger
) -> None:
    by_grpc = {
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": jaeger.otlp_grpc,
    }
    worker = {"env": [{"name": name, "value": value} for name, value in by_grpc.items()]}
    caller = (secrets.token_hex(16), secrets.token_hex(8))
    asked = troubled(simulator, 10, "asked", worker=worker)
    asked["metadata"]["annotations"] = {"traceparent": f"00-{caller[0]}-{caller[1]}-01"}
    tale = watched(batches, batches.apply(asked))
    assert (tale.trace.trace_id, tale.trace.parent_id) == caller
    assert caller[0] in batches.cluster.kubectl("get", "llmb", "asked", "-n", batches.namespace, "-o", "wide")
    assert [letter["trace_id"] for letter in tale.errors] == [caller[0]]
    trace = told(jaeger, batches, tale)
    first = expect_one_root(trace, tale)
    expect_parents(trace)
    expect_dead_letters(trace, tale)
    assert {span[names.POD] for span in trace.named(SpanName.PLAN, SpanName.SHARD, SpanName.FINALIZE)} == set(tale.pods)

    again = troubled(simulator, 10, "again")
    again["spec"]["input"] = {"deadLettersOf": {"name": "asked"}}
    tale = watched(batches, batches.apply(again))
    root = expect_one_root(told(jaeger, batches, tale), tale)
    assert (root.parent_id, root.links) == (None, ((caller[0], first.span_id),))


def test_a_collector_that_is_away_harms_nothing(batches: Batches, simulator: SimulatorPod) -> None:
    with OtlpReceiver(bind=batches.cluster.node_ip) as receiver:
        closed = receiver.endpoint
    expect_success(batches, simulator, closed)


def test_a_collector_that_never_answers_harms_nothing(batches: Batches, simulator: SimulatorPod) -> None:
    with OtlpReceiver(bind=batches.cluster.node_ip, behaviour=Behaviour.HANG) as receiver:
        expect_success(batches, simulator, receiver.endpoint)
        assert {request.path for request in receiver.requests} == {"/v1/traces", "/v1/metrics"}


def expect_success(batches: Batches, simulator: SimulatorPod, collector: str) -> None:
    """A batch whose pods have this collector succeeds, and its pods end well."""
    places = {f"OTEL_EXPORTER_OTLP_{each.upper()}_ENDPOINT": f"{collector}/v1/{each}" for each in ("traces", "metrics")}
    worker = {"env": [{"name": name, "value": value} for name, value in places.items()]}
    name = batches.apply(batch(simulator.url, 100, worker=worker, shardSize=50))
    status = batches.wait_succeeded(name)
    assert status["items"]["succeeded"] == 100
    assert status["resentItems"] == 0
    batches.cluster.wait_until(
        "its pods have ended well", lambda: {pod["status"]["phase"] for pod in batches.pods(name)} == {"Succeeded"}
    )
