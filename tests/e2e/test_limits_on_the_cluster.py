"""Limits that batches of several namespaces share, on the real node: held while pods and operator die, and used."""

import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.cluster_client import Cluster
from e2e.deployed import Batches, Deployment, SimulatorPod, batch
from llmbatch_contract.spec import API_VERSION
from llmbatch_contract.status import Phase

pytest_plugins = ["cluster_fixture", "e2e.deployed"]

_MINUTE_S = 60.0
_LIMIT = 600
_TOKENS = 200_000


class Endpoint:
    """An LLMEndpoint of a test."""

    def __init__(self, cluster: Cluster, name: str, url: str) -> None:
        self.cluster, self.name, self._url = cluster, name, url

    def apply(self, **spec: Any) -> None:
        """Create it, or change it."""
        document = {
            "apiVersion": API_VERSION,
            "kind": "LLMEndpoint",
            "metadata": {"name": self.name},
            "spec": {"url": self._url, **spec},
        }
        self.cluster.apply(document)

    def status(self) -> dict[str, Any]:
        """What the operator says of it."""
        found: dict[str, Any] = self.cluster.kubectl_json("get", "llmep", self.name).get("status", {})
        return found


@pytest.fixture
def endpoint(deployment: Deployment, simulator: SimulatorPod) -> Iterator[Endpoint]:
    """An LLMEndpoint at the simulator; without limits until `apply` says some."""
    made = Endpoint(deployment.cluster, f"e2e-{secrets.token_hex(4)}", simulator.url)
    made.apply()
    yield made
    deployment.cluster.kubectl("delete", "llmep", made.name)


def shared(endpoint: Endpoint, items: int, name: str, **spec: Any) -> dict[str, Any]:
    """A batch that uses the endpoint by name."""
    return batch("", items, name=name, **{"endpoint": {"ref": endpoint.name}, **spec})


def sent(simulator: SimulatorPod) -> int:
    """Requests that were let in so far."""
    stats = simulator.stats()
    requests: int = stats["requests"]
    violations: dict[str, int] = stats["violations"]
    return requests - sum(violations.values())


@pytest.mark.timeout(290)
def test_three_batches_in_two_namespaces_share_a_limit_whatever_dies(
    deployment: Deployment, batches: Batches, other_batches: Batches, simulator: SimulatorPod, endpoint: Endpoint
) -> None:
    simulator.update(latency="200ms", requests_per_minute=_LIMIT, tokens_per_minute=_TOKENS)
    endpoint.apply(limits={"requestsPerMinute": _LIMIT, "tokensPerMinute": _TOKENS})
    pods = {"one": (batches, 2), "two": (batches, 2), "three": (other_batches, 4)}
    for name, (of, count) in pods.items():
        of.apply(shared(endpoint, 3000, name, parallelism=count, shardSize=250))
    deployment.cluster.wait_until("eight pods report", lambda: endpoint.status().get("pods") == 8, timeout_s=90)
    deployment.kill()
    deployment.wait_until_ready()
    deployment.cluster.wait_until("eight pods report again", lambda: endpoint.status().get("pods") == 8, timeout_s=60)

    began, before = time.monotonic(), sent(simulator)
    counts = {name: of.status(name)["items"]["succeeded"] for name, (of, _) in pods.items()}
    for of, name in ((batches, "one"), (other_batches, "three")):
        of.kill(of.running_pods(name)[0]["metadata"]["name"])
        time.sleep(5)
    time.sleep(max(0.0, began + _MINUTE_S - time.monotonic()))
    used, took_s = sent(simulator) - before, time.monotonic() - began
    done = {name: of.status(name)["items"]["succeeded"] - counts[name] for name, (of, _) in pods.items()}

    assert simulator.stats()["violations"] == {"requests": 0, "tokens": 0, "concurrency": 0}
    assert used >= 0.95 * _LIMIT * took_s / 60
    assert done["three"] == pytest.approx(_LIMIT / 2, rel=0.15), "a namespace has half, however many batches it has"
    assert done["one"] == pytest.approx(done["two"], rel=0.2)
    granted = endpoint.status()["granted"]["requestsPerMinute"]
    assert 0.95 * _LIMIT <= granted <= _LIMIT

    endpoint.apply(limits={"requestsPerMinute": _LIMIT / 2, "tokensPerMinute": _TOKENS})
    time.sleep(5)
    began, before = time.monotonic(), sent(simulator)
    time.sleep(12)
    used, took_s = sent(simulator) - before, time.monotonic() - began
    assert 0.9 * _LIMIT / 2 * took_s / 60 <= used <= _LIMIT / 2 * took_s / 60 + 8
    assert simulator.stats()["violations"] == {"requests": 0, "tokens": 0, "concurrency": 0}
    for name, (of, _) in pods.items():
        of.delete(name)
    for name, (of, _) in pods.items():
        of.cluster.wait_until(f"no pod of {name} is left", lambda of=of, name=name: not of.pods(name))  # type: ignore[misc]


@pytest.mark.timeout(150)
def test_a_budget_holds_a_batch_until_it_is_raised(
    batches: Batches, simulator: SimulatorPod, endpoint: Endpoint
) -> None:
    simulator.update(latency="100ms")
    endpoint.apply(pricing={"*": {"inputPerMillion": 0, "outputPerMillion": 1_000_000}})
    most = 2000
    name = batches.apply(
        shared(endpoint, 300, "budget", parallelism=2, shardSize=150, concurrency=4, budget={"maxCost": most})
    )
    held = batches.wait_condition(name, "BudgetExceeded", reason="BudgetExceeded", timeout_s=90)
    status = batches.wait_phase(name, Phase.SUSPENDED)
    assert "2000.00 USD" in held["message"]
    assert 0.8 * most <= status["cost"]["amount"] <= most + 8 * 20
    assert batches.running_pods(name) == []
    batches.patch(name, budget={"maxCost": 1_000_000})
    assert batches.wait_succeeded(name, timeout_s=90)["resentItems"] == 0
    assert simulator.stats()["requests"] == 300


@pytest.mark.timeout(150)
def test_a_breaker_counts_over_all_pods_and_stops_within_seconds(
    batches: Batches, simulator: SimulatorPod, endpoint: Endpoint
) -> None:
    simulator.update(latency="100ms", fail={"refusal": 0.5})
    policy = {"maxFailurePercent": 20, "minItems": 40}
    name = batches.apply(
        shared(endpoint, 2000, "breaker", parallelism=3, shardSize=250, concurrency=2, failurePolicy=policy)
    )
    status = batches.wait_phase(name, Phase.FAILED, timeout_s=90)
    (failed,) = [c for c in status["conditions"] if c["type"] == "Failed"]
    assert failed["reason"] == "FailurePolicyExceeded"
    assert "refusal" in failed["message"]
    assert simulator.stats()["requests"] < 600
    assert any(e["reason"] == "FailurePolicyExceeded" for e in batches.events(name))


@pytest.mark.timeout(150)
def test_a_canary_that_fails_waits_for_approval_and_its_answers_count(
    batches: Batches, simulator: SimulatorPod, endpoint: Endpoint
) -> None:
    simulator.update(latency="50ms", fail={"refusal": 0.3})
    canary = {"items": 30, "maxFailurePercent": 1}
    name = batches.apply(shared(endpoint, 400, "canary", parallelism=2, shardSize=50, canary=canary))
    status = batches.wait_phase(name, Phase.AWAITING_APPROVAL, timeout_s=90)
    assert simulator.stats()["requests"] == 30
    assert status["canary"]["items"] == 30
    assert status["canary"]["failurePercent"] > 1
    assert status["canary"]["projectedDuration"]
    assert batches.running_pods(name) == []
    batches.patch(name, canary={**canary, "approved": True})
    status = batches.wait_phase(name, Phase.COMPLETED_WITH_ERRORS, timeout_s=90)
    assert status["resentItems"] == 0
    assert simulator.stats()["requests"] == 400
    assert len(batches.results(name)) + len(batches.errors(name)) == 400


@pytest.mark.timeout(200)
def test_an_outage_of_a_minute_burns_no_attempt_and_one_pod_probes(
    batches: Batches, simulator: SimulatorPod, endpoint: Endpoint
) -> None:
    simulator.update(latency="200ms")
    retry = {"maxAttempts": 2, "initialSeconds": 0.1, "maxSeconds": 1}
    name = batches.apply(shared(endpoint, 600, "outage", parallelism=3, shardSize=100, concurrency=4, retry=retry))
    batches.wait_items(name, 20)
    simulator.update(fail={"unavailable": 1}, fail_attempts=0)
    began = time.monotonic()
    batches.wait_condition(name, "EndpointDown", reason="EndpointDown", timeout_s=40)
    asked = simulator.stats()["requests"]
    time.sleep(max(0.0, began + _MINUTE_S - time.monotonic()))
    assert simulator.stats()["requests"] - asked <= 12, "one pod asks now and then"
    assert endpoint.status()["health"] == "Down"
    simulator.update(fail={})
    status = batches.wait_succeeded(name, timeout_s=90)
    assert status["items"] == {"total": 600, "succeeded": 600, "failed": 0, "pending": 0, "running": 0, "cancelled": 0}
    assert batches.condition(name, "EndpointDown")["status"] == "False"


@pytest.mark.timeout(200)
def test_a_limit_that_nobody_stated_is_found_by_what_the_endpoint_refuses(
    batches: Batches, simulator: SimulatorPod, endpoint: Endpoint
) -> None:
    simulator.update(latency="50ms", requests_per_minute=_LIMIT, limit_window="5s")
    name = batches.apply(shared(endpoint, 250, "found", parallelism=3, shardSize=50))
    status = batches.wait_succeeded(name, timeout_s=150)
    stats = simulator.stats()
    assert status["items"]["succeeded"] == 250
    assert stats["violations"]["requests"] <= 100
    took_s = stats["last_request_at"] - stats["first_request_at"]
    assert 250 / took_s >= 0.5 * _LIMIT / 60
