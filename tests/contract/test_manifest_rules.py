"""Unknown fields and rules over several fields of a manifest: what the user reads."""

from typing import Any

import pytest

from contract.manifest_problems import problems_with

_SPEC_FIELDS = (
    "endpoint, model, input, request, retry, failurePolicy, parallelism, shardSize, concurrency, "
    "requestTimeoutSeconds, activeDeadlineSeconds, ttlSecondsAfterFinished, priority, budget, canary, window, alerts, "
    "notify, suspend, cancel, output, deliver, telemetry, worker"
)
_ONE_SOURCE = "must have exactly one of items, uri, pvc, configMap and deadLettersOf"
_ASK = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param("spce", "is unknown; did you mean spec?", id="a slip at the top"),
        pytest.param("metadata.nmae", "is unknown; did you mean name?", id="a slip in metadata"),
        pytest.param("spec.failurepolicy", "is unknown; did you mean failurePolicy?", id="another case"),
        pytest.param("spec.input.idfield", "is unknown; did you mean idField?", id="another case, further down"),
        pytest.param(
            "spec.endpoint.limits.requestPerMinute", "is unknown; did you mean requestsPerMinute?", id="a lost letter"
        ),
        pytest.param(
            "spec.endpoint.limits.rpm",
            "is unknown; known here: requestsPerMinute, tokensPerMinute, inputTokensPerMinute, concurrency",
            id="nothing close in limits",
        ),
        pytest.param("spec.tiers", f"is unknown; known here: {_SPEC_FIELDS}", id="nothing close in spec"),
        pytest.param(
            "spec.input.path",
            "is unknown; known here: items, uri, store, credentialsSecret, pvc, configMap, deadLettersOf, format, "
            "delimiter, idField, where, limit, sample",
            id="nothing close in input",
        ),
        pytest.param("zzz", "is unknown; known here: apiVersion, kind, metadata, spec", id="nothing close at the top"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_name(path: str, message: str) -> None:
    assert problems_with(path, "x") == [(path, message)]


def test_an_unknown_field_in_a_list_is_refused_with_the_nearest_name() -> None:
    found = problems_with("spec.request", {"messages": [{**_ASK, "rol": "user"}]})
    assert found == [("spec.request.messages[0].rol", "is unknown; did you mean role?")]


@pytest.mark.parametrize(
    ("field", "value", "path", "message"),
    [
        pytest.param("spec.input", {}, "spec.input", _ONE_SOURCE, id="neither items nor uri"),
        pytest.param(
            "spec.input",
            {"items": [], "uri": "a"},
            "spec.input",
            _ONE_SOURCE,
            id="both items and uri",
        ),
        pytest.param(
            "spec.input",
            {"configMap": {"name": "a", "key": "b"}, "deadLettersOf": {"name": "a"}},
            "spec.input",
            _ONE_SOURCE,
            id="a ConfigMap and dead letters",
        ),
        pytest.param(
            "spec.input",
            {"items": [{}], "format": "csv"},
            "spec.input.format",
            "inline items are objects, csv and parquet do not apply; remove it",
            id="inline items as csv",
        ),
        pytest.param(
            "spec.input",
            {"uri": "a", "format": "openai", "idField": "id"},
            "spec.input.idField",
            "the id of an openai input is its custom_id; remove it",
            id="an idField with openai",
        ),
        pytest.param(
            "spec.input",
            {"uri": "a", "format": "openai"},
            "spec.request",
            "an input of format openai holds whole requests; remove it",
            id="a request with openai",
        ),
        pytest.param("spec.request", {"system": "a"}, "spec.request", "must have prompt or messages", id="no prompt"),
        pytest.param(
            "spec.request",
            {"prompt": "a", "messages": [_ASK]},
            "spec.request.messages",
            "has the whole conversation; remove it, or system and prompt",
            id="prompt and messages",
        ),
        pytest.param(
            "spec.request",
            {"system": "a", "messages": [_ASK]},
            "spec.request.messages",
            "has the whole conversation; remove it, or system and prompt",
            id="system and messages",
        ),
        pytest.param(
            "spec.request",
            {"api": "embeddings", "prompt": "a", "system": "b"},
            "spec.request.api",
            "embeddings takes a prompt only, no system and no messages",
            id="a system message for embeddings",
        ),
        pytest.param(
            "spec.request",
            {"api": "completions", "messages": [_ASK]},
            "spec.request.api",
            "completions takes a prompt only, no system and no messages",
            id="messages for completions",
        ),
        pytest.param(
            "spec.request",
            {"api": "embeddings", "prompt": "a", "responseSchema": {}},
            "spec.request.responseSchema",
            "needs api chat or responses, not embeddings",
            id="a schema for embeddings",
        ),
        *[
            pytest.param(
                "spec.request.parameters",
                {name: "x"},
                f"spec.request.parameters.{name}",
                "is set by LLMBatch itself; remove it",
                id=f"{name} among the parameters",
            )
            for name in ("model", "messages", "prompt", "input", "stream")
        ],
        *[
            pytest.param(
                "spec.endpoint.headers",
                {name: "Bearer x"},
                "spec.endpoint.headers",
                f"{name} holds a key, which belongs into a Secret: use apiKeySecret",
                id=f"a key in header {name}",
            )
            for name in ("Authorization", "api-key", "X-API-Key")
        ],
    ],
)
def test_a_rule_over_several_fields_names_the_one_to_change(field: str, value: Any, path: str, message: str) -> None:
    assert problems_with(field, value) == [(path, message)]
