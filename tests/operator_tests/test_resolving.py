"""What the pods of a batch ask that refers to an LLMEndpoint, or what is in the way."""

from typing import Any

import pytest

import builders
from llmbatch_contract.spec import Endpoint, LLMBatch
from llmbatch_contract.status import Reason
from llmbatch_operator.endpoint_marks import mark_of
from llmbatch_operator.endpoints.known import KnownEndpoint
from llmbatch_operator.endpoints.resolving import resolve
from llmbatch_operator.gather import Gatherer
from operator_tests.endpoint_builders import LIMITS, URL, endpoint_body, endpoints, known
from operator_tests.kube_bodies import batch_body
from operator_tests.operator_builders import CONFIG_MAP

_PRICES = {"gpt-4.1-mini": {"inputPerMillion": 0.4}, "*": {"inputPerMillion": 2.0}}
_BEFORE = Endpoint(url="https://before.example.com/v1")


def _batch(namespace: str = "team-a", **fields: Any) -> LLMBatch:
    document = builders.manifest(**{"input": CONFIG_MAP, **fields})
    document["spec"]["endpoint"] = {"ref": "shared"}
    document["metadata"]["namespace"] = namespace
    return LLMBatch.model_validate(document)


def test_a_batch_gets_everything_that_its_endpoint_says() -> None:
    secret = {"name": "openai", "key": "k"}
    others: dict[str, Any] = {"apiKeySecret": secret, "headers": {"X-A": "b"}, "provider": "mine"}
    found = resolve(_batch(), known(limits=LIMITS, pricing=_PRICES, **others), None)
    assert (found.problem, found.must_hold) == (None, False)
    assert found.batch is not None
    endpoint = found.batch.spec.endpoint
    assert endpoint.dump() == {
        "url": URL,
        "apiKeySecret": secret,
        "headers": {"X-A": "b"},
        "provider": "mine",
        "limits": LIMITS,
        "pricing": {"inputPerMillion": 0.4, "outputPerMillion": 0.0, "currency": "USD"},
    }
    assert found.batch.spec.model_copy(update={"endpoint": _batch().spec.endpoint}) == _batch().spec


@pytest.mark.parametrize(
    ("model", "price"),
    [
        pytest.param("gpt-4.1-mini", 0.4, id="its own"),
        pytest.param("gpt-5", 2.0, id="those of all others"),
        pytest.param(None, 2.0, id="whole requests name the model"),
    ],
)
def test_prices_are_those_of_the_model(model: str | None, price: float) -> None:
    fields: dict[str, Any] = {"request": None, "input": CONFIG_MAP | {"format": "openai"}} if model is None else {}
    found = resolve(_batch(model=model, **fields), known(pricing=_PRICES), None)
    assert found.batch is not None
    assert found.batch.spec.endpoint.pricing is not None
    assert found.batch.spec.endpoint.pricing.input_per_million == price


def test_a_batch_with_an_endpoint_of_its_own_needs_no_other() -> None:
    batch = builders.batch()
    assert resolve(batch, None, None).batch is batch


_NO_PRICES = known(pricing={"another": {"inputPerMillion": 1.0}})


@pytest.mark.parametrize(
    ("endpoint", "fields", "reason", "words"),
    [
        pytest.param(None, {}, Reason.ENDPOINT_MISSING, "there is no LLMEndpoint shared; create it", id="missing"),
        pytest.param(
            known(headers={"Authorization": "x"}),
            {},
            Reason.ENDPOINT_INVALID,
            "cannot be used: spec.headers: Authorization holds a key",
            id="broken",
        ),
        pytest.param(
            _NO_PRICES,
            {"budget": {"maxCost": 5.0}},
            Reason.ENDPOINT_INVALID,
            "budget.maxCost needs prices, and the LLMEndpoint shared has none for gpt-4.1-mini; add them",
            id="without prices for a budget",
        ),
    ],
)
def test_a_batch_that_cannot_use_its_endpoint_waits_or_goes_on_with_what_it_was(
    endpoint: KnownEndpoint | None, fields: dict[str, Any], reason: Reason, words: str
) -> None:
    first = resolve(_batch(**fields), endpoint, None)
    assert first.problem is not None
    assert (first.batch, first.problem.reason, first.must_hold) == (None, reason, True)
    assert words in first.problem.message
    priced = _BEFORE.model_copy(update={"pricing": known(pricing=_PRICES).spec.pricing["*"]})  # type: ignore[union-attr]
    later = resolve(_batch(**fields), endpoint, priced)
    assert later.batch is not None
    assert (later.batch.spec.endpoint, later.must_hold, later.problem) == (priced, False, first.problem)


def test_a_budget_holds_a_batch_whose_cost_was_never_known() -> None:
    assert resolve(_batch(budget={"maxCost": 5.0}), _NO_PRICES, _BEFORE).must_hold
    assert not resolve(_batch(budget={"maxTokens": 5}), _NO_PRICES, _BEFORE).must_hold


@pytest.mark.parametrize(
    ("allowed", "is_allowed"),
    [
        pytest.param(None, True, id="all, as nothing is said"),
        pytest.param(["*"], True, id="all"),
        pytest.param(["team-b", "team-a"], True, id="this one and another"),
        pytest.param(["team-b"], False, id="another"),
        pytest.param([], False, id="none"),
    ],
)
def test_an_endpoint_is_for_the_namespaces_that_it_allows(allowed: list[str] | None, is_allowed: bool) -> None:
    endpoint = known() if allowed is None else known(allowedNamespaces=allowed)
    found = resolve(_batch(), endpoint, _BEFORE)
    assert found.must_hold != is_allowed
    if found.problem is not None:
        assert found.problem.reason is Reason.ENDPOINT_FORBIDDEN
        assert "allows no batches of namespace team-a" in found.problem.message


def test_pods_can_read_what_they_are_told() -> None:
    found = resolve(_batch(budget={"maxCost": 5.0}), known(pricing=_PRICES), None)
    assert found.batch is not None
    assert LLMBatch.load(found.batch.dump_json()).spec == found.batch.spec
    assert LLMBatch.load(_batch().dump_json()).spec.endpoint.ref == "shared", "to come to its end without an endpoint"


@pytest.mark.parametrize(
    ("change", "address", "key"),
    [
        pytest.param({"limits": LIMITS, "pricing": _PRICES}, True, True, id="limits and prices"),
        pytest.param({"url": "https://eu.example.com/v1"}, False, True, id="the URL"),
        pytest.param({"headers": {"X-A": "b"}}, False, True, id="headers"),
        pytest.param({"apiKeySecret": {"name": "openai", "key": "k"}}, True, False, id="the key"),
    ],
)
def test_the_mark_tells_what_pods_have_to_be_replaced_for(change: dict[str, Any], address: bool, key: bool) -> None:
    before, after = (resolve(_batch(), known(**spec), None).batch for spec in ({}, change))
    assert before is not None
    assert after is not None
    old, new = mark_of(before.spec.endpoint), mark_of(after.spec.endpoint)
    assert (old.address == new.address, old.key == new.key) == (address, key)


def test_a_batch_is_resolved_once_until_its_endpoint_changes() -> None:
    there = endpoints(endpoint_body())
    gatherer = Gatherer(endpoints=there)
    body = batch_body()
    body["spec"]["endpoint"] = {"ref": "shared"}
    first = gatherer.parse(body)
    assert first.batch is not None
    assert (first.endpoint, first.batch.spec.endpoint.url) == ("shared", None)
    assert first.resolved is not None
    assert first.resolved.spec.endpoint.url == URL
    there.put(endpoint_body(status={"pods": 3}))
    assert gatherer.parse(body) is first
    there.put(endpoint_body(generation=2, allowedNamespaces=["*"]))
    assert gatherer.parse(body).resolved is first.resolved, "nothing that concerns the batch"
    there.put(endpoint_body(generation=3, limits=LIMITS))
    changed = gatherer.parse(body).resolved
    assert changed is not None
    assert changed.spec.endpoint.limits.requests_per_minute == 600
    there.drop(endpoint_body())
    gone = gatherer.parse(body)
    assert gone.resolved is changed
    assert gone.endpoint_problem is not None
    gatherer.forget(body["metadata"]["uid"])
    assert gatherer.parse(body).must_hold
