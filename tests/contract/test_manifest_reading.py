"""How a manifest is read: all problems at once, what a cluster wrote passed over, never a crash."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import manifest, with_field
from llmbatch_contract.errors import ManifestError, Problem
from llmbatch_contract.exits import Exit, exit_for
from llmbatch_contract.job import Job
from llmbatch_contract.validation import check_manifest


def test_every_problem_is_told_at_once_with_its_line() -> None:
    document = with_field(with_field(manifest(), "spec.shardSize", 0), "spec.inptu", {})
    lines: dict[tuple[int | str, ...], int] = {("spec",): 5, ("spec", "shardSize"): 9}
    with pytest.raises(ManifestError) as caught:
        check_manifest(document, "batch.yaml", lines)
    assert caught.value.problems == (
        Problem("spec.shardSize", "must be at least 1, not 0", 9),
        Problem("spec.inptu", "is unknown; did you mean input?", 5),
    )
    assert str(caught.value).splitlines() == [
        "batch.yaml:9: spec.shardSize: must be at least 1, not 0",
        "batch.yaml:5: spec.inptu: is unknown; did you mean input?",
    ]
    assert exit_for(caught.value) is Exit.INVALID


def test_a_problem_without_a_line_or_a_path_names_the_file() -> None:
    with pytest.raises(ManifestError, match=r"^batch\.yaml: holds no manifest: "):
        check_manifest(None, "batch.yaml", {("spec",): 3})


@pytest.mark.parametrize(
    "field",
    [
        *("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "ownerReferences", "selfLink"),
        *("finalizers", "generateName", "deletionTimestamp", "deletionGracePeriodSeconds"),
    ],
)
def test_what_only_a_cluster_writes_into_metadata_is_passed_over(field: str) -> None:
    read = check_manifest(with_field(manifest(), f"metadata.{field}", {"any": "thing"}), "batch.yaml")
    assert read == check_manifest(manifest(), "batch.yaml")


def test_a_status_is_passed_over_and_the_document_left_as_it_was() -> None:
    document = with_field(manifest(), "status", {"phase": "Running"})
    assert check_manifest(document, "batch.yaml") == check_manifest(manifest(), "batch.yaml")
    assert document["status"] == {"phase": "Running"}


def test_an_openai_input_needs_neither_model_nor_request() -> None:
    read = check_manifest(manifest(input={"uri": "a", "format": "openai"}, model=None, request=None), "batch.yaml")
    assert read.spec.request is None


def test_a_job_in_json_holds_the_same_batch_nulls_included() -> None:
    batch = check_manifest(
        manifest(
            items=[{"a": None, "b": {"c": None}, "day": "2024-01-01"}],
            request={"prompt": "a", "parameters": {"stop": None}, "responseSchema": {"enum": [None, 1]}},
        ),
        "batch.yaml",
    )
    job = Job(batch=batch, store_uri="file:///s", output_uri="file:///o")
    assert Job.load(job.dump_json()) == job


_PLACES = [
    *("metadata", "metadata.name", "metadata.labels", "spec", "spec.endpoint", "spec.endpoint.url", "spec.retry"),
    *("spec.endpoint.limits", "spec.endpoint.pricing", "spec.endpoint.headers", "spec.endpoint.apiKeySecret"),
    *("spec.input", "spec.input.items", "spec.input.format", "spec.request", "spec.request.messages", "spec.shardSize"),
    *("spec.request.parameters", "spec.failurePolicy", "spec.failurePolicy.stopOn", "spec.concurrency", "spec.output"),
]
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["name", "uri", "role", "content", "items", "int", "str", "key"]) | st.integers(),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(place=st.sampled_from(_PLACES), value=_ANYTHING)
def test_no_manifest_whatever_is_in_it_is_met_with_anything_but_sentences(place: str, value: Any) -> None:
    try:
        check_manifest(with_field(manifest(), place, value), "batch.yaml")
    except ManifestError as error:
        assert error.problems
        assert all(p.path and p.message for p in error.problems)
