"""LLMEndpoints on a real API server: what is refused, in the words of the command line; and what kubectl shows."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from builders import Document, with_field
from cluster_fixture import Cluster, KubectlError
from crd_fixture import Batches, says, suspended
from llmbatch_contract.errors import ManifestError
from llmbatch_contract.llmendpoint import LLMEndpointStatus
from llmbatch_contract.spec import API_VERSION
from llmbatch_contract.validation import check_endpoint

pytest_plugins = ["cluster_fixture", "crd_fixture"]

_URL = "https://api.example.com/v1"
_FULL: Document = {
    "url": _URL,
    "provider": "openai",
    "apiKeySecret": {"name": "openai", "key": "api-key"},
    "headers": {"X-Team": "support"},
    "limits": {"requestsPerMinute": 600, "tokensPerMinute": 1e6, "inputTokensPerMinute": 8e5, "concurrency": 64},
    "pricing": {"gpt-4.1": {"inputPerMillion": 2, "outputPerMillion": 8}, "*": {"inputPerMillion": 1}},
    "allowedNamespaces": ["team-a"],
}


def endpoint(name: str = "never-made", **spec: Any) -> Document:
    """A manifest."""
    return {"apiVersion": API_VERSION, "kind": "LLMEndpoint", "metadata": {"name": name}, "spec": {"url": _URL, **spec}}


def problems(document: Document) -> list[tuple[str, str]]:
    """Path and sentence of each problem of a manifest that must be refused."""
    with pytest.raises(ManifestError) as caught:
        check_endpoint(document, "endpoint.yaml")
    return [(p.path, p.message) for p in caught.value.problems]


def refusal(cluster: Cluster, document: Document) -> str:
    """What kubectl says of it."""
    with pytest.raises(KubectlError) as caught:
        cluster.kubectl("apply", "--dry-run=server", "-f", "-", input=json.dumps(document))
    return str(caught.value)


@pytest.fixture
def name(crd: Cluster) -> Iterator[str]:
    """The name of an endpoint that the test may make."""
    made = f"test-{secrets.token_hex(4)}"
    yield made
    crd.kubectl("delete", "llmendpoint", made, "--ignore-not-found", "--wait=false")


def test_an_endpoint_with_everything_is_accepted_and_read_as_it_was_written(crd: Cluster, name: str) -> None:
    crd.kubectl("apply", "-f", "-", input=json.dumps(endpoint(name, **_FULL)))
    read = crd.kubectl_json("get", "llmep", name)
    assert check_endpoint(read, "read").spec == check_endpoint(endpoint(name, **_FULL), "written").spec


@pytest.mark.parametrize(
    ("field", "value", "path", "message"),
    [
        pytest.param(
            "spec.url",
            "api.example.com",
            "",
            "must start with http:// or https:// and name a host, as in https://api.openai.com/v1",
            id="a URL without a scheme",
        ),
        pytest.param(
            "spec.headers",
            {"X-Api-Key": "sk-1"},
            "",
            "X-Api-Key holds a key, which belongs into a Secret: use apiKeySecret",
            id="a key among the headers",
        ),
        pytest.param("spec.headers", {"a b": "c"}, "", "'a b' is no name of a header", id="no header's name"),
    ],
)
def test_api_server_and_command_line_refuse_an_endpoint_in_the_same_words(
    crd: Cluster, field: str, value: Any, path: str, message: str
) -> None:
    document = with_field(endpoint(), field, value)
    assert (path or field, message) in problems(document)
    assert says(refusal(crd, document), path or field, message)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        pytest.param("spec.limit", {}, 'unknown field "spec.limit"', id="a slip"),
        pytest.param("spec.limits", {"requestsPerMinute": 0}, "should be greater than 0", id="a limit of nothing"),
        pytest.param("spec.pricing", {"gpt": {"outputPerMillion": 1}}, "inputPerMillion: Required", id="half a price"),
        pytest.param("spec.allowedNamespaces", [""], "spec.allowedNamespaces[0]", id="a namespace without a name"),
    ],
)
def test_other_mistakes_are_refused_with_their_path(crd: Cluster, field: str, value: Any, words: str) -> None:
    assert problems(with_field(endpoint(), field, value))
    assert words in refusal(crd, with_field(endpoint(), field, value))


def test_an_endpoint_that_no_batch_could_name_is_refused(crd: Cluster) -> None:
    for name in ("a" * 64, "open.ai"):
        assert [path for path, _ in problems(endpoint(name))] == ["metadata.name"]
        assert "metadata.name: must be the name of an LLMEndpoint" in refusal(crd, endpoint(name))


def test_a_batch_keeps_to_its_endpoint(api_batches: Batches) -> None:
    document = suspended()
    document["spec"]["endpoint"] = {"ref": "openai"}
    api_batches.apply(document)
    moved = with_field(document, "spec.endpoint.ref", "another")
    assert says(api_batches.refusal(moved), "spec.endpoint.ref", "is immutable; make a new LLMBatch")
    inline = with_field(document, "spec.endpoint", {"url": _URL})
    assert "is immutable; make a new LLMBatch" in api_batches.refusal(inline)


def test_a_time_zone_is_checked_by_the_command_line_alone(api_batches: Batches) -> None:
    """The API server knows none, so the operator says that such a batch is not valid."""
    document = suspended(window={"start": "22:00", "end": "06:00", "timeZone": "Europe/Atlantis"})
    api_batches.try_out(document)


def test_kubectl_get_shows_how_an_endpoint_is_doing(crd: Cluster, name: str) -> None:
    crd.kubectl("apply", "-f", "-", input=json.dumps(endpoint(name)))
    status = LLMEndpointStatus.model_validate(
        {
            "health": "Throttled",
            "batches": 3,
            "pods": 8,
            "granted": {"requestsPerMinute": 480.0, "tokensPerMinute": 100_000.0},
            "used": {"requestsPerMinute": 466.5, "tokensPerMinute": 81_000.0},
            "throttledSince": "2026-11-22T12:00:00Z",
            "lastError": "HTTP 429: slow down",
        }
    )
    patch = json.dumps({"status": status.dump()})

    def shown() -> list[str] | None:
        """What kubectl shows, unless an operator that runs on the cluster came between."""
        crd.kubectl("patch", "llmep", name, "--subresource=status", "--type=merge", "-p", patch)
        table = crd.kubectl("get", "llmep", name, "-o", "wide")
        return table.splitlines() if "Throttled" in table else None

    header, row = crd.wait_until("the status is shown", shown)
    numbers = ["BATCHES", "PODS", "RPM", "USED RPM", "TPM", "USED TPM"]
    assert " ".join(header.split()) == " ".join(["NAME URL HEALTH", *numbers, "THROTTLED AGE LAST ERROR"])
    assert row.split()[:9] == [name, _URL, "Throttled", "3", "8", "480", "466.5", "100000", "81000"]
    assert row.endswith("HTTP 429: slow down")


@pytest.mark.parametrize(
    ("field", "words"),
    [
        pytest.param("", ["An endpoint that batches of many namespaces share"], id="the endpoint"),
        pytest.param("spec.pricing", ["<map[string]Object>", "Prices by model"], id="prices"),
        pytest.param("status", ["What pods may use together"], id="the status"),
    ],
)
def test_kubectl_explains_the_fields(crd: Cluster, field: str, words: list[str]) -> None:
    explained = crd.kubectl("explain", ".".join(filter(None, ("llmendpoint", field))))
    assert [word for word in words if word not in explained] == []
