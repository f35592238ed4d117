"""LLMEndpoints as an API server has them, and how they are used."""

from datetime import UTC, datetime
from typing import Any

from llmbatch_contract.sharing import Amounts, EndpointFacts
from llmbatch_contract.spec import API_VERSION, Limits
from llmbatch_operator.endpoints.known import Endpoints, KnownEndpoint, read_endpoint
from llmbatch_operator.facts import Body

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
URL = "https://api.example.com/v1"
LIMITS = {"requestsPerMinute": 600.0, "tokensPerMinute": 100_000.0}


def endpoint_body(name: str = "shared", generation: int = 1, *, status: Body | None = None, **spec: Any) -> Body:
    """An LLMEndpoint; the keywords are fields of its spec."""
    metadata = {"name": name, "uid": f"uid-{name}", "generation": generation, "resourceVersion": "7"}
    body = {"apiVersion": API_VERSION, "kind": "LLMEndpoint", "metadata": metadata, "spec": {"url": URL, **spec}}
    return body | ({} if status is None else {"status": status})


def known(name: str = "shared", **spec: Any) -> KnownEndpoint:
    """The same, read."""
    return read_endpoint(endpoint_body(name, **spec))


def endpoints(*bodies: Body) -> Endpoints:
    """All there are."""
    made = Endpoints()
    for body in bodies:
        made.put(body)
    return made


def endpoint_facts(**facts: Any) -> EndpointFacts:
    """One that eight pods of two batches use, and that answers."""
    defaults: dict[str, Any] = {
        "batches": 2,
        "pods": 8,
        "waiting_pods": 0,
        "granted": Amounts(592, 98_000),
        "used": Amounts(571.26, 80_123.4, 60_000, 12),
        "limits": Limits.model_validate(LIMITS),
        "effective": Limits.model_validate(LIMITS),
        "has_answered": True,
    }
    return EndpointFacts(**defaults | facts)
