"""The plan of a batch: what was planned, from which input, and which bytes belong to which shard."""

from typing import Any, NamedTuple

from pydantic import Field

from llmbatch_contract.model import Model
from llmbatch_contract.spec import InputFormat, LLMBatch
from llmbatch_contract.trace import BatchTrace


class Shard(NamedTuple):
    """A run of consecutive items, and the bytes of the input that hold them."""

    number: int
    first_item: int
    """Number of its first item in the whole input, from 0."""
    items: int
    start: int
    """Offset of its first byte."""
    end: int
    """Offset after its last byte."""


class PlannedInput(Model):
    """The input as it was when it was planned."""

    uri: str
    """What shards read, unless it is unpacked; `spec.input.items` for inline items."""
    unpacked: bool
    """The bytes are in the working store (`input`), not at `uri`."""
    etag: str | None = None
    """Version of the object at `uri`; None for inline items."""
    size: int
    """Bytes that shards read, unpacked."""
    sha256: str
    """Digest of these bytes."""
    format: InputFormat
    delimiter: str = ","
    fields: list[str]
    """Names of the items' fields in order of first appearance; the columns, for CSV."""


class Plan(Model):
    """Everything a shard needs to know, written once; never changed."""

    uid: str
    """Identity of the run: idempotency keys derive from it."""
    trace: BatchTrace
    created_at: str
    """UTC, ISO 8601."""
    version: str
    """Of llmbatch."""
    asked: dict[str, Any]
    """The parts of the manifest that may not change between runs (see `asked_of`)."""
    input: PlannedInput
    items: int
    shards: list[Shard]
    input_tokens_estimate: int = Field(ge=0)
    """Of all first requests, by characters / 4."""


def asked_of(batch: LLMBatch) -> dict[str, Any]:
    """What must stay the same for a run to be continued: the question, the items and the form of the answers."""
    spec = batch.spec.dump()
    output = spec.get("output", {})
    return {
        "name": batch.metadata.name,
        "namespace": batch.metadata.namespace,
        "spec": {
            "model": spec.get("model"),
            "input": {k: v for k, v in spec["input"].items() if k != "items"},
            "request": spec.get("request"),
            "shardSize": spec.get("shardSize"),
            "output": {"format": output.get("format"), "includeInput": output.get("includeInput")},
        },
    }


def changed_fields(before: Any, after: Any, path: str = "") -> list[str]:
    """Paths of the fields in which two `asked_of` differ, as in `spec.request.prompt`."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = dict.fromkeys([*before, *after])
        return [
            changed
            for name in names
            for changed in changed_fields(before.get(name), after.get(name), f"{path}.{name}" if path else name)
        ]
    return [] if type(before) is type(after) and before == after else [path]
