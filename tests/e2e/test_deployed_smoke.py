"""The whole system, once: what a user applies first is done, and the operator is as restricted as it says."""

from typing import Any

import pytest
import yaml

from e2e.deployed import Batches, Deployment, SimulatorPod, batch
from e2e.deploying import DEPLOY

pytest_plugins = ["cluster_fixture", "e2e.deployed"]

_SAMPLES = ("tickets", "reviews", "embeddings")


def simulator_sample(image: str) -> list[dict[str, Any]]:
    """deploy/samples/simulator.yaml with the image of this source tree, the edit that its header asks for."""
    service, deployment = yaml.safe_load_all((DEPLOY / "samples" / "simulator.yaml").read_text())
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return [service, deployment]


def test_a_small_batch_ends_with_every_item_in_its_results(batches: Batches, simulator: SimulatorPod) -> None:
    name = batches.apply(batch(simulator.url, 5))
    status = batches.wait_succeeded(name)
    assert status["items"]["succeeded"] == status["items"]["total"] == 5
    assert [line["id"] for line in batches.results(name)] == [f"item-{n}" for n in range(5)]
    assert batches.errors(name) == []
    assert batches.summary(name)["items"]["succeeded"] == 5
    assert simulator.stats()["answered_ok"] == 5


def test_a_batch_of_many_shards_is_done_by_several_pods(batches: Batches, simulator: SimulatorPod) -> None:
    name = batches.apply(batch(simulator.url, 600, shardSize=100, parallelism=3))
    batches.wait_succeeded(name, timeout_s=90)
    assert [line["index"] for line in batches.results(name)] == list(range(600))


@pytest.mark.timeout(240)
def test_the_samples_work_as_they_are(deployment: Deployment, batches: Batches) -> None:
    cluster, namespace = deployment.cluster, batches.namespace
    cluster.apply(*simulator_sample(deployment.images["worker"]), namespace=namespace)
    for sample in _SAMPLES:
        cluster.kubectl("apply", "-n", namespace, "-f", str(DEPLOY / "samples" / f"{sample}.yaml"))
    for sample in _SAMPLES:
        batches.wait_succeeded(sample, timeout_s=90)


def test_pods_of_a_batch_run_where_only_restricted_ones_may(batches: Batches, simulator: SimulatorPod) -> None:
    batches.cluster.kubectl("label", "namespace", batches.namespace, "pod-security.kubernetes.io/enforce=restricted")
    batches.wait_succeeded(batches.apply(batch(simulator.url)))


def test_the_operator_was_never_restarted(deployment: Deployment) -> None:
    (pod,) = deployment.pods()
    assert [status["restartCount"] for status in pod["status"]["containerStatuses"]] == [0]
