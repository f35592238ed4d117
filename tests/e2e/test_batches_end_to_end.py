"""Batches from apply to their end on the real node: what a user sees, whatever the input is like."""

import json

import pytest

from e2e.deployed import Batches, SimulatorPod, batch
from llmbatch_contract.status import Phase

pytest_plugins = ["cluster_fixture", "e2e.deployed"]


def test_kubectl_wait_and_get_show_a_finished_batch(batches: Batches, simulator: SimulatorPod) -> None:
    pricing = {"inputPerMillion": 1000, "outputPerMillion": 2000}
    name = batches.apply(batch(simulator.url, 3, endpoint={"url": simulator.url, "pricing": pricing}))
    kubectl = batches.cluster.kubectl
    kubectl("wait", "--for=condition=Complete", f"llmbatch/{name}", "-n", batches.namespace, "--timeout=60s")
    header, row = kubectl("get", "llmb", "-o", "wide", "-n", batches.namespace).splitlines()
    assert header.split()[:6] == ["NAME", "PHASE", "PROGRESS", "SUCCEEDED", "FAILED", "TOTAL"]
    assert row.split()[:6] == [name, "Succeeded", "100%", "3", "0", "3"]
    status = batches.status(name)
    assert status["usage"]["totalTokens"] > 0
    assert status["cost"]["currency"] == "USD"
    assert status["output"]["results"].endswith(f"/{batches.namespace}/{name}/results.jsonl")
    reasons = {e["reason"] for e in batches.events(name)}
    assert reasons >= {"Planning", "Planned", "Running", "Succeeded"}


@pytest.mark.parametrize("items", [0, 1])
def test_a_batch_of_hardly_any_items_ends_like_any_other(batches: Batches, simulator: SimulatorPod, items: int) -> None:
    name = batches.apply(batch(simulator.url, items))
    status = batches.wait_succeeded(name)
    assert status["items"] == {**_none(), "total": items, "succeeded": items}
    assert len(batches.results(name)) == items
    assert batches.summary(name)["items"]["total"] == items


def test_failed_items_are_dead_letters_and_can_be_asked_again(batches: Batches, simulator: SimulatorPod) -> None:
    items = [{"id": "good", "text": "hello"}, {"id": "bad", "text": "[[simulate: refusal]]"}]
    name = batches.apply(batch(simulator.url, items))
    status = batches.wait_phase(name, Phase.COMPLETED_WITH_ERRORS)
    assert (status["items"]["succeeded"], status["items"]["failed"]) == (1, 1)
    assert [e["category"] for e in status["errors"]] == ["refusal"]
    (letter,) = batches.errors(name)
    assert letter["id"] == "bad"

    again = batch(simulator.url, 0, name="again", request={"prompt": "once more: {{ id }}"})
    again["spec"]["input"] = {"deadLettersOf": {"name": name}, "idField": "id"}
    status = batches.wait_succeeded(batches.apply(again))
    assert status["items"]["total"] == 1
    assert [line["id"] for line in batches.results("again")] == ["bad"]


def test_a_mistake_in_the_input_is_told_with_its_line(batches: Batches, simulator: SimulatorPod) -> None:
    lines = ['{"id": "1", "text": "a"}', '{"id": "2", "text": "b"}', '{"id": "3", "text": oops}']
    batches.config_map("items", {"items.jsonl": "\n".join(lines)})
    manifest = batch(simulator.url)
    manifest["spec"]["input"] = {"configMap": {"name": "items", "key": "items.jsonl"}, "idField": "id"}
    name = batches.apply(manifest)
    status = batches.wait_phase(name, Phase.FAILED)
    (failed,) = [c for c in status["conditions"] if c["type"] == "Failed"]
    assert failed["reason"] == "InputInvalid"
    assert ":3" in failed["message"]
    assert "items.jsonl" in failed["message"]
    told = [e["message"] for e in batches.events(name) if e["reason"] == "InputInvalid"]
    assert told == [failed["message"]]
    assert simulator.stats()["requests"] == 0


def test_a_batch_waits_for_its_config_map(batches: Batches, simulator: SimulatorPod) -> None:
    manifest = batch(simulator.url)
    manifest["spec"]["input"] = {"configMap": {"name": "late", "key": "items.csv"}, "idField": "id"}
    name = batches.apply(manifest)
    batches.wait_condition(name, "Blocked", reason="InputMissing")
    batches.config_map("late", {"items.csv": "id,text\n1,hello\n2,world\n"})
    status = batches.wait_succeeded(name, timeout_s=120)
    assert status["items"]["succeeded"] == 2


def test_batches_wait_for_a_secret_or_its_key_and_go_on_when_it_appears(
    batches: Batches, simulator: SimulatorPod
) -> None:
    simulator.update(api_key="sk-right")
    batches.secret("incomplete", {"wrong-key": "x"})
    for secret in ("absent", "incomplete"):
        endpoint = {"url": simulator.url, "apiKeySecret": {"name": secret, "key": "api-key"}}
        batches.apply(batch(simulator.url, 3, name=secret, endpoint=endpoint))
    assert "absent" in batches.wait_condition("absent", "Blocked", reason="SecretMissing")["message"]
    assert "api-key" in batches.wait_condition("incomplete", "Blocked", reason="SecretMissing")["message"]
    for secret in ("absent", "incomplete"):
        batches.secret(secret, {"api-key": "sk-right"})
    for secret in ("absent", "incomplete"):
        batches.wait_succeeded(secret, timeout_s=120)
        assert batches.condition(secret, "Blocked")["status"] == "False"
        assert "sk-right" not in json.dumps(batches.get(secret)) + json.dumps(batches.pods(secret))


def test_a_wrong_key_stops_the_batch_at_once(batches: Batches, simulator: SimulatorPod) -> None:
    simulator.update(api_key="sk-right")
    batches.secret("openai", {"api-key": "sk-wrong"})
    secret = {"url": simulator.url, "apiKeySecret": {"name": "openai", "key": "api-key"}}
    name = batches.apply(batch(simulator.url, 300, endpoint=secret, parallelism=2, concurrency=4))
    status = batches.wait_phase(name, Phase.FAILED)
    (failed,) = [c for c in status["conditions"] if c["type"] == "Failed"]
    assert failed["reason"] == "StoppedByFailure"
    assert "auth" in failed["message"]
    assert status["items"]["cancelled"] == 300
    assert len(batches.errors(name)) == 300
    assert simulator.stats()["requests"] <= 2 * 8


def test_the_api_servers_refusal_is_told(batches: Batches, simulator: SimulatorPod) -> None:
    batches.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "none"},
            "spec": {"hard": {"count/jobs.batch": "0"}},
        },
        namespace=batches.namespace,
    )
    name = batches.apply(batch(simulator.url))
    blocked = batches.wait_condition(name, "Blocked", reason="Refused")
    assert "quota" in blocked["message"]
    batches.cluster.kubectl("delete", "resourcequota", "none", "-n", batches.namespace)
    batches.wait_succeeded(name)


def _none() -> dict[str, int]:
    return dict.fromkeys(("total", "pending", "running", "succeeded", "failed", "cancelled"), 0)
