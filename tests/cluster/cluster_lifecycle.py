"""Brings the test cluster up and down, and says whether the one that runs can be used.

Called by the command and by the tests' fixture. A cluster that another version of these files started, or that lacks a
process, is not used: a start clears it away first.
"""

import json
import os
import sys
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace

from cluster import cluster_build, cluster_control_plane, cluster_jaeger, cluster_node
from cluster.cluster_cleanup import remove_leftovers
from cluster.cluster_network import outgoing_address
from cluster.cluster_places import CACHE, HERE, KUBECONFIG, STATE, ClusterError, digest_of
from cluster.cluster_process import alone, runs, say
from cluster.cluster_tools import CONTROL_PLANE_COMMANDS, NODE_COMMANDS, cni_folder, kubectl, require

_STARTED = STATE / "started.json"


@dataclass(frozen=True)
class Started:
    """What is known of the cluster that runs."""

    version: str
    node: bool
    node_ip: str
    for_tests: bool


def up(*, node: bool, for_tests: bool = False) -> Started:
    """Start the cluster unless a good one runs: build and install what is missing first."""
    require_root()
    with _one_at_a_time():
        if found := healthy(node=node):
            say(f"a healthy one runs already: {KUBECONFIG}")
            # Once a person has asked for it, tests do not stop it any more.
            return _remember(replace(found, for_tests=found.for_tests and for_tests))
        prepare(node=node)
        remove_leftovers()
        return _start(Started(version(), node, outgoing_address(), for_tests))


def down() -> None:
    """Stop the cluster and delete its state; the cache stays."""
    require_root()
    with _one_at_a_time():
        remove_leftovers()


def add_jaeger() -> None:
    """Start Jaeger beside the cluster that runs, unless it does already."""
    require_root()
    with _one_at_a_time():
        started = running()
        if started is None:
            raise ClusterError("Jaeger goes with a cluster, and none runs; `up` starts one")
        cluster_jaeger.start_jaeger(started.node_ip)


def prepare(*, node: bool) -> None:
    """Get everything that a start needs."""
    require(CONTROL_PLANE_COMMANDS)
    kubectl()
    if node:
        require(NODE_COMMANDS)
        cni_folder()
    cluster_build.build((*cluster_build.CONTROL_PLANE, *(cluster_build.NODE if node else ())))


def healthy(*, node: bool) -> Started | None:
    """The cluster that runs, if it is whole and of this version."""
    started = running()
    if started is None or started.version != version() or (node and not started.node):
        return None
    names = (*cluster_control_plane.PROCESSES, *(cluster_node.PROCESSES if started.node else ()))
    if not all(runs(name) for name in names) or started.node_ip != outgoing_address():
        return None
    ready = cluster_control_plane.kubectl_succeeds("get", "--raw", "/readyz")
    return started if ready and (not started.node or cluster_node.node_is_ready()) else None


def running() -> Started | None:
    """The cluster whose start was finished, healthy or not."""
    try:
        return Started(**json.loads(_STARTED.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def version() -> str:
    """A digest of what makes a cluster what it is: the files of this folder."""
    return digest_of(path for path in HERE.rglob("*") if path.suffix in (".py", ".mod", ".sum", ".go"))


def require_root() -> None:
    """The cluster mounts, makes network links and sets firewall rules."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise ClusterError("the test cluster needs Linux and root; or set LLMBATCH_TEST_KUBECONFIG to another cluster")


def _start(wanted: Started) -> Started:
    STATE.mkdir(parents=True, mode=0o755)
    say(f"starting the control plane, Kubernetes {cluster_build.kubernetes_version()}")
    cluster_control_plane.start_control_plane(wanted.node_ip)
    if wanted.node:
        say(f"starting the node, {wanted.node_ip}")
        cluster_node.start_node(wanted.node_ip)
    say(f"ready: {KUBECONFIG}")
    return _remember(wanted)


def _remember(started: Started) -> Started:
    _STARTED.write_text(json.dumps(asdict(started)))
    return started


def _one_at_a_time() -> AbstractContextManager[None]:
    return alone(CACHE / "start.lock")
