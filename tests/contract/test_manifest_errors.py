"""What a user reads when a field of a manifest is wrong: its path and one sentence."""

from typing import Any

import pytest

from builders import manifest, with_field, without_field
from contract.manifest_problems import problems, problems_with

_CATEGORIES = (
    "rate_limited, overloaded, server_error, timeout, connection, auth, permission, quota_exhausted, model_not_found, "
    "invalid_request, context_length, content_filter, refusal, truncated, invalid_output, template_error, cancelled, "
    "deadline or unknown"
)
_URL = "must start with http:// or https:// and name a host, as in https://api.openai.com/v1"
_NAME = "must be at most 63 lower-case letters, digits and '-', as in my-batch"
_CONCURRENCY = "must be 'auto' or a whole number from 1 to 4096"
_QUANTITY = "must be a quantity, as in 500m or 2Gi"
_ASK = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        pytest.param(
            document,
            "",
            "holds no manifest: it must start with apiVersion: llmbatch.dev/v1alpha1 and kind: LLMBatch",
            id=f"a file that holds {name}",
        )
        for name, document in [("nothing", None), ("a list", [manifest()]), ("a text", "hello"), ("a number", 5)]
    ]
    + [
        pytest.param({}, "kind", "must be LLMBatch, not missing", id="a file of no fields"),
        pytest.param(with_field(manifest(), "kind", "Job"), "kind", "must be LLMBatch, not Job", id="another kind"),
        pytest.param(without_field(manifest(), "kind"), "kind", "must be LLMBatch, not missing", id="no kind"),
        pytest.param(
            with_field(manifest(), "apiVersion", "batch/v1"),
            "apiVersion",
            "must be llmbatch.dev/v1alpha1, not batch/v1",
            id="another apiVersion",
        ),
        pytest.param(
            without_field(manifest(), "apiVersion"),
            "apiVersion",
            "must be llmbatch.dev/v1alpha1, not missing",
            id="no apiVersion",
        ),
        pytest.param(without_field(manifest(), "spec"), "spec", "is required", id="no spec"),
        pytest.param(without_field(manifest(), "metadata"), "metadata", "is required", id="no metadata"),
        pytest.param(without_field(manifest(), "metadata.name"), "metadata.name", "is required", id="no name"),
        pytest.param(without_field(manifest(), "spec.endpoint"), "spec.endpoint", "is required", id="no endpoint"),
        pytest.param(
            without_field(manifest(), "spec.endpoint.url"),
            "spec.endpoint",
            "needs either url, or ref with the name of an LLMEndpoint",
            id="no url",
        ),
        pytest.param(without_field(manifest(), "spec.input"), "spec.input", "is required", id="no input"),
        pytest.param(
            without_field(manifest(), "spec.model"), "spec.model", "is required, as in gpt-4.1-mini", id="no model"
        ),
        pytest.param(
            without_field(manifest(input={"uri": "a", "format": "csv"}), "spec.request"),
            "spec.request",
            "is required, unless input.format is openai",
            id="no request where the format is not openai",
        ),
    ],
)
def test_a_document_that_is_no_batch_says_what_is_missing(document: object, path: str, message: str) -> None:
    assert problems(document) == [(path, message)]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        pytest.param("metadata", "triage", "must hold fields, not 'triage'", id="metadata that is text"),
        pytest.param("metadata.name", 5, "must be text, not 5; put quotes around it", id="a name that is a number"),
        pytest.param("metadata.name", "My_Batch", _NAME, id="a name of capitals"),
        pytest.param("metadata.name", "a" * 64, _NAME, id="a name of 64 letters"),
        pytest.param("metadata.name", "", _NAME, id="an empty name"),
        pytest.param("metadata.name", "-a", _NAME, id="a name that starts with a hyphen"),
        pytest.param("metadata.labels", ["a"], "must hold fields, not ['a']", id="labels that are a list"),
        pytest.param("spec", [], "must hold fields, not []", id="a spec that is a list"),
        pytest.param("spec.endpoint", "https://a", "must hold fields, not 'https://a'", id="an endpoint that is text"),
        pytest.param("spec.endpoint.url", "api.openai.com/v1", _URL, id="a url without a scheme"),
        pytest.param("spec.endpoint.url", "ftp://a/v1", _URL, id="a url of another scheme"),
        pytest.param("spec.endpoint.url", "https://", _URL, id="a url without a host"),
        pytest.param("spec.endpoint.url", 8000, "must be text, not 8000; put quotes around it", id="a url: number"),
        pytest.param("spec.endpoint.apiKeySecret", "openai", "must hold fields, not 'openai'", id="a secret as text"),
        pytest.param("spec.endpoint.headers", [], "must hold fields, not []", id="headers that are a list"),
        pytest.param("spec.endpoint.limits", 500, "must hold fields, not 500", id="limits that are a number"),
        pytest.param("spec.endpoint.limits.requestsPerMinute", 0, "must be more than 0, not 0", id="no requests"),
        pytest.param("spec.endpoint.limits.tokensPerMinute", "200k", "must be a number, not '200k'", id="200k tokens"),
        pytest.param("spec.endpoint.limits.inputTokensPerMinute", -1, "must be more than 0, not -1", id="-1 tokens"),
        pytest.param("spec.endpoint.limits.concurrency", 0, "must be at least 1, not 0", id="a limit of nothing"),
        pytest.param("spec.endpoint.limits.concurrency", 1.5, "must be a whole number, not 1.5", id="half a request"),
        pytest.param("spec.endpoint.pricing", 5, "must hold fields, not 5", id="pricing that is a number"),
        pytest.param("spec.model", "", "must not be empty", id="an empty model"),
        pytest.param("spec.model", 4.1, "must be text, not 4.1; put quotes around it", id="a model that is a number"),
        pytest.param("spec.input", "a.csv", "must hold fields, not 'a.csv'", id="an input that is text"),
        pytest.param("spec.input.uri", "", "must not be empty", id="an empty uri"),
        pytest.param("spec.input.uri", 5, "must be text, not 5; put quotes around it", id="a uri that is a number"),
        pytest.param(
            "spec.input.format", "xml", "must be auto, jsonl, csv, parquet or openai, not 'xml'", id="a format unknown"
        ),
        pytest.param("spec.input.delimiter", "", "must not be empty", id="an empty delimiter"),
        pytest.param("spec.input.idField", "", "must not be empty", id="an empty idField"),
        pytest.param("spec.request", "Hello", "must hold fields, not 'Hello'", id="a request that is text"),
        pytest.param(
            "spec.request.api",
            "chatt",
            "must be chat, responses, completions or embeddings, not 'chatt'",
            id="an api unknown",
        ),
        pytest.param("spec.request.prompt", 5, "must be text, not 5; put quotes around it", id="a prompt: number"),
        pytest.param("spec.request.system", ["a"], "must be text, not ['a']", id="a system list"),
        pytest.param("spec.request.messages", [], "must not be empty", id="no messages"),
        pytest.param("spec.request.messages", "Hello", "must be a list, not 'Hello'", id="messages that are text"),
        pytest.param("spec.request.parameters", [1], "must hold fields, not [1]", id="parameters that are a list"),
        pytest.param("spec.request.responseSchema", "x", "must hold fields, not 'x'", id="a schema that is text"),
        pytest.param("spec.retry", 3, "must hold fields, not 3", id="a retry that is a number"),
        pytest.param("spec.retry.maxAttempts", 0, "must be at least 1, not 0", id="no attempts"),
        pytest.param("spec.retry.maxAttempts", 101, "must be at most 100, not 101", id="101 attempts"),
        pytest.param("spec.retry.maxAttempts", "often", "must be a whole number, not 'often'", id="attempts: text"),
        pytest.param("spec.retry.initialSeconds", 0, "must be more than 0, not 0", id="a first wait of nothing"),
        pytest.param("spec.retry.maxSeconds", 3601, "must be at most 3,600, not 3601", id="a wait of over an hour"),
        pytest.param(
            "spec.failurePolicy.maxFailurePercent", 101, "must be at most 100, not 101", id="more than 100 percent"
        ),
        pytest.param(
            "spec.failurePolicy.maxFailurePercent", "10%", "must be a number, not '10%'", id="percent with a sign"
        ),
        pytest.param("spec.failurePolicy.minItems", 0, "must be at least 1, not 0", id="minItems of nothing"),
        pytest.param("spec.failurePolicy.stopOn", "auth", "must be a list, not 'auth'", id="stopOn as text"),
        pytest.param("spec.shardSize", 0, "must be at least 1, not 0", id="shards of nothing"),
        pytest.param("spec.shardSize", "1e3", "must be a whole number, not '1e3'", id="a shardSize as YAML reads 1e3"),
        pytest.param("spec.concurrency", 0, _CONCURRENCY, id="a concurrency of nothing"),
        pytest.param("spec.concurrency", 4097, _CONCURRENCY, id="a concurrency of 4097"),
        pytest.param("spec.concurrency", "many", _CONCURRENCY, id="a concurrency of many"),
        pytest.param("spec.concurrency", True, _CONCURRENCY, id="a concurrency of true"),
        pytest.param("spec.requestTimeoutSeconds", "5m", "must be a number, not '5m'", id="a timeout with a unit"),
        pytest.param("spec.requestTimeoutSeconds", 86401, "must be at most 86,400, not 86401", id="over a day"),
        pytest.param("spec.output", "out/", "must hold fields, not 'out/'", id="an output that is text"),
        pytest.param("spec.output.uri", "", "must not be empty", id="an empty output uri"),
        pytest.param(
            "spec.output.format", "xml", "must be jsonl, csv, parquet or openai, not 'xml'", id="an output of xml"
        ),
        pytest.param(
            "spec.output.includeInput", "perhaps", "must be true or false, not 'perhaps'", id="includeInput perhaps"
        ),
        pytest.param(
            "spec.input.uri",
            ["x" * 100],
            "must be text, not ['" + "x" * 55 + "...",
            id="a long value is cut",
        ),
    ],
)
def test_a_field_of_the_wrong_type_or_size_says_what_it_must_be(path: str, value: Any, message: str) -> None:
    assert problems_with(path, value) == [(path, message)]


@pytest.mark.parametrize(
    ("field", "value", "path", "message"),
    [
        pytest.param("metadata.labels", {"a": 5}, "metadata.labels.a", "must be text, not 5; put quotes around it"),
        pytest.param("spec.endpoint.apiKeySecret", {}, "spec.endpoint.apiKeySecret.name", "is required"),
        pytest.param("spec.endpoint.apiKeySecret.name", "", "spec.endpoint.apiKeySecret.name", "must not be empty"),
        pytest.param("spec.endpoint.pricing", {}, "spec.endpoint.pricing.inputPerMillion", "is required"),
        pytest.param(
            "spec.endpoint.pricing",
            {"inputPerMillion": -1},
            "spec.endpoint.pricing.inputPerMillion",
            "must be at least 0, not -1",
        ),
        pytest.param("spec.worker", {"env": [{"value": "a"}]}, "spec.worker.env[0].name", "is required"),
        pytest.param(
            "spec.worker", {"resources": {"requests": {"cpu": True}}}, "spec.worker.resources.requests.cpu", _QUANTITY
        ),
        pytest.param(
            "spec.worker", {"resources": {"limits": {"cpu": "2 GB"}}}, "spec.worker.resources.limits.cpu", _QUANTITY
        ),
        pytest.param("spec.input", {"configMap": {"name": "a"}}, "spec.input.configMap.key", "is required"),
        pytest.param(
            "spec.input",
            {"deadLettersOf": {"name": "a" * 64}},
            "spec.input.deadLettersOf.name",
            f"must be at most 63 characters long, not '{'a' * 56}...",
        ),
        pytest.param(
            "spec.endpoint.headers",
            {f"x-{n}": "a" for n in range(65)},
            "spec.endpoint.headers",
            "must hold at most 64, not more",
        ),
        pytest.param("spec.input", {"items": ["a"]}, "spec.input.items[0]", "must hold fields, not 'a'"),
        pytest.param("spec.input", {"items": {"a": 1}}, "spec.input.items", "must be a list, not {'a': 1}"),
        pytest.param("spec.failurePolicy.stopOn", ["auth", "authh"], "spec.failurePolicy.stopOn[1]",
                     f"must be {_CATEGORIES}, not 'authh'"),
        pytest.param("spec.request", {"messages": ["a"]}, "spec.request.messages[0]", "must hold fields, not 'a'"),
        pytest.param(
            "spec.request",
            {"messages": [_ASK, {"role": "robot", "content": "a"}]},
            "spec.request.messages[1].role",
            "must be system, developer, user or assistant, not 'robot'",
        ),
        pytest.param(
            "spec.request", {"messages": [{"role": "user"}]}, "spec.request.messages[0].content", "is required"
        ),
    ],
)  # fmt: skip
def test_a_problem_deep_inside_a_field_is_named_where_it_is(field: str, value: Any, path: str, message: str) -> None:
    assert problems_with(field, value) == [(path, message)]
