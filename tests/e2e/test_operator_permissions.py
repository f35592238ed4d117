"""What the operator and users may do, as the real API server answers a SubjectAccessReview."""

import json
from typing import Any

import pytest

from e2e.deployed import NAMESPACE, Deployment

pytest_plugins = ["cluster_fixture", "e2e.deployed"]

_OPERATOR = f"system:serviceaccount:{NAMESPACE}:llmbatch-operator"
_ANYBODY = "somebody"
_BATCHES = {"group": "llmbatch.dev", "resource": "llmbatches"}
_ENDPOINTS = {"group": "llmbatch.dev", "resource": "llmendpoints"}
_RBAC = "rbac.authorization.k8s.io"
_RESULTS = {"resource": "services", "subresource": "proxy", "name": "https:llmbatch-coordinator:https"}


def allows(deployment: Deployment, user: str, verb: str, **attributes: Any) -> bool:
    """Whether a user may; an empty namespace is all of them."""
    spec = {"user": user, "groups": ["system:authenticated"], "resourceAttributes": {"verb": verb, **attributes}}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer = deployment.cluster.kubectl("create", "-f", "-", "-o", "json", input=json.dumps(review))
    allowed: bool = json.loads(answer)["status"]["allowed"]
    return allowed


@pytest.mark.parametrize(
    ("verb", "attributes"),
    [
        pytest.param("get", {"resource": "secrets", "namespace": "default"}, id="read a Secret of users"),
        pytest.param("list", {"resource": "secrets"}, id="list Secrets"),
        pytest.param("watch", {"resource": "secrets", "namespace": NAMESPACE}, id="watch Secrets in its own namespace"),
        pytest.param(
            "get", {"resource": "secrets", "namespace": NAMESPACE, "name": "other"}, id="read another Secret there"
        ),
        pytest.param("update", {"resource": "secrets", "namespace": "default"}, id="change a Secret"),
        pytest.param("get", {"resource": "configmaps", "namespace": "default"}, id="read a ConfigMap of users"),
        pytest.param("create", {"resource": "pods", "namespace": "default"}, id="make pods but through Jobs"),
        pytest.param("create", {"resource": "pods", "subresource": "exec"}, id="run commands in pods"),
        pytest.param("update", _BATCHES, id="change what users asked for"),
        pytest.param("update", _ENDPOINTS, id="change what administrators allow"),
        pytest.param("delete", {"resource": "namespaces"}, id="delete a namespace"),
        pytest.param("create", {"group": _RBAC, "resource": "clusterrolebindings"}, id="give itself rights"),
    ],
)
def test_the_operator_may_not(deployment: Deployment, verb: str, attributes: dict[str, str]) -> None:
    assert not allows(deployment, _OPERATOR, verb, **attributes)


@pytest.mark.parametrize(
    ("verb", "attributes"),
    [
        pytest.param("watch", _BATCHES, id="watch batches"),
        pytest.param("patch", {**_BATCHES, "subresource": "status"}, id="write their status"),
        pytest.param("watch", _ENDPOINTS, id="watch endpoints"),
        pytest.param("patch", {**_ENDPOINTS, "subresource": "status"}, id="write the status of endpoints"),
        pytest.param("create", {"group": "batch", "resource": "jobs"}, id="create Jobs"),
        pytest.param("create", {"resource": "secrets"}, id="create the Secret of results"),
        pytest.param(
            "get",
            {"resource": "secrets", "namespace": NAMESPACE, "name": "llmbatch-coordinator"},
            id="read its own Secret",
        ),
    ],
)
def test_the_operator_may(deployment: Deployment, verb: str, attributes: dict[str, str]) -> None:
    assert allows(deployment, _OPERATOR, verb, **attributes)


@pytest.mark.parametrize(
    ("verb", "attributes", "expected"),
    [
        pytest.param("get", _RESULTS, True, id="knock at the coordinator"),
        pytest.param("create", _RESULTS, False, id="but not post to it"),
        pytest.param("get", {**_RESULTS, "name": "https:other:https"}, False, id="nor reach another Service"),
        pytest.param("get", {"resource": "secrets", "name": "llmbatch-coordinator"}, False, id="nor read its Secret"),
        pytest.param("list", {"resource": "pods"}, False, id="nor see its pods"),
    ],
)
def test_everybody_may(deployment: Deployment, verb: str, attributes: dict[str, str], expected: bool) -> None:
    assert allows(deployment, _ANYBODY, verb, namespace=NAMESPACE, **attributes) is expected


@pytest.mark.parametrize(
    ("role", "verb", "expected"),
    [
        pytest.param("view", "list", True, id="a viewer sees batches"),
        pytest.param("view", "create", False, id="a viewer makes none"),
        pytest.param("edit", "create", True, id="an editor makes batches"),
        pytest.param("edit", "delete", True, id="an editor deletes them"),
        pytest.param("admin", "patch", True, id="an administrator changes them"),
    ],
)
def test_roles_of_a_namespace_hold_for_its_batches(
    deployment: Deployment, namespace: str, role: str, verb: str, expected: bool
) -> None:
    cluster, here = deployment.cluster, {**_BATCHES, "namespace": namespace}
    cluster.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={_ANYBODY}", "-n", namespace)
    # The API server learns of a new binding a moment later.
    cluster.wait_until("the binding counts", lambda: allows(deployment, _ANYBODY, "list", **here))
    assert allows(deployment, _ANYBODY, verb, **here) is expected
