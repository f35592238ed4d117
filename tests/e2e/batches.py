"""What tests do with batches on a cluster: write a manifest, apply it, wait for a phase, read status and outputs.

`batch` builds a manifest; `Batches`, made by the fixture `batches`, is for one namespace.
"""

import base64
import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cluster.cluster_client import Cluster
from e2e.api_proxy import service_path
from e2e.deploying import NAMESPACE
from llmbatch_contract.pods import POD_NAME_VARIABLE
from llmbatch_contract.spec import API_VERSION, KIND
from llmbatch_contract.status import Phase
from llmbatch_contract.wire import RESULTS, RESULTS_KEY, results_secret, signature

Manifest = dict[str, Any]
_COORDINATOR = service_path(NAMESPACE, "https:llmbatch-coordinator:https")
_LINK_S = 60
_BATCH_LABEL = "llmbatch.dev/batch"


def batch(url: str, items: int | Sequence[Mapping[str, Any]] = 3, *, name: str = "batch", **spec: Any) -> Manifest:
    """A small batch; `items` are a number or the items themselves, other words are fields of the spec."""
    listed = [{"id": f"item-{n}", "text": f"text {n}"} for n in range(items)] if isinstance(items, int) else list(items)
    fields = {
        "endpoint": {"url": url},
        "model": "simulated",
        "input": {"items": listed, "idField": "id"},
        "request": {"prompt": "{{ text }}", "parameters": {"max_tokens": 20}},
        "retry": {"initialSeconds": 0.1, "maxSeconds": 1},
    }
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": fields | spec}


@dataclass(frozen=True)
class Batches:
    """The batches of a namespace."""

    cluster: Cluster
    namespace: str
    _client: httpx.Client

    def apply(self, manifest: Manifest) -> str:
        """Apply a batch, and return its name."""
        self.cluster.apply(manifest, namespace=self.namespace)
        name: str = manifest["metadata"]["name"]
        return name

    def get(self, name: str) -> Manifest:
        """The whole resource."""
        return self.cluster.kubectl_json("get", "llmbatch", name, "-n", self.namespace)

    def status(self, name: str) -> Manifest:
        """Its status; empty while it has none."""
        found: Manifest = self.get(name).get("status", {})
        return found

    def patch(self, name: str, **spec: Any) -> None:
        """Change fields of the spec: `suspend=True`."""
        words = ("patch", "llmbatch", name, "-n", self.namespace, "--type=merge", "-p", json.dumps({"spec": spec}))
        self.cluster.kubectl(*words)

    def delete(self, name: str) -> None:
        """Delete a batch without waiting for what hangs on it."""
        self.cluster.kubectl("delete", "llmbatch", name, "-n", self.namespace, "--wait=false")

    def wait_phase(self, name: str, *phases: Phase, timeout_s: float = 60) -> Manifest:
        """Wait for one of these phases, or for any final one if none is given; return the status.

        Another final phase is an error at once.
        """

        def reached() -> Manifest | None:
            status = self.status(name)
            if not status:
                return None
            phase = Phase(status["phase"])
            if phases and phase.is_final and phase not in phases:
                raise AssertionError(f"{name} is {phase.value}: {json.dumps(status, indent=1)}")
            return status if phase in phases or (not phases and phase.is_final) else None

        wanted = " or ".join(phase.value for phase in phases) or "finished"
        return self.cluster.wait_until(f"{name} is {wanted}", reached, timeout_s=timeout_s)

    def wait_succeeded(self, name: str, timeout_s: float = 60) -> Manifest:
        """Wait until all items have succeeded; return the status."""
        return self.wait_phase(name, Phase.SUCCEEDED, timeout_s=timeout_s)

    def output(self, name: str, file: str) -> httpx.Response:
        """An output, by a link that is signed with the batch's key, as the command line reads it."""
        uid = self.get(name)["metadata"]["uid"]
        secret = self.cluster.kubectl_json("get", "secret", results_secret(name, uid), "-n", self.namespace)
        key = base64.b64decode(secret["data"][RESULTS_KEY]).decode()
        path, expires = f"{RESULTS}/{self.namespace}/{name}/{file}", int(time.time()) + _LINK_S
        query = {"expires": str(expires), "signature": signature(key, path, expires)}

        def answer() -> httpx.Response | None:
            given = self._client.get(_COORDINATOR + path, params=query)
            return None if given.status_code == httpx.codes.SERVICE_UNAVAILABLE else given

        # Another test may just have taken the operator away.
        return self.cluster.wait_until("the coordinator answers", answer)

    def results(self, name: str) -> list[Manifest]:
        """The lines of results.jsonl."""
        return self._lines(name, "results.jsonl")

    def errors(self, name: str) -> list[Manifest]:
        """The lines of errors.jsonl."""
        return self._lines(name, "errors.jsonl")

    def summary(self, name: str) -> Manifest:
        """The record of the job."""
        found: Manifest = self.output(name, "summary.json").raise_for_status().json()
        return found

    def pods(self, name: str) -> list[Manifest]:
        """Its pods, ended ones too."""
        return self._of(name, "pods")

    def jobs(self, name: str) -> list[Manifest]:
        """Its Jobs."""
        return self._of(name, "jobs")

    def events(self, name: str) -> list[Manifest]:
        """Kubernetes Events about the batch itself."""
        words = ("get", "events", "-n", self.namespace, "--field-selector")
        found: list[Manifest] = self.cluster.kubectl_json(
            *words, f"involvedObject.kind=LLMBatch,involvedObject.name={name}"
        )["items"]
        return found

    def condition(self, name: str, type_: str) -> Manifest:
        """A condition of its status; empty where there is none."""
        return next((c for c in self.status(name).get("conditions", []) if c["type"] == type_), {})

    def wait_condition(self, name: str, type_: str, *, reason: str, timeout_s: float = 60) -> Manifest:
        """Wait until a condition is True for this reason; the condition."""

        def holds() -> Manifest | None:
            found = self.condition(name, type_)
            return found if (found.get("status"), found.get("reason")) == ("True", reason) else None

        return self.cluster.wait_until(f"{name} is {type_} for {reason}", holds, timeout_s=timeout_s)

    def config_map(self, name: str, data: Mapping[str, str]) -> None:
        """Create or change a ConfigMap."""
        self._apply_data("ConfigMap", name, {"data": dict(data)})

    def secret(self, name: str, data: Mapping[str, str]) -> None:
        """Create or change a Secret."""
        self._apply_data("Secret", name, {"stringData": dict(data)})

    def running_pods(self, name: str) -> list[Manifest]:
        """Its pods that run and are not being deleted."""
        return [
            pod
            for pod in self.pods(name)
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]

    def kill(self, pod: str) -> None:
        """SIGKILL to the pod's program; on a cluster that is not on this machine, the pod is taken away by force."""
        if not self.cluster.is_ours:
            self.take_away(pod)
            return
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"{POD_NAME_VARIABLE}={pod}".encode() in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)
                    return
        raise ProcessLookupError(f"no process of pod {pod} on this machine")

    def take_away(self, pod: str) -> None:
        """Delete a pod by force: Kubernetes forgets it at once, its program has a moment left."""
        self.cluster.kubectl("delete", "pod", pod, "-n", self.namespace, "--force", "--grace-period=0")

    def wait_items(self, name: str, items: int = 20) -> None:
        """Wait until so many have succeeded."""

        def is_so() -> bool:
            return bool((self.status(name).get("items") or {}).get("succeeded", 0) >= items)

        self.cluster.wait_until(f"{items} items of {name} are done", is_so)

    def _apply_data(self, kind: str, name: str, data: Manifest) -> None:
        self.cluster.apply(
            {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **data}, namespace=self.namespace
        )

    def story(self) -> str:
        """What is there and what happened, for the report of a failed test."""
        shown = "llmbatches,jobs,pods"
        words = (("get", shown, "-o", "wide"), ("get", "events", "--sort-by=.lastTimestamp"))
        return "\n".join(self.cluster.kubectl(*each, "-n", self.namespace) for each in words)

    def _lines(self, name: str, file: str) -> list[Manifest]:
        return [json.loads(line) for line in self.output(name, file).raise_for_status().text.splitlines()]

    def _of(self, name: str, kind: str) -> list[Manifest]:
        words = ("get", kind, "-n", self.namespace, "-l", f"{_BATCH_LABEL}={name}")
        found: list[Manifest] = self.cluster.kubectl_json(*words)["items"]
        return found
