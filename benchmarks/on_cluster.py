"""The cluster that benchmarks of the operator use: the one that is given, else the project's own, if it runs.

`docs/testing.md` says how to get one. Benchmarks do not start it: what starts with them would end with them, and is
often wanted for longer.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from cluster import cluster_lifecycle
from cluster.cluster_client import Cluster
from cluster.cluster_network import outgoing_address
from cluster.cluster_places import KUBECONFIG
from cluster.cluster_tools import look_in_system_folders

HOW_TO_GET_ONE = "it needs a cluster: sudo python3 tests/cluster up --node, or see docs/testing.md"
CRD_FILE = Path(__file__).resolve().parents[1] / "crds" / "llmbatches.yaml"


def find_cluster() -> Cluster | None:
    """The cluster, if there is one."""
    look_in_system_folders()
    if given := os.environ.get("LLMBATCH_TEST_KUBECONFIG"):
        return Cluster(Path(given).expanduser().resolve(), outgoing_address(), is_ours=False)
    if (started := cluster_lifecycle.running()) is None or os.geteuid() != 0:
        return None
    return Cluster(KUBECONFIG, started.node_ip, is_ours=True)


def the_cluster() -> Cluster:
    """The cluster. Raises RuntimeError when there is none."""
    if (found := find_cluster()) is None:
        raise RuntimeError(HOW_TO_GET_ONE)
    return found


@contextlib.contextmanager
def namespaces(cluster: Cluster, count: int) -> Iterator[list[str]]:
    """Fresh namespaces, which are being deleted when the block ends."""
    run = secrets.token_hex(3)
    names = [f"test-bench-{run}-{n}" for n in range(count)]
    try:
        for name in names:
            cluster.kubectl("create", "namespace", name)
        for name in names:
            account = ("get", "serviceaccount", "default", "-n", name)
            cluster.wait_until("service account", lambda account=account: cluster.kubectl(*account))  # type: ignore[misc]
        yield names
    finally:
        for name in names:
            # With a namespace, pods would go first, and some wait for a new one that their Job may not make any more.
            cluster.kubectl("delete", "llmbatches", "--all", "-n", name, "--wait=false")
        cluster.kubectl("delete", "namespace", *names, "--wait=false", "--ignore-not-found")
