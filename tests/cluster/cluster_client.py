"""What tests do with a cluster: ask, apply, wait, load images, read the audit log.

Made by the fixture in `cluster_fixture.py`. It works the same on the project's own cluster and on one that somebody has
given; it knows nothing of pytest.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml

from cluster import cluster_images
from cluster.cluster_places import AUDIT_LOG, HERE, ClusterError
from cluster.cluster_process import run
from cluster.cluster_tools import kubectl

T = TypeVar("T")
Manifest = Mapping[str, Any]
_POLL_S = 0.2
_KUBECTL_TIMEOUT_S = 120


class KubectlError(ClusterError):
    """kubectl ended with an error; the text is what it said."""


@dataclass(frozen=True)
class Cluster:
    """A Kubernetes for tests."""

    kubeconfig: Path
    node_ip: str
    """The address at which pods reach servers that a test runs on this machine (not those on its loopback)."""
    is_ours: bool
    """Whether it is the project's own; else somebody gave it by LLMBATCH_TEST_KUBECONFIG."""

    def kubectl(self, *words: str, input: str | None = None) -> str:
        """What kubectl prints. Raises KubectlError with what it said on stderr."""
        command = [kubectl(), "--kubeconfig", str(self.kubeconfig), *words]
        done = subprocess.run(
            command, input=input, capture_output=True, text=True, timeout=_KUBECTL_TIMEOUT_S, check=False
        )
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def kubectl_json(self, *words: str) -> dict[str, Any]:
        """What kubectl prints with `-o json`."""
        answer: dict[str, Any] = json.loads(self.kubectl(*words, "-o", "json"))
        return answer

    def apply(self, *manifests: Manifest | str, namespace: str = "") -> None:
        """Apply manifests: dictionaries, or text of YAML."""
        place = ("--namespace", namespace) if namespace else ()
        documents = [each if isinstance(each, str) else yaml.safe_dump(dict(each)) for each in manifests]
        self.kubectl("apply", *place, "-f", "-", input="\n---\n".join(documents))

    def wait_until(self, what: str, predicate: Callable[[], T | None], timeout_s: float = 60) -> T:
        """Poll until the predicate returns something true, and return that. An error of kubectl counts as not yet."""
        deadline, last = time.monotonic() + timeout_s, "nothing"
        while True:
            try:
                if value := predicate():
                    return value
                last = repr(value)
            except KubectlError as error:
                last = str(error)
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {timeout_s:g} s still not: {what}. The last answer: {last}")
            time.sleep(_POLL_S)

    def load_image(self, context: Path, tag: str, target: str = "") -> None:
        """Build a folder's Dockerfile, if something it copies has changed, and give the image to the node."""
        if self.is_ours:
            cluster_images.load_built_image(context.resolve(), tag, target)
        elif loader := os.environ.get("LLMBATCH_TEST_LOAD_IMAGE"):
            stage = ("--target", target) if target else ()
            run("docker", "build", "--quiet", *stage, "--tag", tag, context)
            run(*shlex.split(loader), tag)

    def python_image(self) -> str:
        """The tag of an image with Python 3.11, `python3` on its PATH, that pods can run."""
        return cluster_images.load_base_image() if self.is_ours else "docker.io/library/python:3.11-slim"

    def jaeger_host(self) -> str:
        """Where a Jaeger takes OTLP and answers; ours is started when it is asked for. Empty: nobody gave one."""
        if given := os.environ.get("LLMBATCH_TEST_JAEGER"):
            return urlsplit(given).hostname or given
        if not self.is_ours:
            return ""
        # As a process of its own: what it starts is then no child of the tests.
        run(sys.executable, HERE, "jaeger")
        return self.node_ip

    @property
    def has_audit_log(self) -> bool:
        """Whether `audit_events` works here."""
        return self.is_ours

    def audit_events(self) -> Sequence[dict[str, Any]]:
        """All calls that the API server has answered since it started, as `audit.k8s.io/v1` events."""
        if not self.has_audit_log:
            raise ClusterError("the audit log of a cluster given by LLMBATCH_TEST_KUBECONFIG cannot be read")
        # The last line may be half written.
        whole_lines = AUDIT_LOG.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole_lines.splitlines()]
