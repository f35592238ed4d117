"""LLMBatches as the API server gives them, for the tests of `kubectl llmbatch`.

document()                                        tickets in namespace shop, without a status
document(status(phase="Running", total=10))       with one
condition("Blocked", "SecretMissing", "why")      a condition that holds
"""

from datetime import UTC, datetime
from typing import Any

from llmbatch_cli.kubectl.batches import Batch, read_batch

Document = dict[str, Any]

UID = "d7c1b0b2-5a12-4dfa-aeb9-e206d03fce1a"
CREATED = "2026-11-22T08:00:00Z"
NOW = datetime(2026, 11, 22, 8, 5, tzinfo=UTC)
SPEC: Document = {
    "endpoint": {"url": "http://simulator:8000/v1"},
    "model": "small",
    "input": {"items": [{"id": "a", "body": "A"}, {"id": "b", "body": "B"}], "idField": "id"},
    "request": {"prompt": "{{ body }}"},
}


def document(status: Document | None = None, name: str = "tickets", **spec: Any) -> Document:
    """A batch; keywords replace fields of its spec."""
    metadata = {"name": name, "namespace": "shop", "uid": UID, "creationTimestamp": CREATED}
    whole = {"apiVersion": "llmbatch.dev/v1alpha1", "kind": "LLMBatch", "metadata": metadata, "spec": SPEC | spec}
    return whole if status is None else whole | {"status": status}


def batch(status: Document | None = None, name: str = "tickets", **spec: Any) -> Batch:
    """The same, read."""
    return read_batch(document(status, name, **spec))


def status(
    phase: str = "Succeeded", *, total: int = 0, succeeded: int = 0, failed: int = 0, cancelled: int = 0, **more: Any
) -> Document:
    """A status whose items add up; what is left is pending. Finished ones have outputs."""
    counts = {"total": total, "succeeded": succeeded, "failed": failed, "cancelled": cancelled}
    items = counts | {"running": 0, "pending": total - succeeded - failed - cancelled}
    output = {"output": outputs()} if phase in ("Succeeded", "CompletedWithErrors", "Failed", "Cancelled") else {}
    return {"phase": phase, "items": items, **output, **more}


def outputs(namespace: str = "shop", name: str = "tickets", results: str = "results.jsonl") -> Document:
    """Where outputs are in the built-in store."""
    base = f"llmbatch://{namespace}/{name}"
    return {"results": f"{base}/{results}", "errors": f"{base}/errors.jsonl", "summary": f"{base}/summary.json"}


def condition(type_: str, reason: str, message: str = "", holds: bool = True) -> Document:
    """One condition."""
    return {
        "type": type_,
        "status": "True" if holds else "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": CREATED,
    }


def tally(category: str, count: int, item: str = "", message: str = "") -> Document:
    """One of the commonest errors."""
    return {"category": category, "count": count, "sampleItem": item, "sampleMessage": message}
