"""Keeps an operator that may run on the tests' cluster from writing what these tests write: status, Secrets, Jobs.

An admission policy lets nobody but one user do so in namespaces with a label of the session's own.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster_fixture import Cluster, KubectlError
from kubectl_cli.batch_documents import Document, document

_WRITER = "llmbatch-cli-tests"
AS_WRITER = (f"--as={_WRITER}", "--as-group=system:masters")
"""Options of kubectl that make it the one who may."""
_LABEL = "llmbatch.dev/status-writer"


@contextmanager
def policy_in_force(cluster: Cluster) -> Iterator[str]:
    """The value of the label, while the policy holds."""
    name = f"{_WRITER}-{secrets.token_hex(4)}"
    cluster.apply(*_policy(name))
    try:
        with namespace_with(cluster, name) as probe:
            cluster.apply(document() | {"metadata": {"name": "tickets", "namespace": probe}})
            cluster.wait_until("others may not write a status", lambda: _is_refused(cluster, probe))
        yield name
    finally:
        cluster.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name, "--wait=false")


@contextmanager
def namespace_with(cluster: Cluster, label: str) -> Iterator[str]:
    """A fresh namespace in which the policy holds, deleted at the end."""
    name = f"test-{secrets.token_hex(4)}"
    metadata = {"name": name, "labels": {_LABEL: label}}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def write_status(cluster: Cluster, namespace: str, name: str, status: Document, *, writer: bool = True) -> None:
    """Write the status of a batch."""
    patch = ("--subresource=status", "--type=merge", "--patch", json.dumps({"status": status}))
    cluster.kubectl("patch", "llmb", name, "-n", namespace, *patch, *(AS_WRITER if writer else ()))


def _is_refused(cluster: Cluster, namespace: str) -> bool:
    try:
        write_status(cluster, namespace, "tickets", {"phase": "Pending"}, writer=False)
    except KubectlError as error:
        return "status of tests" in str(error)
    return False


def _policy(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    api, metadata = "admissionregistration.k8s.io/v1", {"name": name}
    rules = [
        {"apiGroups": [group], "apiVersions": ["*"], "operations": [operation], "resources": [resource]}
        for group, operation, resource in (
            ("llmbatch.dev", "UPDATE", "llmbatches/status"),
            ("batch", "CREATE", "jobs"),
            ("", "CREATE", "secrets"),
        )
    ]
    spec = {
        "matchConstraints": {"resourceRules": rules},
        "validations": [{"expression": f"request.userInfo.username == '{_WRITER}'", "message": "status of tests"}],
    }
    where = {"namespaceSelector": {"matchLabels": {_LABEL: name}}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": where}
    return (
        {"apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": metadata, "spec": spec},
        {"apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata, "spec": binding},
    )
