"""Traces and metrics when the operator is killed or restarted: nothing is missing, nothing is told twice."""

import httpx
import pytest

from e2e.api_proxy import pod_path
from e2e.deployed import NAMESPACE, Batches, Deployment, Jaeger, SimulatorPod
from e2e.metric_checks import expect_no_steps_back, numbers_of_exposition, numbers_of_status
from e2e.telling import (
    expect_a_whole_trace,
    expect_telling_logs,
    expect_telling_operator,
    expect_the_same_numbers,
    troubled,
)
from e2e.trace_checks import watched
from llmbatch_telemetry import names
from otlp_receiver import OtlpReceiver

pytest_plugins = ["cluster_fixture", "e2e.deployed", "e2e.telling"]

_PROMETHEUS_PORT = 9464
_TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"


@pytest.mark.timeout(240)
def test_a_batch_whose_operator_is_killed_is_still_one_trace_and_its_metrics_are_its_status(
    deployment: Deployment,
    batches: Batches,
    simulator: SimulatorPod,
    jaeger: Jaeger,
    received: OtlpReceiver,
    api_client: httpx.Client,
) -> None:
    simulator.update(latency="300ms")
    name = batches.apply(troubled(simulator, 300))
    batches.wait_items(name, 40)
    deployment.kill()
    deployment.wait_until_ready()
    tale = watched(batches, name)
    assert expect_a_whole_trace(jaeger, batches, simulator, tale).repeated == ()
    expect_the_same_numbers(received, tale)
    expect_no_steps_back(received.points, tale)
    expect_telling_logs(batches, tale)
    expect_telling_operator(deployment, tale)
    (operator,) = [pod["metadata"]["name"] for pod in deployment.pods()]
    page = api_client.get(f"{pod_path(NAMESPACE, operator, _PROMETHEUS_PORT)}/metrics").raise_for_status().text
    assert numbers_of_exposition(page, tale) == numbers_of_status(tale)


@pytest.mark.timeout(240)
def test_the_deltas_of_metrics_add_up_to_the_status(
    deployment: Deployment, batches: Batches, simulator: SimulatorPod, received: OtlpReceiver
) -> None:
    with deployment.setting(_TEMPORALITY, "delta"):
        tale = watched(batches, batches.apply(troubled(simulator, 100)))
        expect_the_same_numbers(received, tale)
    of_pods = [point for point in received.points if point.resource.get(names.NAMESPACE) == batches.namespace]
    counts = [point for point in of_pods if point.name == names.WORKER_ITEMS.name]
    assert counts
    assert all(point.is_delta for point in counts)
    done = {
        outcome: sum(point.value for point in counts if point.has({names.OUTCOME: outcome}))
        for outcome in ("succeeded", "failed")
    }
    assert done == {outcome: tale.status["items"][outcome] for outcome in done}
    asked = sum(point.value for point in of_pods if point.name == names.WORKER_ATTEMPTS.name)
    assert asked == tale.status["attempts"] == simulator.stats()["requests"]
