"""The bridge that pods hang on, the firewall rules they need, and the settings of the container network.

Called by the node when it starts and by the clean-up. All of it carries names of its own (the bridge, the comment on
each rule), so that exactly that can be taken away again, also after a crash.
"""

import json
import shlex
import socket
from pathlib import Path

from cluster.cluster_places import BRIDGE, GATEWAY, NODE_POD_CIDR, POD_CIDR, STATE, ClusterError
from cluster.cluster_process import run, succeeds

CNI_SETTINGS = STATE / "cni"
_BRIDGE_MAC = "02:00:0a:f4:00:01"
_COMMENT = "llmbatch-test-cluster"
_MARK = f"-m comment --comment {_COMMENT}"
_BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
# The table, the chain, the rule. The policies of Docker and of firewalls would drop what pods send.
_RULES = (
    ("nat", "POSTROUTING", f"-s {POD_CIDR} ! -d {POD_CIDR} {_MARK} -j MASQUERADE"),
    ("filter", "FORWARD", f"-i {BRIDGE} {_MARK} -j ACCEPT"),
    ("filter", "FORWARD", f"-o {BRIDGE} {_MARK} -j ACCEPT"),
    ("filter", "INPUT", f"-i {BRIDGE} {_MARK} -j ACCEPT"),
)


def outgoing_address() -> str:
    """This machine's address towards others: the node's, at which pods reach servers of the tests."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))  # chooses the address; sends nothing
        except OSError as error:
            raise ClusterError(f"this machine has no network for the node's address: {error}") from error
        return str(one.getsockname()[0])


def set_up_network() -> None:
    """Make the bridge with its address, and the rules. The address is there before the first pod, for the DNS."""
    _mount_network_namespaces()
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    # Else it takes the lowest of its ports', a new one as pods come and go: what others send it is lost for seconds.
    run("ip", "link", "set", BRIDGE, "address", _BRIDGE_MAC)
    run("ip", "address", "add", f"{GATEWAY}/{NODE_POD_CIDR.partition('/')[2]}", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    for table, chain, rule in _RULES:
        run("iptables", "-w", "-t", table, "-I", chain, *shlex.split(rule))
    _write_cni_settings()


def remove_network() -> None:
    """Take away the bridge, what still hangs on it, and the rules, however many starts left them."""
    ports = Path(f"/sys/class/net/{BRIDGE}/brif")
    for port in list(ports.iterdir()) if ports.is_dir() else ():
        succeeds("ip", "link", "delete", port.name)
    if ports.is_dir():
        run("ip", "link", "delete", BRIDGE)
    for table, chain, rule in _RULES:
        while succeeds("iptables", "-w", "-t", table, "-D", chain, *shlex.split(rule)):
            pass


def bridge_replies_pass_the_firewall() -> bool:
    """Whether the kernel shows traffic inside the bridge to iptables, which Services between pods need."""
    return _BRIDGE_FILTER.exists() or succeeds("modprobe", "br_netfilter")


def _mount_network_namespaces() -> None:
    """Make /run/netns a mount of its own, as the first `ip netns add` does: done later, it would hide those of pods."""
    run("ip", "netns", "add", _COMMENT)
    run("ip", "netns", "delete", _COMMENT)


def _write_cni_settings() -> None:
    ranges = [[{"subnet": NODE_POD_CIDR, "gateway": GATEWAY}]]
    addresses = {
        "type": "host-local",
        "ranges": ranges,
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(STATE / "addresses"),
    }
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True, "ipam": addresses}
    settings = {"cniVersion": "0.4.0", "name": "llmbatch-test", "plugins": [bridge]}
    CNI_SETTINGS.mkdir()
    (CNI_SETTINGS / "10-pods.conflist").write_text(json.dumps(settings))
