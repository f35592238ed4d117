"""Starts what runs pods: containerd, the name server, kubelet and kube-proxy.

Called by the lifecycle when the control plane is up. Volumes of type hostPath are folders of this machine.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path

from cluster.cluster_build import binary
from cluster.cluster_containerd import start_containerd
from cluster.cluster_control_plane import kubectl_output
from cluster.cluster_network import bridge_replies_pass_the_firewall, set_up_network
from cluster.cluster_places import CONTAINERD_SOCKET, GATEWAY, HERE, KUBECONFIG, NODE_NAME, POD_CIDR, STATE
from cluster.cluster_process import start, wait_until

# Containers first: without the kubelet nobody starts them again.
PROCESSES = ("kubelet", "kube-proxy", "dns", "containerd")
_CGROUPS = Path("/sys/fs/cgroup")
_PODS_CPU = {"cpu/kubepods/cpu.shares": "6144", "kubepods/cpu.weight": "236"}


def start_node(node_ip: str) -> None:
    """Start it and wait until it takes pods."""
    set_up_network()
    start_containerd()
    start("dns", sys.executable, HERE, "dns")
    _start_kubelet(node_ip)
    _start_proxy()
    wait_until("the node", node_is_ready, name="kubelet")
    _put_pods_first()


def node_is_ready() -> bool:
    """Whether the node is there, ready, and takes pods."""
    nodes = json.loads(kubectl_output("get", "nodes", "-o", "json"))["items"]
    return any(
        condition["type"] == "Ready" and condition["status"] == "True" and not node["spec"].get("taints")
        for node in nodes
        for condition in node["status"].get("conditions", [])
    )


def _start_kubelet(node_ip: str) -> None:
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(STATE / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        # A developer's disk may be nearly full; that is no reason to evict pods.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "podLogsDir": str(STATE / "pod-logs"),
        "clusterDNS": [GATEWAY],
        "clusterDomain": "cluster.local",
    }
    (STATE / "kubelet.json").write_text(json.dumps(settings))
    options = (f"--config={STATE}/kubelet.json", f"--kubeconfig={KUBECONFIG}", f"--root-dir={STATE}/kubelet")
    start("kubelet", binary("kubelet"), *options, f"--hostname-override={NODE_NAME}", f"--node-ip={node_ip}")


def _put_pods_first() -> None:
    """Give all pods together three times what the kubelet gives them of the CPU.

    That is as much as two processes get, while other tests run beside them; and what tests ask of pods is often when.
    """
    for name, value in _PODS_CPU.items():
        with suppress(OSError):  # the other version of cgroups
            (_CGROUPS / name).write_text(value)


def _start_proxy() -> None:
    options = [
        f"--kubeconfig={KUBECONFIG}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={POD_CIDR}",
        f"--hostname-override={NODE_NAME}",
        "--conntrack-max-per-core=0",  # leaves this setting of the machine alone
    ]
    if not bridge_replies_pass_the_firewall():
        options.append("--masquerade-all")
    start("kube-proxy", binary("kube-proxy"), *options)
