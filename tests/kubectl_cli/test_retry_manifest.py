"""The manifest that asks dead letters again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_cli.batch_documents import Document, batch, document, status, tally
from llmbatch_cli.kubectl.batches import read_batch
from llmbatch_cli.kubectl.retry import free_name, require_dead_letters, retried, retry_manifest
from llmbatch_contract.errors import BatchStateError
from llmbatch_contract.validation import check_manifest

ENDED = status("CompletedWithErrors", total=10, succeeded=7, failed=2, cancelled=1)


def manifest(old: Document, *categories: str) -> Document:
    return retry_manifest(old, read_batch(old), "again", categories)


def test_everything_is_asked_as_before_of_the_dead_letters() -> None:
    kept: Document = {
        "retry": {"maxAttempts": 9},
        "output": {"format": "csv"},
        "worker": {"labels": {"kueue.x-k8s.io/queue-name": "gpu"}},
        "parallelism": 3,
        "activeDeadlineSeconds": 60,
    }
    old = document(ENDED, shardSize=7, suspend=False, cancel=True, **kept)
    made = manifest(old, "timeout", "deadline")
    assert made["metadata"] == {"name": "again", "namespace": "shop", "labels": {"llmbatch.dev/retry-of": "tickets"}}
    letters = {"name": "tickets", "categories": ["timeout", "deadline"]}
    unchanged = {key: old["spec"][key] for key in ("endpoint", "model", "request")}
    assert made["spec"] == {**unchanged, **kept, "input": {"deadLettersOf": letters, "idField": "id"}}
    check_manifest(made, "retry")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param({"items": []}, {}, id="inline items"),
        pytest.param(
            {"configMap": {}, "format": "csv", "delimiter": ";"}, {"format": "jsonl"}, id="csv is JSON by now"
        ),
        pytest.param({"uri": "s3://b/in/*", "format": "parquet"}, {"format": "jsonl"}, id="and so is parquet"),
        pytest.param(
            {"uri": "s3://b/in/", "where": "n < 3", "limit": 9, "sample": {"items": 5}, "store": {"region": "eu"}},
            {},
            id="what was selected is asked, wherever it came from",
        ),
        pytest.param({"configMap": {}, "format": "openai"}, {"format": "openai"}, id="whole requests stay requests"),
        pytest.param({"deadLettersOf": {"name": "old"}, "idField": "n"}, {"idField": "n"}, id="a retry of a retry"),
    ],
)
def test_the_format_of_the_items(old: Document, new: Document) -> None:
    assert manifest(document(ENDED, input=old))["spec"]["input"] == {"deadLettersOf": {"name": "tickets"}, **new}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(
            {"uri": "s3://b/out/", "store": {"region": "eu"}, "credentialsSecret": {"name": "s3"}, "overwrite": True},
            {"uri": "s3://b/out/again/", "store": {"region": "eu"}, "credentialsSecret": {"name": "s3"}},
            id="a store",
        ),
        pytest.param(
            {"pvc": {"claimName": "answers", "path": "out"}},
            {"pvc": {"claimName": "answers", "path": "out/again"}},
            id="a volume",
        ),
    ],
)
def test_the_old_outputs_are_not_in_the_way(old: Document, new: Document) -> None:
    assert manifest(document(ENDED, output=old))["spec"]["output"] == new


def test_labels_and_annotations_of_deployment_tools_stay_behind() -> None:
    old = document(ENDED)
    old["metadata"] |= {"labels": {"argocd.argoproj.io/instance": "app"}, "annotations": {"a": "b"}}
    assert manifest(old)["metadata"].keys() == {"name", "namespace", "labels"}
    assert manifest(old)["metadata"]["labels"].keys() == {"llmbatch.dev/retry-of"}


def test_the_old_batch_is_not_changed() -> None:
    old = document(ENDED)
    manifest(old)["spec"]["request"]["prompt"] = "changed"
    assert old["spec"]["request"]["prompt"] == "{{ body }}"


@pytest.mark.parametrize(
    ("name", "taken", "free"),
    [
        pytest.param("tickets", set(), "tickets-retry-1", id="the first"),
        pytest.param("tickets", {"tickets", "tickets-retry-1", "tickets-retry-3"}, "tickets-retry-2", id="a gap"),
        pytest.param("tickets-retry-1", {"tickets-retry-1"}, "tickets-retry-2", id="a retry of a retry counts on"),
        pytest.param("a" * 63, set(), "a" * 55 + "-retry-1", id="a long name is cut"),
        pytest.param("a" * 54 + "-b" + "c" * 7, set(), "a" * 54 + "-retry-1", id="and not cut after a hyphen"),
    ],
)
def test_the_first_free_name(name: str, taken: set[str], free: str) -> None:
    assert free_name(name, taken) == free


@given(name=st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True), count=st.integers(0, 120))
def test_a_name_is_free_and_valid_however_many_there_are(name: str, count: int) -> None:
    taken: set[str] = set()
    for _ in range(count):
        taken.add(free_name(name, taken))
    assert len(taken) == count
    check_manifest(document(name=free_name(name, taken)), "retry")


@pytest.mark.parametrize(
    ("given", "spec", "categories", "sentence"),
    [
        pytest.param(status("Running", total=3, failed=1), {}, [], "is Running", id="not finished"),
        pytest.param(status("Succeeded", total=3, succeeded=3), {}, [], "has no dead letters", id="none"),
        pytest.param(
            status("CompletedWithErrors", total=3, failed=3, errors=[tally("timeout", 2), tally("refusal", 1)]),
            {},
            ["auth"],
            "no dead letters of category auth; it has: timeout, refusal",
            id="none of that category",
        ),
        pytest.param(ENDED, {"output": {"format": "openai"}}, [], "OpenAI's form", id="letters without items"),
    ],
)
def test_what_cannot_be_retried(given: Document, spec: dict[str, Any], categories: list[str], sentence: str) -> None:
    with pytest.raises(BatchStateError, match=sentence):
        require_dead_letters(batch(given, **spec), categories)


@pytest.mark.parametrize(
    ("given", "categories", "count"),
    [
        pytest.param(ENDED, [], 3, id="all, cancelled ones too"),
        pytest.param(ENDED | {"errors": [tally("timeout", 2)]}, ["timeout"], 2, id="of one category"),
        pytest.param(ENDED | {"errors": [tally("timeout", 2)]}, ["auth"], 0, id="the status does not tell all"),
    ],
)
def test_what_can_be_retried_and_how_much(given: Document, categories: list[str], count: int) -> None:
    require_dead_letters(batch(given), categories)
    assert retried(batch(given), categories) == count
