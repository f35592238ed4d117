"""What can be done with a batch while it runs: watch, scale, hold, cancel, delete, end by time."""

import itertools
import time
from typing import Any

import pytest

from e2e.deployed import Batches, SimulatorPod, batch
from llmbatch_contract.status import Phase

pytest_plugins = ["cluster_fixture", "e2e.deployed"]

_QUIET_S = 2.0
_GONE_S = 10.0


def running(batches: Batches, name: str, items: int = 1) -> dict[str, Any]:
    """Wait until some items have succeeded and the batch runs; the status."""

    def is_running() -> dict[str, Any] | None:
        status = batches.status(name)
        done = (status.get("items") or {}).get("succeeded", 0)
        return status if status.get("phase") == "Running" and done >= items else None

    return batches.cluster.wait_until(f"{items} items of {name} are done", is_running)


@pytest.mark.timeout(240)
def test_two_thousand_items_on_eight_pods_with_progress_that_never_goes_backwards(
    batches: Batches, simulator: SimulatorPod
) -> None:
    simulator.update(latency="300ms", latency_spread=0.5, fail={"server_error": 0.05, "refusal": 0.01})
    name = batches.apply(batch(simulator.url, 2000, parallelism=4, concurrency=8, shardSize=125))
    running(batches, name)
    batches.patch(name, parallelism=8)
    seen = []
    most_pods = 0
    while not Phase((status := batches.status(name))["phase"]).is_final:
        seen.append(status["items"])
        most_pods = max(most_pods, status["shards"]["active"])
        time.sleep(0.3)
    assert most_pods == 8
    seen.append(status["items"])
    for before, after in itertools.pairwise(seen):
        assert after["succeeded"] >= before["succeeded"]
        assert after["failed"] >= before["failed"]
    for items in seen:
        assert items["total"] == 2000 == sum(count for key, count in items.items() if key != "total")
    assert len({items["succeeded"] for items in seen}) >= 3, "progress is visible while it runs"
    assert status["phase"] == "CompletedWithErrors"
    results, errors = batches.results(name), batches.errors(name)
    assert sorted(line["index"] for line in [*results, *errors]) == list(range(2000))
    assert [line["index"] for line in results] == sorted(line["index"] for line in results)
    assert len(results) == status["items"]["succeeded"]
    assert {line["error"]["category"] for line in errors} == {"refusal"}
    assert status["resentItems"] == 0
    assert status["shards"] == {"total": 16, "active": 0, "succeeded": 16, "failed": 0}


def test_delete_ends_requests_and_pods_within_seconds(batches: Batches, simulator: SimulatorPod) -> None:
    simulator.update(latency="200ms")
    name = batches.apply(batch(simulator.url, 3000, parallelism=3, concurrency=8))
    running(batches, name)
    batches.delete(name)
    deleted = time.time()
    batches.cluster.wait_until("no pod is left", lambda: not batches.pods(name), timeout_s=_GONE_S)
    assert simulator.stats()["last_request_at"] <= deleted + _QUIET_S
    assert simulator.stats()["in_flight"] == 0
    assert batches.jobs(name) == []


def test_cancel_keeps_what_is_answered_and_names_the_rest_cancelled(batches: Batches, simulator: SimulatorPod) -> None:
    simulator.update(latency="200ms")
    name = batches.apply(batch(simulator.url, 1000, parallelism=2, concurrency=8))
    running(batches, name)
    batches.patch(name, cancel=True)
    status = batches.wait_phase(name, Phase.CANCELLED)
    items = status["items"]
    assert items["cancelled"] > 0
    assert items["succeeded"] + items["cancelled"] == items["total"] == 1000
    results, errors = batches.results(name), batches.errors(name)
    assert len(results) == items["succeeded"] == simulator.stats()["answered_ok"]
    assert {line["error"]["category"] for line in errors} == {"cancelled"}
    assert sorted(line["index"] for line in [*results, *errors]) == list(range(1000))
    assert not [pod for pod in batches.pods(name) if pod["status"]["phase"] == "Running"]


def test_suspend_frees_the_pods_and_resume_sends_nothing_again(batches: Batches, simulator: SimulatorPod) -> None:
    simulator.update(latency="300ms")
    name = batches.apply(batch(simulator.url, 400, parallelism=2, concurrency=8))
    running(batches, name)
    batches.patch(name, suspend=True)
    batches.wait_phase(name, Phase.SUSPENDED)
    assert not [pod for pod in batches.pods(name) if pod["status"]["phase"] in ("Running", "Pending")]
    asked = simulator.stats()["requests"]
    held = batches.status(name)["items"]
    assert held["succeeded"] == simulator.stats()["answered_ok"]
    assert 0 < held["succeeded"] < 400
    batches.patch(name, suspend=False)
    status = batches.wait_succeeded(name, timeout_s=90)
    assert status["resentItems"] == 0
    assert simulator.stats()["requests"] == 400 > asked


def test_a_batch_that_is_created_suspended_starts_no_pod_until_it_is_resumed(
    batches: Batches, simulator: SimulatorPod
) -> None:
    name = batches.apply(batch(simulator.url, 2, suspend=True))
    batches.wait_phase(name, Phase.SUSPENDED)
    assert batches.jobs(name) == []
    batches.patch(name, suspend=False)
    batches.wait_succeeded(name)


def test_a_deadline_ends_the_batch_with_partial_outputs(batches: Batches, simulator: SimulatorPod) -> None:
    simulator.update(latency="500ms")
    name = batches.apply(batch(simulator.url, 500, concurrency=2, parallelism=1, activeDeadlineSeconds=12))
    status = batches.wait_phase(name, Phase.FAILED)
    (failed,) = [c for c in status["conditions"] if c["type"] == "Failed"]
    assert failed["reason"] == "DeadlineExceeded"
    assert {line["error"]["category"] for line in batches.errors(name)} == {"deadline"}
    assert len(batches.results(name)) == status["items"]["succeeded"] > 0


def test_a_batch_is_deleted_when_its_time_to_live_is_over(batches: Batches, simulator: SimulatorPod) -> None:
    name = batches.apply(batch(simulator.url, 1, ttlSecondsAfterFinished=3))

    def is_gone() -> bool:
        return batches.cluster.kubectl("get", "llmbatch", name, "-n", batches.namespace, "--ignore-not-found") == ""

    batches.wait_succeeded(name)
    batches.cluster.wait_until("the batch is gone", is_gone, timeout_s=30)


def test_batches_of_the_same_name_in_two_namespaces_know_nothing_of_each_other(
    batches: Batches, other_batches: Batches, simulator: SimulatorPod
) -> None:
    batches.apply(batch(simulator.url, [{"id": "mine", "text": "a"}], name="same"))
    other_batches.apply(batch(simulator.url, [{"id": "theirs", "text": "b"}], name="same"))
    batches.wait_succeeded("same")
    other_batches.wait_succeeded("same")
    assert [line["id"] for line in batches.results("same")] == ["mine"]
    assert [line["id"] for line in other_batches.results("same")] == ["theirs"]
    other_batches.delete("same")
    assert [line["id"] for line in batches.results("same")] == ["mine"]
