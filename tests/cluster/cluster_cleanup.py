"""Takes away everything that a start left on this machine, after an orderly run as after a crash.

Called by the lifecycle before each start and at the end. It ends recorded processes, and the containers' processes that
hang on our containerd's socket; it unmounts what is mounted below STATE; then STATE itself goes.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cluster import cluster_control_plane, cluster_jaeger, cluster_node
from cluster.cluster_build import binary
from cluster.cluster_network import remove_network
from cluster.cluster_places import CONTAINERD_SOCKET, STATE, ClusterError
from cluster.cluster_process import Identity, end, identity_of, stop, succeeds

_NODE_MARKS = ("containerd.toml", "kubelet.json", "cni")


def remove_leftovers() -> None:
    """Leave the machine as if the cluster had never run; the cache stays."""
    if not STATE.exists():
        return
    had_node = any((STATE / mark).exists() for mark in _NODE_MARKS)
    network_namespaces = list(_network_namespaces())
    for name in (cluster_jaeger.PROCESS, *cluster_node.PROCESSES):
        stop(name)
    _end_containers()
    for name in reversed(cluster_control_plane.PROCESSES):
        stop(name)
    _unmount_below_state()
    for path in network_namespaces:
        _remove_network_namespace(path)
    if had_node:
        succeeds(binary("kube-proxy"), "--cleanup")
        remove_network()
    shutil.rmtree(STATE)


def _network_namespaces() -> Iterator[Path]:
    """Those of our pods, as the containers' settings name them."""
    for settings in (STATE / "containerd-run").glob("io.containerd.runtime.v2.task/*/*/config.json"):
        try:
            namespaces = json.loads(settings.read_text())["linux"]["namespaces"]
        except (OSError, ValueError, KeyError):
            continue
        for namespace in namespaces:
            path = namespace.get("path", "")
            if Path(path).name.startswith("cni-"):
                yield Path(path)


def _end_containers() -> None:
    """End each container's keeper, which outlives containerd, and the processes below it."""
    for keeper in _keepers():
        while children := _children(keeper.pid):
            for child in children:
                end(child, politely=False)
        end(keeper, politely=False)


def _keepers() -> Iterator[Identity]:
    for pid in _pids():
        words = _command_line(pid)
        is_keeper = words[:1] and Path(words[0]).name.startswith("containerd-shim")
        if is_keeper and str(CONTAINERD_SOCKET) in words and (keeper := identity_of(pid)):
            yield keeper


def _children(parent: int) -> list[Identity]:
    found = [identity_of(pid) for pid in _pids() if _parent_of(pid) == parent]
    return [child for child in found if child]


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _unmount_below_state() -> None:
    """Unmount from the innermost outwards. What stays mounted may be a folder of the machine, not to be deleted."""
    for target in sorted(_mounts_below_state(), reverse=True):
        succeeds("umount", "-l", target)
    if left := _mounts_below_state():
        raise ClusterError(f"cannot unmount {', '.join(left)}; nothing was deleted")


def _mounts_below_state() -> list[str]:
    mounted = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return [path for path in mounted if path.startswith(f"{STATE}/")]


def _remove_network_namespace(path: Path) -> None:
    succeeds("umount", "-l", path)
    # Busy, if somebody has mounted something over its folder since: an empty file stays, and no harm is done.
    with suppress(OSError):
        path.unlink()
