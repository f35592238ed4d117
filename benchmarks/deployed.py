"""LLMBatch as it is deployed, for benchmarks that need real pods: the operator, a simulated endpoint, batches."""

import base64
import contextlib
import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from benchmarks.on_cluster import the_cluster
from cluster.cluster_client import Cluster
from e2e.api_proxy import api_proxy
from e2e.batches import Batches
from e2e.deploying import Deployment, deploy, present
from e2e.simulator_pod import SimulatorPod, start_simulator

Manifest = dict[str, Any]
_KEY = "items.jsonl.gz"

AS_IT_IS = "LLMBATCH_BENCH_AS_IT_IS"


@dataclass(frozen=True)
class Deployed:
    """An operator at work."""

    cluster: Cluster
    _deployment: Deployment
    _client: httpx.Client

    def simulator(self, namespace: str) -> SimulatorPod:
        """Start an endpoint."""
        return start_simulator(self.cluster, self._client, namespace, self._deployment.images["worker"])

    def batches(self, namespace: str) -> Batches:
        """The batches of a namespace."""
        return Batches(self.cluster, namespace, self._client)

    def create(self, namespace: str, manifest: Manifest) -> None:
        """Create a batch, quicker than kubectl starts."""
        path = f"/apis/llmbatch.dev/v1alpha1/namespaces/{namespace}/llmbatches"
        self._client.post(path, json=manifest).raise_for_status()

    def delete(self, namespace: str, name: str) -> None:
        """Delete a batch."""
        self._client.delete(f"/apis/llmbatch.dev/v1alpha1/namespaces/{namespace}/llmbatches/{name}").raise_for_status()

    def put_items(self, namespace: str, name: str, count: int) -> Manifest:
        """Items in a ConfigMap, packed so that many have room; the `input` of a batch that reads them."""
        lines = b"".join(orjson.dumps({"id": f"{n}", "text": f"text {n}"}) + b"\n" for n in range(count))
        data = {_KEY: base64.b64encode(gzip.compress(lines)).decode()}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "binaryData": data}
        self._client.post(f"/api/v1/namespaces/{namespace}/configmaps", json=body).raise_for_status()
        return {"configMap": {"name": name, "key": _KEY}, "idField": "id"}


@contextlib.contextmanager
def deployed() -> Iterator[Deployed]:
    """Bring the operator of this source tree to the cluster, with telemetry off, if it is not there yet.

    Tests say by the variable that theirs is there and shall stay as it is.
    """
    cluster = the_cluster()
    with api_proxy(cluster) as client:
        yield Deployed(cluster, present(cluster) if os.environ.get(AS_IT_IS) else deploy(cluster), client)
