"""Whatever dies, nothing is lost and hardly anything is asked twice: workers, the operator, both for a while."""

import json
from typing import Any

import pytest

from e2e.deployed import Batches, Deployment, SimulatorPod, batch
from llmbatch_contract.status import Phase

pytest_plugins = ["cluster_fixture", "e2e.deployed"]

_WINDOW_ITEMS = 24
"""Items beyond those in flight that a pod killed may count as sent again: docs/store.md."""
_CONCURRENCY = 4


def expect_all_answered_once(
    batches: Batches, simulator: SimulatorPod, name: str, items: int, *, kills: int
) -> dict[str, Any]:
    """Every item has its one record, and no more was asked twice than the status admits."""
    status = batches.wait_succeeded(name, timeout_s=150)
    assert [line["index"] for line in batches.results(name)] == list(range(items))
    assert batches.errors(name) == []
    seen = simulator.stats(keys=True)["keys"]
    assert len(seen) == items
    sent_again = sum(seen.values()) - items
    assert sent_again <= status["resentItems"] <= kills * (_CONCURRENCY + _WINDOW_ITEMS)
    return status


def evict(batches: Batches, pod: str) -> None:
    """As a node that is drained does it."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": batches.namespace}}
    path = f"/api/v1/namespaces/{batches.namespace}/pods/{pod}/eviction"
    batches.cluster.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(body))


@pytest.mark.timeout(240)
def test_a_killed_and_an_evicted_pod_lose_nothing(batches: Batches, simulator: SimulatorPod) -> None:
    simulator.update(latency="400ms")
    name = batches.apply(batch(simulator.url, 240, parallelism=2, shardSize=120, concurrency=_CONCURRENCY))
    batches.wait_items(name)
    first, second = (pod["metadata"]["name"] for pod in batches.running_pods(name))
    batches.kill(first)
    evict(batches, second)
    expect_all_answered_once(batches, simulator, name, 240, kills=2)


@pytest.mark.timeout(240)
def test_a_pod_without_memory_is_replaced_and_loses_nothing(batches: Batches, simulator: SimulatorPod) -> None:
    simulator.update(latency="400ms")
    name = batches.apply(
        batch(
            simulator.url,
            120,
            parallelism=1,
            shardSize=120,
            concurrency=_CONCURRENCY,
            request={"prompt": "{{ text }}"},
            worker={"resources": {"limits": {"memory": "160Mi"}}},
        )
    )
    batches.wait_items(name)
    simulator.update(output_tokens=6_000_000)

    def is_killed() -> bool:
        return any(_ended(pod).get("reason") == "OOMKilled" for pod in batches.pods(name))

    batches.cluster.wait_until("a pod was killed for its memory", is_killed)
    simulator.update(output_tokens=20)
    status = batches.wait_succeeded(name, timeout_s=150)
    assert status["items"]["succeeded"] == 120
    assert [line["index"] for line in batches.results(name)] == list(range(120))


@pytest.mark.timeout(240)
def test_an_operator_that_is_killed_in_the_middle_goes_on_where_it_was(
    deployment: Deployment, batches: Batches, simulator: SimulatorPod
) -> None:
    simulator.update(latency="300ms")
    name = batches.apply(batch(simulator.url, 300, parallelism=2, shardSize=50, concurrency=_CONCURRENCY))
    batches.wait_items(name)
    before = batches.status(name)["items"]["succeeded"]
    deployment.kill()
    after = batches.status(name)["items"]["succeeded"]
    assert after >= before
    deployment.wait_until_ready()
    status = expect_all_answered_once(batches, simulator, name, 300, kills=0)
    assert status["shards"]["succeeded"] == 6


@pytest.mark.timeout(240)
def test_a_batch_waits_for_an_operator_that_is_away_and_sends_nothing_twice(
    deployment: Deployment, batches: Batches, simulator: SimulatorPod
) -> None:
    simulator.update(latency="300ms")
    name = batches.apply(batch(simulator.url, 200, parallelism=2, shardSize=100, concurrency=_CONCURRENCY))
    batches.cluster.wait_until("both pods ask", lambda: simulator.stats()["max_in_flight"] == 2 * _CONCURRENCY)
    deployment.scale(0)
    try:
        batches.cluster.wait_until("what was read is asked", lambda: simulator.stats()["in_flight"] == 0)
        assert len(batches.running_pods(name)) == 2
    finally:
        deployment.scale(1)
    expect_all_answered_once(batches, simulator, name, 200, kills=0)


def test_a_batch_that_is_deleted_while_the_operator_is_away_is_gone_for_good(
    deployment: Deployment, batches: Batches, simulator: SimulatorPod
) -> None:
    simulator.update(latency="300ms")
    name = batches.apply(batch(simulator.url, 400, parallelism=2, concurrency=_CONCURRENCY))
    batches.wait_items(name, 1)
    deployment.scale(0)
    try:
        batches.delete(name)
        batches.cluster.wait_until("no pod is left", lambda: not batches.pods(name), timeout_s=20)
        asked = simulator.stats()["requests"]
    finally:
        deployment.scale(1)
    status = batches.wait_succeeded(batches.apply(batch(simulator.url, 2, name=name)))
    assert status["items"]["succeeded"] == 2
    assert simulator.stats()["requests"] == asked + 2


@pytest.mark.timeout(240)
def test_a_full_store_holds_the_batch_until_there_is_room(
    deployment: Deployment, batches: Batches, simulator: SimulatorPod
) -> None:
    with deployment.setting("LLMBATCH_STORE_BATCH_LIMIT", "100Ki"):
        name = batches.apply(batch(simulator.url, 600, parallelism=2, shardSize=300, concurrency=_CONCURRENCY))
        blocked = batches.wait_condition(name, "Blocked", reason="StoreFull")
        assert "LLMBATCH_STORE_BATCH_LIMIT" in blocked["message"]
    expect_all_answered_once(batches, simulator, name, 600, kills=0)
    assert batches.condition(name, "Blocked")["status"] == "False"


_ASK = """
import gzip, json, ssl, sys, urllib.request, urllib.error
config = json.loads(gzip.decompress(open("/etc/llmbatch/config.json.gz", "rb").read()))
context = ssl.create_default_context(cadata=config["coordinatorCa"])
token = open("/var/run/secrets/llmbatch/token").read()
def ask(path, token):
    request = urllib.request.Request(config["coordinatorUrl"] + path, headers={"authorization": "Bearer " + token})
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
plan = ask("/v1/objects/work/plan.json", token)
print(json.dumps({
    "own plan": [plan[0], json.loads(plan[1])["uid"]],
    "out of its folder": ask("/v1/objects/work/../../" + sys.argv[1] + "/work/plan.json", token)[0],
    "a changed token": ask("/v1/objects/work/plan.json", token[:-4] + "AAAA")[0],
    "another audience": ask("/v1/objects/work/plan.json", sys.argv[2])[0],
    "a pod of no batch": ask("/v1/objects/work/plan.json", sys.argv[3])[0],
    "dead letters of another namespace": ask("/v1/dead-letters/elsewhere", token)[0],
    "no token": ask("/v1/objects/work/plan.json", "")[0],
}))
"""


def test_a_worker_reaches_nothing_but_its_own_batch(
    batches: Batches, other_batches: Batches, simulator: SimulatorPod
) -> None:
    other_batches.wait_succeeded(other_batches.apply(batch(simulator.url, 1, name="elsewhere")))
    simulator.update(latency="2s")
    name = batches.apply(batch(simulator.url, 150, parallelism=1, concurrency=1))
    batches.cluster.wait_until("it asks", lambda: simulator.stats()["in_flight"])
    (pod,) = [each["metadata"]["name"] for each in batches.running_pods(name)]
    uid = batches.get(name)["metadata"]["uid"]
    other = other_batches.get("elsewhere")["metadata"]["uid"]
    kubectl = batches.cluster.kubectl
    of_pod = ("create", "token", "default", "--bound-object-kind=Pod", "--bound-object-name")
    wrong_audience = kubectl(*of_pod, pod, "-n", batches.namespace, "--audience=somebody-else").strip()
    no_worker = kubectl(*of_pod, "simulator", "-n", simulator.namespace, "--audience=llmbatch-coordinator").strip()
    told = kubectl(
        *("exec", pod, "-n", batches.namespace, "--", "/opt/llmbatch/bin/python", "-c", _ASK),
        *(other, wrong_audience, no_worker),
    )
    assert json.loads(told) == {
        "own plan": [200, uid],
        "out of its folder": 400,
        "a changed token": 401,
        "another audience": 401,
        "a pod of no batch": 403,
        "dead letters of another namespace": 404,
        "no token": 401,
    }
    batches.delete(name)
    batches.cluster.wait_until("no pod asks any more", lambda: not batches.pods(name))


def test_a_batch_whose_pods_keep_dying_says_so_and_can_be_cancelled(batches: Batches, simulator: SimulatorPod) -> None:
    tiny = {"resources": {"limits": {"memory": "16Mi"}}}
    name = batches.apply(batch(simulator.url, 2, worker=tiny))
    blocked = batches.wait_condition(name, "Blocked", reason="PodsFail")
    assert "exit code" in blocked["message"]
    batches.patch(name, cancel=True)
    batches.wait_phase(name, Phase.CANCELLED)
    assert [line["error"]["category"] for line in batches.errors(name)] == ["cancelled"] * 2


def test_a_batch_without_an_image_can_be_cancelled(batches: Batches, simulator: SimulatorPod) -> None:
    name = batches.apply(batch(simulator.url, 2, worker={"image": "llmbatch-worker:there-is-none"}))
    batches.wait_condition(name, "Blocked", reason="ImagePullFailed")
    batches.patch(name, cancel=True)
    batches.wait_phase(name, Phase.CANCELLED)
    assert len(batches.errors(name)) == 2


def _ended(pod: dict[str, Any]) -> dict[str, Any]:
    statuses = pod["status"].get("containerStatuses") or [{}]
    ended: dict[str, Any] = statuses[0].get("state", {}).get("terminated") or {}
    return ended
