"""Makes the certificates, the admin's token and the kubeconfig of one start of the test cluster.

Called by the control plane before it starts. All of it is thrown away with the cluster's state.
"""

import base64
import json
import secrets
from pathlib import Path

from cluster.cluster_places import API_SERVICE_ADDRESS, KUBECONFIG, STATE
from cluster.cluster_process import run

API_PORT = 6443
_API_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")
_KEY = ("-newkey", "rsa:2048", "-nodes")
_DAYS = ("-days", "365")


def write_certificates(node_ip: str) -> None:
    """The authority, the API server's certificate, its identity towards kubelets, the key for service accounts."""
    _openssl("genrsa", "-out", "sa.key", "2048")
    authority = ("-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=llmbatch-test-ca")
    _openssl("req", "-x509", *_KEY, *authority, *_DAYS)
    addresses = ("127.0.0.1", API_SERVICE_ADDRESS, node_ip)
    names = [*(f"DNS:{name}" for name in _API_NAMES), *(f"IP:{address}" for address in addresses)]
    _certificate("api", "/CN=kube-apiserver", f"subjectAltName={','.join(names)}")
    _certificate("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client", "basicConstraints=CA:FALSE")


def write_kubeconfig() -> None:
    """The admin's token and kubeconfig, readable by this user only."""
    token = secrets.token_hex(16)
    _write_private(STATE / "tokens.csv", f"{token},admin,admin,system:masters\n")
    authority = base64.b64encode((STATE / "ca.crt").read_bytes()).decode()
    server = f"https://127.0.0.1:{API_PORT}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
    }
    _write_private(KUBECONFIG, json.dumps(config))


def admin_token() -> str:
    """The token of the running cluster's admin."""
    return (STATE / "tokens.csv").read_text().partition(",")[0]


def _certificate(name: str, subject: str, extension: str) -> None:
    (STATE / f"{name}.ext").write_text(f"{extension}\n")
    _openssl("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
    signed_by = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial")
    _openssl("x509", "-req", "-in", f"{name}.csr", *signed_by, "-out", f"{name}.crt", *_DAYS, "-extfile", f"{name}.ext")


def _openssl(*words: str) -> None:
    run("openssl", *words, cwd=STATE)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
