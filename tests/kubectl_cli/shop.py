"""The fixture `shop` for tests of `kubectl llmbatch` on a real API server: a namespace in which no operator acts.

Batches are created as users do, their status is written by the test. A test module gets it by
`pytest_plugins = ["cluster_fixture", "kubectl_cli.shop"]`. (PYTEST_DONT_REWRITE: modules import the type before.)
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from cluster_fixture import Cluster
from kubectl_cli.batch_documents import Document, document
from kubectl_cli.status_policy import namespace_with, policy_in_force, write_status

_CRD = Path(__file__).parents[2] / "crds" / "llmbatches.yaml"
_RUN_TIMEOUT_S = 60


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shop:
    """A namespace with batches, and the command."""

    cluster: Cluster
    namespace: str

    def command(self, *words: str) -> list[str]:
        """The words of `kubectl llmbatch …` in the namespace."""
        chosen = ("--namespace", self.namespace, "--kubeconfig", str(self.cluster.kubeconfig))
        return [sys.executable, "-m", "llmbatch_cli.kubectl.main", *words, *chosen]

    def run(self, *words: str, **environment: str) -> Ended:
        """Run it to its end."""
        done = subprocess.run(
            self.command(*words),
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=_RUN_TIMEOUT_S,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def create(self, status: Document | None = None, name: str = "tickets", **spec: Any) -> str:
        """Create a batch; its uid."""
        manifest = document(name=name, **spec) | {"metadata": {"name": name, "namespace": self.namespace}}
        uid = self.cluster.kubectl("create", "-f", "-", "-o", "jsonpath={.metadata.uid}", input=json.dumps(manifest))
        if status is not None:
            self.write(status, name)
        return uid

    def write(self, status: Document, name: str = "tickets") -> None:
        """Write a status as the operator would."""
        write_status(self.cluster, self.namespace, name, status)

    def as_user(self, name: str, folder: Path) -> "Shop":
        """The same shop, for a user who may nothing that is not given to them; the kubeconfig goes to the folder."""
        config = json.loads(self.cluster.kubectl("config", "view", "--raw", "-o", "json"))
        for user in config["users"]:
            user["user"]["as"] = name
        kubeconfig = folder / f"{name}.kubeconfig"
        kubeconfig.write_text(json.dumps(config))
        return Shop(replace(self.cluster, kubeconfig=kubeconfig), self.namespace)

    def allow(self, user: str, resource: str) -> None:
        """Let a user read a resource in the namespace."""
        name, where = f"{user}-{resource.replace('/', '-')}", ("-n", self.namespace)
        self.cluster.kubectl("create", "role", name, "--verb=get", f"--resource={resource}", *where)
        self.cluster.kubectl("create", "rolebinding", name, f"--role={name}", f"--user={user}", *where)

    def get(self, name: str = "tickets") -> Document:
        """The batch as the API server has it."""
        return self.cluster.kubectl_json("get", "llmb", name, "-n", self.namespace)


@pytest.fixture(scope="session")
def status_writer_label(cluster: Cluster) -> Iterator[str]:
    """The resource is known, and operators are kept from namespaces with this label."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(_CRD))
    cluster.kubectl("wait", "--for=condition=Established", "crd/llmbatches.llmbatch.dev", "--timeout=30s")
    with policy_in_force(cluster) as label:
        yield label


@pytest.fixture
def shop(cluster: Cluster, status_writer_label: str) -> Iterator[Shop]:
    """A fresh namespace, deleted after the test."""
    with namespace_with(cluster, status_writer_label) as namespace:
        yield Shop(cluster, namespace)
