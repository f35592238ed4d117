"""Which changes of a manifest a run may go on with, and how the others are named."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import batch, manifest, with_field
from llmbatch_contract.plan import Plan, PlannedInput, PlannedObject, Shard, asked_of, changed_fields
from llmbatch_contract.spec import InputFormat, LLMBatch
from llmbatch_contract.trace import trace_of


def changes(path: str, value: Any) -> list[str]:
    after = LLMBatch.model_validate(with_field(manifest(), path, value))
    return changed_fields(asked_of(batch()), asked_of(after))


@pytest.mark.parametrize(
    ("path", "value", "changed"),
    [
        pytest.param("metadata.name", "other", ["name"], id="another name"),
        pytest.param("metadata.namespace", "other", ["namespace"], id="another namespace"),
        pytest.param("spec.model", "gpt-5", ["spec.model"], id="another model"),
        pytest.param("spec.input.uri", "b.csv", ["spec.input.uri"], id="another input"),
        pytest.param("spec.input.idField", "id", ["spec.input.idField"], id="an id field"),
        pytest.param("spec.input.format", "csv", ["spec.input.format"], id="another input format"),
        pytest.param("spec.input.delimiter", ";", ["spec.input.delimiter"], id="another delimiter"),
        pytest.param("spec.request.prompt", "b", ["spec.request.prompt"], id="another prompt"),
        pytest.param("spec.request.system", "b", ["spec.request.system"], id="a system message"),
        pytest.param("spec.request.parameters", {"seed": 1}, ["spec.request.parameters.seed"], id="a parameter"),
        pytest.param("spec.request.responseSchema", {"type": "object"}, ["spec.request.responseSchema"], id="a schema"),
        pytest.param("spec.shardSize", 7, ["spec.shardSize"], id="a shard size"),
        pytest.param("spec.output", {"format": "csv"}, ["spec.output.format"], id="another output format"),
        pytest.param("spec.output", {"includeInput": True}, ["spec.output.includeInput"], id="items in the results"),
    ],
)
def test_what_was_asked_may_not_change(path: str, value: Any, changed: list[str]) -> None:
    assert changes(path, value) == changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("metadata.labels", {"a": "b"}, id="labels"),
        pytest.param("spec.endpoint.url", "https://b/v1", id="the url"),
        pytest.param("spec.endpoint.limits", {"requestsPerMinute": 5}, id="limits"),
        pytest.param("spec.endpoint.pricing", {"inputPerMillion": 5}, id="prices"),
        pytest.param("spec.retry", {"maxAttempts": 2}, id="retries"),
        pytest.param("spec.failurePolicy", {"minItems": 2}, id="the failure policy"),
        pytest.param("spec.concurrency", 5, id="the concurrency"),
        pytest.param("spec.requestTimeoutSeconds", 5, id="the timeout"),
        pytest.param("spec.output", {"uri": "elsewhere/"}, id="where the outputs go"),
    ],
)
def test_how_it_is_asked_may_change(path: str, value: Any) -> None:
    assert changes(path, value) == []


def test_inline_items_are_compared_by_their_digest_not_here() -> None:
    one, two = batch(items=[{"body": "a"}]), batch(items=[{"body": "b"}])
    assert changed_fields(asked_of(one), asked_of(two)) == []


def test_from_inline_items_to_a_file_is_a_change() -> None:
    assert changed_fields(asked_of(batch(items=[{"body": "a"}])), asked_of(batch())) == ["spec.input.uri"]


def test_every_change_is_named_in_order() -> None:
    after = batch(model="b", request={"prompt": "a", "system": "s"}, shard_size=3)
    assert changed_fields(asked_of(batch()), asked_of(after)) == [
        "spec.model", "spec.request.prompt", "spec.request.system", "spec.shardSize",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        pytest.param({"a": 1}, {"a": 1}, [], id="the same"),
        pytest.param({"a": 1}, {}, ["a"], id="taken away"),
        pytest.param({}, {"a": 1}, ["a"], id="added"),
        pytest.param({"a": None}, {}, [], id="null is as good as missing"),
        pytest.param({"a": {"b": 1}}, {"a": None}, ["a"], id="a whole group taken away"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 2, "c": 3}}, ["a.b", "a.c"], id="inside a group"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, ["a"], id="a list in another order"),
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, [], id="the order of names does not count"),
        pytest.param({"a": {"b": 1}}, {"a": "text"}, ["a"], id="a group to text"),
        pytest.param({"a": True}, {"a": 1}, ["a"], id="true is another question than 1"),
    ],
)
def test_changed_fields_are_named_by_their_paths(before: Any, after: Any, changed: list[str]) -> None:
    assert changed_fields(before, after) == changed


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)


@given(_JSON)
def test_nothing_has_changed_from_itself(value: Any) -> None:
    assert changed_fields(value, value) == []


@given(_JSON, _JSON)
def test_a_change_is_a_change_both_ways(one: Any, other: Any) -> None:
    assert set(changed_fields(one, other)) == set(changed_fields(other, one))


def test_a_plan_reads_back_as_it_was_written() -> None:
    plan = Plan(
        uid="u",
        trace=trace_of("u"),
        created_at="2024-01-01T00:00:00Z",
        version="0.1.0",
        asked=asked_of(batch(request={"prompt": "a", "parameters": {"stop": None}})),
        input=PlannedInput(
            uri="file:///a.csv",
            objects=[PlannedObject(uri="file:///a.csv", etag="1", size=9, data_start=2, data_end=9)],
            unpacked=False,
            size=9,
            sha256="0",
            format=InputFormat.CSV,
            fields=["a"],
        ),
        items=1,
        shards=[Shard(0, 0, 1, 2, 9)],
        input_tokens_estimate=3,
    )
    read = Plan.load(plan.dump_json())
    assert read == plan
    assert read.shards[0].end == 9
    assert changed_fields(read.asked, plan.asked) == []


def test_a_plan_of_an_input_without_objects_reads_back() -> None:
    planned = PlannedInput(
        uri="spec.input.items", unpacked=True, size=9, sha256="0", format=InputFormat.JSONL, fields=["a"]
    )
    assert PlannedInput.load(planned.dump_json()) == planned
