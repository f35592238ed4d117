"""What the API server refuses, and that it says so in the words of the command line."""

import re
from typing import Any

import pytest

from builders import Document, with_field, without_field
from contract.manifest_problems import problems
from crd_fixture import Batches, says, suspended

pytest_plugins = ["cluster_fixture", "crd_fixture"]

_ASK = {"role": "user", "content": "Hello"}
_URL = "must start with http:// or https:// and name a host, as in https://api.openai.com/v1"
_HOST = "has no valid host and port"
_PASSWORD = "must not hold a user or password: use apiKeySecret"
_NAME = "must be at most 63 lower-case letters, digits and '-', as in my-batch"
_CONCURRENCY = "must be 'auto' or a whole number from 1 to 4096"
_QUANTITY = "must be a quantity, as in 500m or 2Gi"
_ONE_SOURCE = "must have exactly one of items, uri, configMap and deadLettersOf"
_TAKEN = "is set by LLMBatch itself; remove it"
_LOCAL = "files of a laptop do not exist on a cluster; use items or configMap"
_BUILT_IN = "leave it out: results go to the built-in store"
_ONE_FORM = "needs either url, or ref with the name of an LLMEndpoint"
_REFERENCE = "must be the name of an LLMEndpoint: at most 63 lower-case letters, digits and '-'"
_CLOCK = "must be a time of day from 00:00 to 23:59, as in 22:00; put quotes around it"
_ITEMS = [{"body": "b"}]

_TAKEN_PARAMETERS: list[tuple[str, object, Document]] = [
    ("model", "gpt-4.1", {}),
    ("messages", [], {}),
    ("prompt", "a", {}),
    ("input", ["a"], {}),
    ("stream", True, {}),
    ("response_format", {"type": "json_object"}, {"responseSchema": {"type": "object"}}),
    ("text", {"format": {}}, {"responseSchema": {"type": "object"}}),
    ("instructions", "a", {"system": "b"}),
]


def _served_path(path: str) -> str:
    """The path as an API server writes it: names in a map stand in brackets."""
    return re.sub(r"(parameters|requests|limits)\.(\w+)$", r"\1[\2]", path)


@pytest.mark.parametrize(
    ("field", "value", "path", "message"),
    [
        pytest.param("spec.endpoint.url", "api.example.com/v1", "", _URL, id="a URL without a scheme"),
        pytest.param("spec.endpoint.url", "ftp://example.com", "", _URL, id="a URL of another kind"),
        pytest.param("spec.endpoint.url", "https://exa mple.com/v1", "", _URL, id="a URL with a space"),
        pytest.param("spec.endpoint.url", "https://example.com:http/v1", "", _HOST, id="a port of letters"),
        pytest.param("spec.endpoint.url", "https://example.com:0/v1", "", _HOST, id="port 0"),
        pytest.param("spec.endpoint.url", "https://me:secret@example.com/v1", "", _PASSWORD, id="a password in a URL"),
        pytest.param(
            "spec.endpoint.headers",
            {"X-Team": "a", "AUTHORIZATION": "Bearer x"},
            "",
            "AUTHORIZATION holds a key, which belongs into a Secret: use apiKeySecret",
            id="a key among the headers",
        ),
        pytest.param("spec.endpoint.headers", {"a b": "c"}, "", "'a b' is no name of a header", id="no header's name"),
        pytest.param(
            "spec.endpoint.headers",
            {"X-Team": "Süd"},
            "",
            "X-Team may hold only printable ASCII characters",
            id="a header that cannot be sent",
        ),
        pytest.param("spec.concurrency", 0, "", _CONCURRENCY, id="no concurrency"),
        pytest.param("spec.concurrency", 5000, "", _CONCURRENCY, id="a very high concurrency"),
        pytest.param("spec.concurrency", "many", "", _CONCURRENCY, id="a concurrency in words"),
        pytest.param("spec.input", {}, "", _ONE_SOURCE, id="no input"),
        pytest.param(
            "spec.input", {"items": _ITEMS, "configMap": {"name": "a", "key": "b"}}, "", _ONE_SOURCE, id="two inputs"
        ),
        pytest.param(
            "spec.input",
            {"items": _ITEMS, "format": "csv"},
            "spec.input.format",
            "inline items are objects, csv does not apply; remove it",
            id="items as csv",
        ),
        pytest.param(
            "spec.input",
            {"configMap": {"name": "a", "key": "b"}, "format": "openai", "idField": "c"},
            "spec.input.idField",
            "the id of an openai input is its custom_id; remove it",
            id="an idField with openai",
        ),
        pytest.param(
            "spec.input",
            {"configMap": {"name": "a", "key": "b"}, "format": "openai"},
            "spec.request",
            "an input of format openai holds whole requests; remove it",
            id="a request with openai",
        ),
        pytest.param("spec.request", {"system": "a"}, "", "must have prompt or messages", id="nothing to ask"),
        pytest.param(
            "spec.request",
            {"prompt": "a", "messages": [_ASK]},
            "spec.request.messages",
            "has the whole conversation; remove it, or system and prompt",
            id="prompt and messages",
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
            {"api": "embeddings", "prompt": "a", "responseSchema": {"type": "object"}},
            "spec.request.responseSchema",
            "needs api chat or responses, not embeddings",
            id="a schema for embeddings",
        ),
        *[
            pytest.param(
                "spec.request",
                {"prompt": "a", "parameters": {"temperature": 0, name: value}, **others},
                f"spec.request.parameters.{name}",
                _TAKEN,
                id=f"{name} among the parameters",
            )
            for name, value, others in _TAKEN_PARAMETERS
        ],
        pytest.param(
            "spec.output",
            {"format": "csv", "includeInput": True},
            "spec.output.includeInput",
            "goes with format jsonl only (csv has the input's columns anyway)",
            id="the input in csv results",
        ),
        pytest.param("spec.endpoint", {}, "", _ONE_FORM, id="no endpoint"),
        pytest.param("spec.endpoint", {"ref": "a", "url": "https://example.com/v1"}, "", _ONE_FORM, id="two endpoints"),
        pytest.param(
            "spec.endpoint",
            {"ref": "openai", "limits": {"requestsPerMinute": 5}},
            "spec.endpoint.ref",
            "stands alone: URL, key, headers, limits and pricing are those of the LLMEndpoint",
            id="limits beside a reference",
        ),
        pytest.param("spec.endpoint", {"ref": "Open AI"}, "spec.endpoint.ref", _REFERENCE, id="no name of an endpoint"),
        pytest.param("spec.budget", {}, "", "needs maxCost or maxTokens", id="an empty budget"),
        pytest.param(
            "spec.budget",
            {"maxCost": 5},
            "spec.budget.maxCost",
            "needs prices: give endpoint.pricing, or an LLMEndpoint with pricing",
            id="a budget without prices",
        ),
        pytest.param(
            "spec.window", {"start": "8:00", "end": "10:00"}, "spec.window.start", _CLOCK, id="no time of day"
        ),
        pytest.param(
            "spec.window", {"start": "22:00", "end": "24:00"}, "spec.window.end", _CLOCK, id="an hour too many"
        ),
        pytest.param(
            "spec.window",
            {"start": "22:00", "end": "22:00"},
            "spec.window.end",
            "is the same as start: the window would never open; leave window out to run at any time",
            id="a window that never opens",
        ),
        pytest.param(
            "spec.notify", [{"url": "example.com"}], "spec.notify[0].url", _URL, id="a webhook without a scheme"
        ),
        pytest.param(
            "spec.worker",
            {"resources": {"limits": {"memory": "2 GB"}}},
            "spec.worker.resources.limits.memory",
            _QUANTITY,
            id="memory in another way",
        ),
    ],
)
def test_api_server_and_command_line_refuse_a_manifest_in_the_same_words(
    shared_batches: Batches, field: str, value: Any, path: str, message: str
) -> None:
    document = with_field(suspended(), field, value)
    assert (path or field, message) in problems(document)
    assert says(shared_batches.refusal(document), _served_path(path or field), message)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        pytest.param("spec.model", "is required, as in gpt-4.1-mini", id="no model"),
        pytest.param("spec.request", "is required, unless input.format is openai", id="no request"),
    ],
)
def test_what_is_missing_is_said_in_the_same_words(shared_batches: Batches, field: str, message: str) -> None:
    document = without_field(suspended(input={"items": _ITEMS, "format": "jsonl"}), field)
    assert (field, message) in problems(document)
    assert says(shared_batches.refusal(document), field, message)


def test_a_name_that_is_too_long_for_the_objects_of_a_batch_is_refused(shared_batches: Batches) -> None:
    assert ("metadata.name", _NAME) in problems(suspended("a" * 64))
    assert f"metadata.name: {_NAME}" in shared_batches.refusal(suspended("a" * 64))
    shared_batches.try_out(suspended("a" * 63))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        pytest.param("spec.modle", "a", 'unknown field "spec.modle"', id="a slip in the spec"),
        pytest.param("spec.input.format", "xml", 'spec.input.format: Unsupported value: "xml"', id="an unknown format"),
        pytest.param(
            "spec.parallelism", 0, "spec.parallelism in body should be greater than or equal to 1", id="no pods"
        ),
        pytest.param("spec.input.items", ["a"], "spec.input.items[0]: Invalid value", id="an item without fields"),
        pytest.param(
            "spec.retry", {"maxSeconds": 0}, "retry.maxSeconds in body should be greater than 0", id="no wait"
        ),
        pytest.param(
            "spec.request.parameters", [], "spec.request.parameters: Invalid value", id="a list of parameters"
        ),
        pytest.param("spec.failurePolicy", {"stopOn": ["authh"]}, 'Unsupported value: "authh"', id="no category"),
        pytest.param("spec.endpoint.apiKeySecret", {}, "spec.endpoint.apiKeySecret.name: Required", id="no Secret"),
    ],
)
def test_other_mistakes_are_refused_with_their_path(
    shared_batches: Batches, field: str, value: Any, words: str
) -> None:
    assert problems(with_field(suspended(), field, value))
    assert words in shared_batches.refusal(with_field(suspended(), field, value))


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        pytest.param(suspended(input={"uri": "tickets.csv"}), "spec.input.uri", _LOCAL, id="a file as input"),
        pytest.param(suspended(output={"uri": "out/"}), "spec.output.uri", _BUILT_IN, id="a folder for the output"),
    ],
)
def test_what_only_a_local_run_can_do_is_refused_with_the_way_out(
    shared_batches: Batches, document: Document, path: str, message: str
) -> None:
    assert says(shared_batches.refusal(document), path, message)
