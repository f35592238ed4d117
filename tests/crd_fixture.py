"""The fixtures `api_batches` and `shared_batches`: LLMBatches on a real API server.

Manifests here are suspended, so that an operator that happens to run on the cluster starts nothing for them. The CRD
stays on the cluster: others may have batches there. (PYTEST_DONT_REWRITE: see cluster_fixture.py.)
"""

import functools
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builders import Document, manifest
from cluster_fixture import Cluster, KubectlError

CRDS = Path(__file__).resolve().parents[1] / "crds"
CRD_FILES = (CRDS / "llmbatches.yaml", CRDS / "llmendpoints.yaml")
CRD_NAMES = ("llmbatches.llmbatch.dev", "llmendpoints.llmbatch.dev")


def suspended(name: str = "triage", **overrides: Any) -> Document:
    """A manifest for a cluster; the keywords are those of `manifest`."""
    given = {"input": {"items": [{"id": "a", "body": "b"}]}, "suspend": True, **overrides}
    return manifest(name, **given)


@dataclass(frozen=True)
class Batches:
    """LLMBatches in one namespace."""

    cluster: Cluster
    namespace: str

    def apply(self, document: Document, *flags: str) -> None:
        """`kubectl apply`; raises KubectlError with what it said."""
        self.cluster.kubectl("apply", "-n", self.namespace, *flags, "-f", "-", input=json.dumps(document))

    def try_out(self, document: Document, *flags: str) -> None:
        """`kubectl apply`, of which nothing stays."""
        self.apply(document, "--dry-run=server", *flags)

    def refusal(self, document: Document, *flags: str) -> str:
        """What kubectl says of a manifest that the API server must refuse."""
        with pytest.raises(KubectlError) as caught:
            self.try_out(document, *flags)
        return str(caught.value)

    def read(self, name: str = "triage") -> Document:
        """A batch as the API server has it."""
        return self.cluster.kubectl_json("get", "llmb", name, "-n", self.namespace)

    def answer(self, *words: str, document: Document | None = None) -> Document:
        """The batch that a command of kubectl leads to."""
        given = () if document is None else ("-f", "-")
        command = (*words, "-n", self.namespace, *given, "-o", "json")
        batch: Document = json.loads(self.cluster.kubectl(*command, input=json.dumps(document)))
        return batch

    def say(self, *words: str) -> str:
        """What kubectl prints."""
        return self.cluster.kubectl(*words, "-n", self.namespace)


def says(refusal: str, path: str, message: str) -> bool:
    """Whether kubectl's words hold a problem: path, kind of problem, sentence."""
    pattern = rf"(^|[\s:]){re.escape(path)}: Invalid value: [^\n]*?: {re.escape(message)}($|\n)"
    return re.search(pattern, refusal) is not None


@pytest.fixture(scope="session")
def crd(cluster: Cluster) -> Cluster:
    """The cluster, once it serves LLMBatches."""
    for path, name in zip(CRD_FILES, CRD_NAMES, strict=True):
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(path))
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s")
        cluster.wait_until(f"{name} are served", functools.partial(_listed, cluster, name))
    return cluster


def _listed(cluster: Cluster, name: str) -> str:
    """Whether a kind is served: there is an answer, be it empty."""
    return cluster.kubectl("get", name, "-A", "-o=name", "--chunk-size=1") or "none"


@pytest.fixture
def api_batches(crd: Cluster, namespace: str) -> Batches:
    """LLMBatches in a fresh namespace."""
    return Batches(crd, namespace)


@pytest.fixture(scope="module")
def shared_batches(crd: Cluster) -> Iterator[Batches]:
    """LLMBatches in a namespace that the tests of a module share, for those that leave it as it is."""
    name = f"test-{secrets.token_hex(4)}"
    crd.kubectl("create", "namespace", name)
    yield Batches(crd, name)
    crd.kubectl("delete", "namespace", name, "--wait=false")
