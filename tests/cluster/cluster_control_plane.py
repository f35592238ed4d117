"""Starts etcd, the API server, the controller manager and the scheduler.

Called by the lifecycle. With these alone there is a real API with Jobs, garbage collection and scheduling, but nothing
runs pods. The API server writes an audit log, from which tests count calls.
"""

import json
import socket

from cluster.cluster_build import binary
from cluster.cluster_certificates import API_PORT, write_certificates, write_kubeconfig
from cluster.cluster_places import AUDIT_LOG, KUBECONFIG, POD_CIDR, SERVICE_CIDR, STATE, ClusterError
from cluster.cluster_process import run, start, succeeds, wait_until
from cluster.cluster_tools import kubectl

PROCESSES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_ETCD_PORT, _ETCD_PEER_PORT = 2379, 2380
_PORTS = (_ETCD_PORT, _ETCD_PEER_PORT, API_PORT, 10250, 10256, 10257, 10259)
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


def start_control_plane(node_ip: str) -> None:
    """Start it and wait until it can take pods."""
    _require_free_ports()
    write_certificates(node_ip)
    write_kubeconfig()
    _start_etcd()
    _start_api_server(node_ip)
    _start_controllers()
    account = ("get", "serviceaccount", "default", "-n", "default")
    wait_until("service accounts", lambda: kubectl_succeeds(*account), name="kube-controller-manager")


def kubectl_output(*words: str) -> str:
    """What kubectl prints, asked as the admin. Raises ClusterError."""
    return run(kubectl(), "--kubeconfig", KUBECONFIG, "--request-timeout=10s", *words)


def kubectl_succeeds(*words: str) -> bool:
    """Whether kubectl, as the admin, ends with exit code 0."""
    return succeeds(kubectl(), "--kubeconfig", KUBECONFIG, "--request-timeout=10s", *words)


def _require_free_ports() -> None:
    for port in _PORTS:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("0.0.0.0", port))
            except OSError as error:
                raise ClusterError(
                    f"port {port} is taken. If that is another Kubernetes on this machine, stop it, or let the tests "
                    "use it by setting LLMBATCH_TEST_KUBECONFIG"
                ) from error


def _start_etcd() -> None:
    client, peer = f"http://127.0.0.1:{_ETCD_PORT}", f"http://127.0.0.1:{_ETCD_PEER_PORT}"
    listen = (f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}")
    start("etcd", binary("etcd"), f"--data-dir={STATE}/etcd", "--unsafe-no-fsync", *listen)


def _start_api_server(node_ip: str) -> None:
    (STATE / "audit-policy.json").write_text(json.dumps(_AUDIT_POLICY))
    options = {
        "etcd-servers": f"http://127.0.0.1:{_ETCD_PORT}",
        "secure-port": API_PORT,
        "bind-address": "0.0.0.0",
        "advertise-address": node_ip,
        "tls-cert-file": "api.crt",
        "tls-private-key-file": "api.key",
        "client-ca-file": "ca.crt",
        "token-auth-file": "tokens.csv",
        "authorization-mode": "Node,RBAC",
        "service-cluster-ip-range": SERVICE_CIDR,
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": "sa.key",
        "service-account-signing-key-file": "sa.key",
        "allow-privileged": "true",
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-client-certificate": "kubelet-client.crt",
        "kubelet-client-key": "kubelet-client.key",
        "audit-policy-file": "audit-policy.json",
        "audit-log-path": AUDIT_LOG,
    }
    start("kube-apiserver", binary("kube-apiserver"), *(f"--{name}={value}" for name, value in options.items()))
    wait_until("the API server", lambda: kubectl_succeeds("get", "--raw", "/readyz"), name="kube-apiserver")


def _start_controllers() -> None:
    common = (f"--kubeconfig={KUBECONFIG}", "--leader-elect=false", "--bind-address=127.0.0.1")
    start(
        "kube-controller-manager",
        binary("kube-controller-manager"),
        *common,
        "--service-account-private-key-file=sa.key",
        "--root-ca-file=ca.crt",
        "--use-service-account-credentials=true",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={POD_CIDR}",
    )
    start("kube-scheduler", binary("kube-scheduler"), *common)
