"""HTTP through the API server, to pods and Services of the cluster, with the rights of the tests' kubeconfig.

`kubectl get --raw` can only GET; this is `kubectl proxy` on a free port, and a client of it.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import httpx

from cluster.cluster_client import Cluster
from cluster.cluster_tools import kubectl

_TIMEOUT_S = 30


@contextmanager
def api_proxy(cluster: Cluster) -> Iterator[httpx.Client]:
    """A client whose base URL is the API server's."""
    command = [kubectl(), "--kubeconfig", str(cluster.kubeconfig), "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            with httpx.Client(base_url=_address(process.stdout), timeout=_TIMEOUT_S) as client:
                yield client
        finally:
            process.terminate()


def pod_path(namespace: str, pod: str, port: int) -> str:
    """Where the API server hands requests on to a pod."""
    return f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy"


def service_path(namespace: str, service: str) -> str:
    """Where the API server hands requests on to a Service, as in `https:web:https`."""
    return f"/api/v1/namespaces/{namespace}/services/{service}/proxy"


def _address(output: IO[str] | None) -> str:
    """kubectl says `Starting to serve on 127.0.0.1:36001`."""
    line = output.readline() if output else ""
    found = re.search(r"127\.0\.0\.1:\d+", line)
    if found is None:
        raise ConnectionError(f"kubectl proxy did not start: {line!r}")
    return f"http://{found[0]}"
