"""For tests of what a batch tells: the fixture `received`, a batch that has a lot to tell, and what is expected of it.

A test module gets the fixture by `pytest_plugins = ["cluster_fixture", "e2e.deployed", "e2e.telling"]`.
(PYTEST_DONT_REWRITE: a module that is imported before pytest loads it would be warned about.)
"""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.batches import Batches, batch
from e2e.deployed import exclusively
from e2e.deploying import NAMESPACE, Deployment
from e2e.jaeger_client import Jaeger, Trace
from e2e.metric_checks import numbers_of_points, numbers_of_status, numbers_of_summary
from e2e.simulator_pod import SimulatorPod
from e2e.telemetry_places import METRICS_PORT
from e2e.trace_checks import (
    Tale,
    expect_dead_letters,
    expect_nothing_said,
    expect_one_root,
    expect_parents,
    expect_pods,
    expect_samples,
    told,
)
from llmbatch_telemetry.names import SpanName
from otlp_receiver import OtlpReceiver

ASKED, ANSWERED = "canary-in-an-item", "canary-in-an-answer"
_SAMPLED = 30
_PRICING = {"inputPerMillion": 0.4, "outputPerMillion": 1.6}
_SCHEMA = {"type": "object", "required": ["word"], "properties": {"word": {"enum": [ANSWERED]}}}


@pytest.fixture
def received(deployment: Deployment) -> Iterator[OtlpReceiver]:
    """What operator and pods send of their metrics. One test at a time has it, of all processes."""
    with (
        exclusively("metrics.lock"),
        OtlpReceiver(bind=deployment.cluster.node_ip, http_port=METRICS_PORT) as receiver,
    ):
        yield receiver


def troubled(simulator: SimulatorPod, items: int, name: str = "tale", **spec: Any) -> dict[str, Any]:
    """A batch of several shards whose items come to all kinds of ends."""
    fields = {
        "endpoint": {"url": simulator.url, "pricing": _PRICING},
        "request": {"prompt": "{{ text }}", "parameters": {"max_tokens": 40}, "responseSchema": _SCHEMA},
        "retry": {"maxAttempts": 3, "initialSeconds": 0.1, "maxSeconds": 1},
        "parallelism": 3,
        "shardSize": 50,
        "concurrency": 4,
        "telemetry": {"sampledItems": _SAMPLED},
    }
    listed = [{"id": f"item-{number}", "text": _text(number)} for number in range(items)]
    return batch(simulator.url, listed, name=name, **fields | spec)


def _text(number: int) -> str:
    """A few items fail for good in two ways, some more at first only."""
    match number % 50:
        case 7:
            told = "[[simulate: bad_request]]"
        case 23:
            told = "[[simulate: server_error]]"
        case 4 | 14 | 44:
            told = "[[simulate: server_error x1]]"
        case _:
            told = ""
    return f"{ASKED} {number} {told}"


def expect_the_same_numbers(received: OtlpReceiver, tale: Tale) -> None:
    """Metrics, status and summary agree to the last token."""
    wanted = numbers_of_status(tale)
    assert numbers_of_summary(tale) == wanted
    with contextlib.suppress(AssertionError):
        received.wait_until("they agree", lambda: numbers_of_points(list(received.points), tale) == wanted)
    assert numbers_of_points(list(received.points), tale) == wanted


def expect_a_whole_trace(jaeger: Jaeger, batches: Batches, simulator: SimulatorPod, tale: Tale, *killed: str) -> Trace:
    """One trace with everything in it, and nothing of what was asked and answered."""
    assert {letter["error"]["category"] for letter in tale.errors} == {"invalid_request", "server_error"}
    assert len(tale.errors) == 12
    trace = told(jaeger, batches, tale)
    expect_one_root(trace, tale)
    expect_parents(trace)
    expect_pods(trace, tale, set(killed))
    expect_dead_letters(trace, tale)
    if not killed:
        expect_samples(trace, tale, _SAMPLED)
    expect_nothing_said(trace, ASKED, ANSWERED)
    sent = simulator.stats(keys=True)["traceparents"].values()
    assert {each.rsplit("-", 2)[0] for each in sent} == {f"00-{trace.trace_id}"}
    last = {span.span_id for span in trace.named(SpanName.ATTEMPT)}
    assert len(last & {each.split("-")[2] for each in sent}) >= len(tale.errors)
    return trace


def expect_telling_logs(batches: Batches, tale: Tale) -> None:
    """Every line of a pod is JSON, says which batch and trace it is about, and quotes nothing."""
    about = _about(tale)
    logs = {
        pod["metadata"]["name"]: batches.cluster.kubectl("logs", pod["metadata"]["name"], "-n", batches.namespace)
        for pod in batches.pods(about["batch"])
    }
    for pod, log in logs.items():
        lines = [json.loads(line) for line in log.splitlines()]
        assert lines
        assert [line for line in lines if not (about | {"pod": pod}).items() <= line.items()] == []
        assert [word for word in (ASKED, ANSWERED) if word in log] == []


def expect_telling_operator(deployment: Deployment, tale: Tale) -> None:
    """Every line of the operator is JSON, those about a batch have its trace, and none quotes anything."""
    about = _about(tale)
    (pod,) = deployment.pods()
    log = deployment.cluster.kubectl("logs", pod["metadata"]["name"], "-n", NAMESPACE)
    lines = [json.loads(line) for line in log.splitlines()]
    own = [line for line in lines if (line.get("batch"), line.get("namespace")) == (about["batch"], about["namespace"])]
    assert own
    assert [line for line in own if line.get("trace_id") != about["trace_id"]] == []
    assert [word for word in (ASKED, ANSWERED) if word in log] == []


def _about(tale: Tale) -> dict[str, str]:
    metadata = tale.resource["metadata"]
    return {"batch": metadata["name"], "namespace": metadata["namespace"], "trace_id": tale.trace.trace_id}
