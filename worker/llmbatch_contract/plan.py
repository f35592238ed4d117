"""The plan of a batch: what was planned, from which objects, and which part of them belongs to which shard."""

import hashlib
from typing import Any, NamedTuple

from pydantic import Field

from llmbatch_contract.model import Model
from llmbatch_contract.spec import InputFormat, LLMBatch, Packing
from llmbatch_contract.storage import without_query
from llmbatch_contract.trace import BatchTrace


class Shard(NamedTuple):
    """A run of consecutive items, and where they stand: a range of one object, or of several that follow each other.

    Offsets are bytes, or rows in Parquet.
    """

    number: int
    first_item: int
    """Number of its first item in the whole input, from 0."""
    items: int
    start: int
    """Offset of its first item in `first_object`."""
    end: int
    """Offset after its last item in `last_object`."""
    first_object: int = 0
    """Number of the object in `PlannedInput.objects`; 0 for an unpacked input, which is one object."""
    last_object: int = 0
    """The same as `first_object`, or a later one: of those between, all items are the shard's."""


class PlannedObject(NamedTuple):
    """One object of the input as it was when it was planned."""

    uri: str
    etag: str | None
    """Its version; None where the store tells none."""
    size: int
    """Its bytes, as they are stored."""
    data_start: int = 0
    """Offset of its first item, after a CSV header."""
    data_end: int = 0
    """Offset after its last item: its size, or its number of rows in Parquet."""


class PlannedInput(Model):
    """The input as it was when it was planned."""

    uri: str
    """As users know it; `spec.input.items` for inline items."""
    objects: list[PlannedObject] = Field(default_factory=list)
    """What `uri` stood for, in order; empty for inline items and dead letters."""
    unpacked: bool
    """Shards read the items as JSON lines from the working store (`input`), not from `objects`."""
    numbered: bool = False
    """These lines are pairs `[number, item]`: the number that the item has in the input, of which some were taken."""
    size: int
    """Bytes of all objects, as they are stored; of inline items as JSON lines."""
    sha256: str | None = None
    """Digest of these bytes; of several objects, of the lines `sha256sum` prints for them (digest, two spaces, URI).
    None where only a part of the bytes was read, as of Parquet."""
    format: InputFormat
    packing: Packing = Packing.NONE
    delimiter: str = ","
    fields: list[str]
    """Names of the items' fields in order of first appearance; the columns, for CSV and Parquet."""
    columns: list[str] | None = None
    """Those that are read from Parquet. None: all."""


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


_MAY_CHANGE_IN_INPUT = ("items", "store", "credentialsSecret")
"""Items are compared by their digest; the way to a store is no part of the question."""
_FORM = ("format", "compression", "layout", "includeInput", "fields")


def asked_of(batch: LLMBatch) -> dict[str, Any]:
    """What must stay the same for a run to be continued: the question, the items and the form of the answers."""
    spec = batch.spec.dump()
    output = spec.get("output", {})
    return {
        "name": batch.metadata.name,
        "namespace": batch.metadata.namespace,
        "spec": {
            "model": spec.get("model"),
            "input": {k: _told(v) for k, v in spec["input"].items() if k not in _MAY_CHANGE_IN_INPUT},
            "request": spec.get("request"),
            "shardSize": spec.get("shardSize"),
            "output": {k: output.get(k) for k in _FORM},
        },
    }


def _told(value: Any) -> Any:
    """A web address with a digest for its query, which may be a signature; all else as it is."""
    if not isinstance(value, str) or (place := without_query(value)) == value:
        return value
    return f"{place}?sha256={hashlib.sha256(value.encode()).hexdigest()}"


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
