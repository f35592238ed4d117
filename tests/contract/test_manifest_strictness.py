"""Manifests that must not pass, and sentences that must be about the manifest alone."""

import datetime
from typing import Any

import pytest

from builders import Document
from contract.manifest_problems import problems_with


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("spec.shardSize", True, id="true as a whole number"),
        pytest.param("spec.requestTimeoutSeconds", True, id="true as a number"),
        pytest.param("spec.shardSize", "10", id="text as a whole number"),
        pytest.param("spec.endpoint.limits.requestsPerMinute", "500", id="text as a number"),
        pytest.param("spec.output.includeInput", "yes", id="text as true"),
        pytest.param("spec.output.includeInput", 1, id="1 as true"),
        pytest.param("spec.input.id_field", "id", id="a field's name in Python's spelling"),
        pytest.param("spec.endpoint.url", "https://exa mple/v1", id="a host with a space"),
        pytest.param("metadata.name", "a..b", id="a name with two dots in a row"),
    ],
)
def test_what_a_cluster_would_refuse_is_refused_here(field: str, value: Any) -> None:
    assert problems_with(field, value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("spec.shardSize", 2_000_000, id="a large bound"),
        pytest.param("spec.endpoint.headers", None, id="a null for fields"),
        pytest.param("spec.endpoint.url", None, id="a null for text"),
        pytest.param("spec.endpoint.url", True, id="true for text"),
        pytest.param("spec.input.delimiter", ";;", id="a delimiter of two characters"),
        pytest.param("spec.requestTimeoutSeconds", float("inf"), id="infinity"),
        pytest.param("spec", {1: 2}, id="a field whose name is a number"),
        pytest.param("spec.input.uri", datetime.date(2024, 1, 1), id="a date for text"),
    ],
)
def test_a_sentence_has_no_words_of_python_or_its_libraries(field: str, value: Any) -> None:
    for _, message in problems_with(field, value):
        for word in ("None", "True", "e+0", "string should", "input should", "keys should", "datetime", "not inf"):
            assert word not in message


@pytest.mark.parametrize("content", [5, None, [5]], ids=["a number", "null", "a list of numbers"])
def test_content_that_is_neither_text_nor_parts_is_one_problem_at_the_content(content: object) -> None:
    found = problems_with("spec.request", {"messages": [{"role": "user", "content": content}]})
    assert len(found) == 1
    assert found[0][0].removesuffix("[0]") == "spec.request.messages[0].content"


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        pytest.param("spec.endpoint.headers", {1: "x"}, "spec.endpoint.headers", id="a header named 1"),
        pytest.param("spec.input", {"items": [{1: 2}]}, "spec.input.items[0]", id="an item's field named 1"),
        pytest.param("spec.endpoint.headers", {"int": 5}, "spec.endpoint.headers.int", id="a header named int"),
    ],
)
def test_a_path_has_only_the_names_and_numbers_of_the_manifest(field: str, value: Document, path: str) -> None:
    assert [p.removesuffix(".1").removesuffix("[1]") for p, _ in problems_with(field, value)] == [path]
