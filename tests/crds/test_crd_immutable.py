"""What of a batch can be changed on a cluster, and what cannot."""

from collections.abc import Callable
from typing import Any

import pytest

from builders import Document, with_field, without_field
from cluster_fixture import KubectlError
from crd_fixture import Batches, says, suspended

pytest_plugins = ["cluster_fixture", "crd_fixture"]

_ASK = {"role": "user", "content": "Hello"}
_IMMUTABLE = "is immutable; make a new LLMBatch"
_FULL = suspended(
    input={"items": [{"id": "a"}], "idField": "id"},
    request={"messages": [_ASK], "parameters": {"temperature": 0}, "responseSchema": {"type": "object"}},
    shard_size=10,
    output={"format": "csv"},
    worker={"image": "a", "tolerations": [{"key": "gpu"}]},
    endpoint={"apiKeySecret": {"name": "openai"}},
)


Change = Callable[[Document], Document]


def _set(path: str, value: Any) -> Change:
    return lambda document: with_field(document, path, value)


def _drop(path: str) -> Change:
    return lambda document: without_field(document, path)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        pytest.param("spec.model", _set("spec.model", "gpt-5"), id="another model"),
        pytest.param("spec.shardSize", _set("spec.shardSize", 20), id="another shard size"),
        pytest.param("spec.shardSize", _drop("spec.shardSize"), id="no shard size"),
        pytest.param("spec.output", _drop("spec.output"), id="no output"),
        pytest.param("spec.output", _set("spec.output.format", "jsonl"), id="another output"),
        pytest.param("spec.worker", _drop("spec.worker"), id="no worker"),
        pytest.param("spec.worker", _set("spec.worker.image", "b"), id="another image"),
        pytest.param(
            "spec.worker", _set("spec.worker.tolerations", [{"effect": "gpu"}]), id="what pods bear"
        ),
        pytest.param(
            "spec.endpoint.apiKeySecret",
            _set("spec.endpoint.apiKeySecret.name", "azure"),
            id="another Secret",
        ),
        pytest.param(
            "spec.endpoint.apiKeySecret", _drop("spec.endpoint.apiKeySecret"), id="no Secret"
        ),
        pytest.param("spec.input", _set("spec.input.idField", "n"), id="another id"),
        *[
            pytest.param("spec.input", _set("spec.input.items", items), id=what)
            for what, items in [
                ("another value in an item", [{"id": "b"}]),
                ("another name in an item", [{"key": "a"}]),
                ("a value where there was none", [{"id": "a", "n": 1}]),
                ("an item more", [{"id": "a"}, {"id": "b"}]),
                ("no items", []),
            ]
        ],
        pytest.param(
            "spec.request",
            _set("spec.request.messages", [{**_ASK, "content": "Bye"}]),
            id="another message",
        ),
        pytest.param(
            "spec.request",
            _set("spec.request.messages", [{**_ASK, "content": [{"type": "text", "text": "Hello"}]}]),
            id="a message in parts",
        ),
        pytest.param(
            "spec.request", _set("spec.request.parameters", {"top_p": 0}), id="another parameter"
        ),
        pytest.param(
            "spec.request", _drop("spec.request.responseSchema"), id="no schema of the answer"
        ),
    ],
)  # fmt: skip
def test_what_a_batch_is_cannot_be_changed(full_batch: Batches, path: str, change: Change) -> None:
    assert says(full_batch.refusal(change(_FULL)), path, _IMMUTABLE)


@pytest.fixture(scope="module")
def full_batch(shared_batches: Batches) -> Batches:
    """A namespace with a batch in it."""
    shared_batches.apply(_FULL)
    return shared_batches


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("input", {"configMap": {"name": "a", "key": "b"}, "idField": "id"}, id="another kind of input"),
        pytest.param("worker", {"image": "b"}, id="a worker where there was none"),
        pytest.param("shardSize", 5, id="a shard size where there was none"),
        pytest.param("output", {"format": "csv"}, id="an output where there was none"),
    ],
)
def test_nothing_can_be_added_to_what_a_batch_is(api_batches: Batches, field: str, value: Any) -> None:
    api_batches.apply(suspended())
    assert says(api_batches.refusal(with_field(suspended(), f"spec.{field}", value)), f"spec.{field}", _IMMUTABLE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("suspend", False, id="suspend"),
        pytest.param("cancel", True, id="cancel"),
        pytest.param("parallelism", 2, id="parallelism"),
        pytest.param("concurrency", 7, id="concurrency"),
        pytest.param("requestTimeoutSeconds", 5, id="time limits of requests"),
        pytest.param("activeDeadlineSeconds", 60, id="the deadline"),
        pytest.param("ttlSecondsAfterFinished", 0, id="how long it stays"),
        pytest.param("retry", {"maxAttempts": 2}, id="retries"),
        pytest.param("failurePolicy", {"maxFailurePercent": 5, "stopOn": ["auth"]}, id="the failure policy"),
        pytest.param("endpoint.limits", {"requestsPerMinute": 5.5}, id="limits"),
        pytest.param("endpoint.url", "https://eu.example.com/v1", id="the URL"),
        pytest.param("priority", 200, id="its share among others"),
        pytest.param("budget", {"maxTokens": 1000}, id="the budget"),
        pytest.param("canary", {"items": 5, "approved": True}, id="the canary"),
        pytest.param("window", {"start": "22:00", "end": "06:00", "timeZone": "Europe/Berlin"}, id="its hours"),
        pytest.param("alerts", {"errorPercent": 2}, id="alerts"),
        pytest.param("notify", [{"url": "https://example.com/hook", "events": ["Failed"]}], id="webhooks"),
        pytest.param("telemetry", {"sampledItems": 0, "captureContent": True}, id="what its trace tells"),
    ],
)
def test_how_a_batch_runs_can_be_changed(full_batch: Batches, field: str, value: Any) -> None:
    full_batch.try_out(with_field(_FULL, f"spec.{field}", value))


def test_the_same_manifest_again_changes_nothing(full_batch: Batches) -> None:
    before = full_batch.read()
    full_batch.apply(_FULL)
    assert full_batch.read()["metadata"]["generation"] == before["metadata"]["generation"]


def test_labels_can_be_changed(full_batch: Batches) -> None:
    full_batch.try_out(with_field(_FULL, "metadata.labels", {"team": "support"}))


@pytest.mark.parametrize(
    "item",
    [
        pytest.param({"id": "a", "note": None}, id="another name of a null"),
        pytest.param({"id": "a", "n": 1}, id="a value for a null"),
        pytest.param({"id": "a"}, id="no null"),
    ],
)
def test_a_null_in_an_item_cannot_be_changed_either(api_batches: Batches, item: Document) -> None:
    """By server-side apply: without it, kubectl itself drops nulls."""
    api_batches.apply(suspended(input={"items": [{"id": "a", "n": None}]}), "--server-side")
    refusal = api_batches.refusal(suspended(input={"items": [item]}), "--server-side")
    assert says(refusal, "spec.input", _IMMUTABLE)


def test_a_plain_patch_cannot_change_the_items_either(full_batch: Batches) -> None:
    patch = '[{"op": "move", "from": "/spec/input/items/0/id", "path": "/spec/input/items/0/key"}]'
    with pytest.raises(KubectlError, match=_IMMUTABLE):
        full_batch.say("patch", "llmb", "triage", "--type=json", "-p", patch)
