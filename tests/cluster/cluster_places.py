"""Where the test cluster keeps its files, and its fixed addresses and names.

Every module of this folder may import it; it imports none of them. What is under `CACHE` stays until a person deletes
it; what is under `STATE` belongs to the running cluster and goes with it.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("LLMBATCH_CLUSTER_DIR") or Path.home() / ".cache" / "llmbatch-cluster").resolve()
BINARIES = CACHE / "bin"
WHEELS = CACHE / "wheels"
IMAGES = CACHE / "images"
STATE = CACHE / "state"

KUBECONFIG = STATE / "kubeconfig"
AUDIT_LOG = STATE / "audit.log"
CONTAINERD_SOCKET = STATE / "containerd.sock"

POD_CIDR = "10.244.0.0/16"
NODE_POD_CIDR = "10.244.0.0/24"
GATEWAY = "10.244.0.1"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"

NODE_NAME = "node1"
# Not cni0: that name may belong to another Kubernetes on this machine, and `down` deletes the link.
BRIDGE = "llmbatch0"


class ClusterError(Exception):
    """The cluster cannot be built, started or used; the text says what to do."""


def digest_of(paths: Iterable[Path], *words: str) -> str:
    """A short digest of files (name and content) and words: the key of what is made from them."""
    digest = hashlib.sha256("\0".join(words).encode())
    for path in sorted(paths):
        digest.update(f"\0{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
