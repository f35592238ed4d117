"""LLMBatches on a real API server: what kubectl shows of them, what is filled in, what is kept."""

import datetime
import json
from pathlib import Path

import pytest
import yaml

from builders import Document
from cluster_fixture import Cluster
from crd_fixture import CRD_FILES, Batches, suspended
from llmbatch_contract.categories import Category
from llmbatch_contract.spec import KIND
from llmbatch_contract.status import (
    Condition,
    ConditionType,
    Cost,
    ErrorTally,
    ItemCounts,
    LLMBatchStatus,
    Phase,
    Reason,
    TokenCounts,
)
from llmbatch_contract.validation import check_manifest

pytest_plugins = ["cluster_fixture", "crd_fixture"]

_SAMPLES = Path(__file__).parents[2] / "deploy" / "samples"
_NOON = datetime.datetime(2026, 1, 2, 12, 0, 0, tzinfo=datetime.UTC)

_STATUS = LLMBatchStatus(
    phase=Phase.RUNNING,
    observed_generation=1,
    conditions=[
        Condition(
            type=ConditionType.PLANNED,
            status="True",
            reason=Reason.PLANNED,
            message="200 items in 2 shards",
            last_transition_time=_NOON,
        )
    ],
    items=ItemCounts(total=200, pending=100, running=16, succeeded=81, failed=3),
    progress="42%",
    items_per_minute=12.5,
    time_left="9m16s",
    usage=TokenCounts(input_tokens=900, output_tokens=100, total_tokens=1000),
    cost=Cost(amount=1.234, currency="USD", display="1.23 USD"),
    errors=[ErrorTally(category=Category.REFUSAL, count=3, sample_item="17", sample_message="I cannot help with that")],
    waiting_for="resume",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    start_time=_NOON,
)


def _batches_in(path: Path) -> list[Document]:
    documents = yaml.safe_load_all(path.read_text())
    return [document for document in documents if document["kind"] == KIND]


_MEANT_FOR_CLUSTERS = [path for path in sorted(_SAMPLES.glob("*.yaml")) if _batches_in(path)]
_LOCAL = sorted((_SAMPLES / "local").glob("*.yaml"))


def test_the_crd_can_be_applied_again(crd: Cluster) -> None:
    for path in CRD_FILES:
        crd.kubectl("apply", "--server-side", "--dry-run=server", "-f", str(path))


def test_a_batch_has_a_short_name_and_is_among_all(api_batches: Batches) -> None:
    api_batches.apply(suspended())
    assert api_batches.say("get", "llmb", "-o", "name") == "llmbatch.llmbatch.dev/triage\n"
    assert "llmbatch.llmbatch.dev/triage" in api_batches.say("get", "all", "-o", "name").splitlines()


@pytest.mark.parametrize("path", _MEANT_FOR_CLUSTERS, ids=lambda path: path.name)
def test_a_sample_for_clusters_is_accepted(shared_batches: Batches, path: Path) -> None:
    for document in _batches_in(path):
        shared_batches.try_out(document)


@pytest.mark.parametrize("path", _LOCAL, ids=lambda path: path.name)
def test_a_sample_for_local_runs_is_refused_with_the_way_out(shared_batches: Batches, path: Path) -> None:
    (document,) = _batches_in(path)
    assert "on a cluster must start with s3://, gs:// or az://; or use pvc, or leave it out" in shared_batches.refusal(
        document
    )


def test_scalars_are_filled_in_and_no_fields_that_nobody_wrote(api_batches: Batches) -> None:
    api_batches.apply(suspended())
    written, read = suspended()["spec"], api_batches.read()["spec"]
    assert read.pop("input") == {**written.pop("input"), "format": "auto"}
    assert read.pop("request") == {**written.pop("request"), "api": "chat"}
    filled_in = {
        "parallelism": 4,
        "concurrency": "auto",
        "requestTimeoutSeconds": 300,
        "cancel": False,
        "priority": 100,
    }
    assert read == {**written, **filled_in}


def test_what_a_cluster_has_filled_in_means_the_same_to_the_command_line(api_batches: Batches) -> None:
    api_batches.apply(suspended(failure_policy={"maxFailurePercent": 5}, retry={}, output={}, worker={}))
    batch = api_batches.read()
    written = suspended(failure_policy={"maxFailurePercent": 5})
    assert check_manifest(batch, "a").spec == check_manifest(written, "b").spec


def test_items_and_schemas_are_kept_as_they_are(api_batches: Batches) -> None:
    item: Document = {"id": "a", "none": None, "list": [1, None, {"x": 1.5}], "deep": {"empty": {}, "none": None}}
    schema = {"type": "object", "properties": {"a": {"enum": ["x", None]}}, "default": None}
    document = suspended(input={"items": [item]}, request={"prompt": "a", "responseSchema": schema})
    api_batches.apply(document, "--server-side")  # without it, kubectl itself drops nulls
    spec = api_batches.read()["spec"]
    assert spec["input"]["items"] == [item]
    assert spec["request"]["responseSchema"] == schema


def test_a_status_comes_from_its_own_subresource_only(api_batches: Batches) -> None:
    """With all that an operator which runs on the cluster would write of it, too."""
    document = {**suspended(), "status": {"phase": "Running"}}
    assert "status" not in api_batches.answer("apply", "--dry-run=server", document=document)
    api_batches.apply(suspended())
    patched = _patched_status(api_batches, {"status": _STATUS.dump(), "spec": {"parallelism": 9}})
    assert patched["spec"]["parallelism"] == 4
    assert LLMBatchStatus.model_validate(patched["status"]) == _STATUS


def test_a_status_may_hold_words_that_the_crd_does_not_know(api_batches: Batches) -> None:
    api_batches.apply(suspended())
    assert _patched_status(api_batches, {"status": {"phase": "Dreaming"}})["status"]["phase"] == "Dreaming"


def _patched_status(api_batches: Batches, patch: Document, *flags: str) -> Document:
    """The batch as it would be after a patch of its status."""
    words = ("patch", "llmb", "triage", "--subresource=status", "--type=merge", "-p", json.dumps(patch))
    return api_batches.answer(*words, *(flags or ("--dry-run=server",)))


def test_kubectl_get_shows_how_a_batch_is_doing(api_batches: Batches) -> None:
    api_batches.apply(suspended())

    def table() -> list[list[str]] | None:
        """What kubectl shows, unless an operator that runs on the cluster came between."""
        _patched_status(api_batches, {"status": _STATUS.dump()}, "--dry-run=none")
        lines = [line.split() for line in api_batches.say("get", "llmb", "-o", "wide").splitlines()]
        return lines if "42%" in lines[1] else None

    header, row = api_batches.cluster.wait_until("the status is shown", table)
    assert header[:8] == ["NAME", "PHASE", "PROGRESS", "SUCCEEDED", "FAILED", "TOTAL", "RATE", "ETA"]
    assert row[:8] == ["triage", "Running", "42%", "81", "3", "200", "12.5", "9m16s"]
    assert header[8:] == ["AGE", "MODEL", "TOKENS", "COST", "TRACE"]
    assert row[9:] == ["gpt-4.1-mini", "1000", "1.23", "USD", "0af7651916cd43dd8448eb211c80319c"]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        pytest.param("", ["One batch: items, a question about each"], id="the batch"),
        pytest.param("spec.request", ["prompt\t<string>", "parameters\t<map[string]Object>"], id="the request"),
        pytest.param("spec.request.api", ["embeddings", "Which API to call"], id="a choice"),
        pytest.param("spec.input", ["items\t<[]map[string]Object>", "configMap\t<Object>"], id="the input"),
        pytest.param("spec.concurrency", ["Requests in flight per worker"], id="a number or a word"),
        pytest.param("status", ["phase\t<string> -required-", "CompletedWithErrors"], id="the status"),
    ],
)
def test_kubectl_explains_the_fields(crd: Cluster, field: str, words: list[str]) -> None:
    explained = crd.kubectl("explain", ".".join(filter(None, ("llmbatch", field))))
    assert [word for word in words if word not in explained] == []
    assert "<no description>" not in explained
