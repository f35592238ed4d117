"""Builders of manifests with sensible defaults, for the tests of every part.

    batch()                                       a valid LLMBatch over tickets.csv
    batch(items=[{"a": 1}], prompt="{{ a }}")     shortcuts for the fields that tests set most
    batch(endpoint={"limits": {"concurrency": 2}}, shard_size=10)

`manifest` gives the same as the parsed document, `with_field` and `without_field` spoil one.
"""

import copy
from typing import Any

from pydantic.alias_generators import to_camel

from llmbatch_contract.spec import API_VERSION, KIND, LLMBatch

Document = dict[str, Any]

URL = "https://api.example.com/v1"


def batch(**overrides: Any) -> LLMBatch:
    """A valid batch; see `manifest` for the keywords."""
    return LLMBatch.model_validate(manifest(**overrides))


def manifest(
    name: str = "triage",
    *,
    items: list[Document] | None = None,
    uri: str | None = None,
    prompt: str | None = None,
    url: str | None = None,
    limits: Document | None = None,
    pricing: Document | None = None,
    **spec: Any,
) -> Document:
    """A manifest as YAML would give it.

    Any field of the spec may be given by name: `endpoint` is merged into the default, the others replace it, and
    None leaves a field out.
    """
    endpoint = {"url": url or URL, "limits": limits, "pricing": pricing, **spec.pop("endpoint", {})}
    fields = {
        "endpoint": {k: v for k, v in endpoint.items() if v is not None},
        "model": "gpt-4.1-mini",
        "input": {"items": items} if items is not None else {"uri": uri or "tickets.csv"},
        "request": {"prompt": prompt or "Which kind of ticket is this? {{ body }}"},
        **{to_camel(field): value for field, value in spec.items()},
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {k: v for k, v in fields.items() if v is not None},
    }


def with_field(document: Document, path: str, value: Any) -> Document:
    """A copy of a document with one field set, as in `spec.input.uri`; what is missing on the way is made."""
    changed = copy.deepcopy(document)
    *parents, last = path.split(".")
    place = changed
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return changed


def without_field(document: Document, path: str) -> Document:
    """A copy of a document with one field left out."""
    changed = copy.deepcopy(document)
    *parents, last = path.split(".")
    place = changed
    for parent in parents:
        place = place[parent]
    del place[last]
    return changed
