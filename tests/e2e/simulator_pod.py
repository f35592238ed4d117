"""`llmbatch simulate` as a pod: the endpoint of batches in tests on a cluster.

Made by the fixture `simulator`. Workers reach it at the pod's address, tests through the API server.
"""

from dataclasses import dataclass
from typing import Any

import httpx

from cluster.cluster_client import Cluster
from e2e.api_proxy import pod_path

_NAME = "simulator"
_PORT = 8000
Manifest = dict[str, Any]


@dataclass(frozen=True)
class SimulatorPod:
    """A simulated endpoint on the cluster."""

    url: str
    """For `endpoint.url` of a batch."""
    namespace: str
    _client: httpx.Client
    _path: str

    def stats(self, *, keys: bool = False) -> dict[str, Any]:
        """What happened so far; with `keys` also how often each Idempotency-Key was seen."""
        return self._call("GET", "/stats?keys=1" if keys else "/stats")

    def settings(self) -> dict[str, Any]:
        """How it behaves, as far as `update` may change it; no key is wanted."""
        settings = self._call("GET", "/settings")
        return {**{n: v for n, v in settings.items() if n not in ("host", "port")}, "api_key": None}

    def reset(self) -> None:
        """Forget what happened so far."""
        self._call("POST", "/stats/reset")

    def update(self, **settings: Any) -> None:
        """Change its behaviour: `latency="2s"`, `fail={"unavailable": 1}`, `requests_per_minute=None`."""
        self._call("PATCH", "/settings", settings)

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self._client.request(method, self._path + path, json=body)
        if answer.is_error:
            raise ConnectionError(f"simulator: {answer.status_code} {answer.text}")
        content: dict[str, Any] = answer.json() if answer.content else {}
        return content


def start_simulator(cluster: Cluster, client: httpx.Client, namespace: str, image: str) -> SimulatorPod:
    """Start one in a namespace, and wait until it answers. It ends with the namespace."""
    cluster.apply(_pod(image), namespace=namespace)
    words = ("get", "pod", _NAME, "-n", namespace)
    address = '{range .status.conditions[?(@.type=="Ready")]}{@.status}{end} {.status.podIP}'

    def ready_address() -> str:
        is_ready, _, found = cluster.kubectl(*words, "-o", f"jsonpath={address}").partition(" ")
        return found if is_ready == "True" else ""

    ip = cluster.wait_until("the simulator is ready", ready_address)
    return SimulatorPod(f"http://{ip}:{_PORT}/v1", namespace, client, pod_path(namespace, _NAME, _PORT))


def _pod(image: str) -> Manifest:
    container = {
        "name": _NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["llmbatch", "simulate", "--host", "0.0.0.0", "--port", str(_PORT)],
        "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}},  # without, it waits for the CPU behind all others
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": _PORT}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    spec = {
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": _NAME}, "spec": spec}
