"""The cluster that tests get is real: it runs pods, keeps their logs, resolves Services and writes an audit log."""

import http.server
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cluster_fixture import Cluster, KubectlError

pytest_plugins = ["cluster_fixture"]

RESTRICTED: Mapping[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture
def server_port() -> Iterator[int]:
    """An HTTP server of the test's own, on all addresses of this machine."""

    class Greeting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello from the test")

        def log_message(self, format: str, *values: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("", 0), Greeting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def pod(name: str, image: str, code: str, **container: Any) -> dict[str, Any]:
    """A pod that runs some Python once."""
    one = {"name": "main", "image": image, "command": ["python3", "-c", code], "imagePullPolicy": "IfNotPresent"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [one | container]},
    }


def indexed_job(name: str, image: str, code: str) -> dict[str, Any]:
    """A Job of three indexes of which each may fail once."""
    template = pod(name, image, code)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "completionMode": "Indexed",
            "completions": 3,
            "parallelism": 3,
            "backoffLimitPerIndex": 1,
            "maxFailedIndexes": 3,
            "podReplacementPolicy": "Failed",
            "template": {"metadata": template["metadata"] | {"name": ""}, "spec": template["spec"]},
        },
    }


def phase(cluster: Cluster, namespace: str, name: str) -> str:
    return cluster.kubectl("get", "pod", name, "-n", namespace, "-o", "jsonpath={.status.phase}")


def run_to_the_end(cluster: Cluster, namespace: str, manifest: dict[str, Any]) -> str:
    """Run a pod that should succeed, and return its log."""
    name = manifest["metadata"]["name"]
    cluster.apply(manifest, namespace=namespace)
    ended = ("Succeeded", "Failed")
    cluster.wait_until(f"{name} ends", lambda: phase(cluster, namespace, name) in ended)
    log = cluster.kubectl("logs", name, "-n", namespace)
    assert phase(cluster, namespace, name) == "Succeeded", log
    return log


def test_the_api_server_is_new_enough_for_what_the_operator_uses(cluster: Cluster) -> None:
    version = cluster.kubectl_json("version")["serverVersion"]
    assert (int(version["major"]), int(version["minor"].rstrip("+"))) >= (1, 34)


def test_an_indexed_job_repeats_only_the_index_that_failed(cluster: Cluster, namespace: str) -> None:
    code = "import os, sys; sys.exit(os.environ['JOB_COMPLETION_INDEX'] == '1')"
    cluster.apply(indexed_job("shards", cluster.python_image(), code), namespace=namespace)

    def finished() -> dict[str, Any] | None:
        status: dict[str, Any] = cluster.kubectl_json("get", "job", "shards", "-n", namespace)["status"]
        types = {each["type"] for each in status.get("conditions", []) if each["status"] == "True"}
        return status if types & {"Complete", "Failed"} else None

    status = cluster.wait_until("the Job finishes", finished, timeout_s=90)
    assert (status["completedIndexes"], status["failedIndexes"], status["failed"]) == ("0,2", "1", 2)


def test_a_pod_under_the_restricted_standard_runs_and_its_log_can_be_read(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    image = cluster.python_image()
    log = run_to_the_end(
        cluster, namespace, pod("quiet", image, "import os; print('user', os.getuid())", securityContext=RESTRICTED)
    )
    assert log == "user 10001\n"
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        cluster.apply(pod("loud", image, "print('hello')"), namespace=namespace)


def test_a_service_is_found_by_name_and_reached(cluster: Cluster, namespace: str) -> None:
    image, serve = cluster.python_image(), "import http.server as s; s.test(s.SimpleHTTPRequestHandler, port=8080)"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    probe = {"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 1}
    cluster.apply(service, pod("server", image, serve, readinessProbe=probe, workingDir="/tmp"), namespace=namespace)
    addresses = ("get", "endpoints", "web", "-n", namespace, "-o", "jsonpath={.subsets[*].addresses[*].ip}")
    cluster.wait_until("the Service has an endpoint", lambda: cluster.kubectl(*addresses))
    # The node's rules follow the endpoints a moment later, and so may the name.
    ask = """
import time, urllib.request
for attempt in range(40):
    try:
        print(urllib.request.urlopen("http://web/", timeout=5).status)
        break
    except OSError as error:
        print("not yet:", error)
        time.sleep(0.5)
"""
    assert run_to_the_end(cluster, namespace, pod("client", image, ask)).splitlines()[-1] == "200"


def test_a_pod_reaches_a_server_of_the_test_at_the_nodes_address(
    cluster: Cluster, namespace: str, server_port: int
) -> None:
    ask = f"import urllib.request as u; print(u.urlopen('http://{cluster.node_ip}:{server_port}/').read().decode())"
    log = run_to_the_end(cluster, namespace, pod("caller", cluster.python_image(), ask))
    assert log == "hello from the test\n"


def test_a_host_path_is_a_folder_of_this_machine(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    if not cluster.is_ours:
        pytest.skip("the node of a given cluster may be another machine")
    writer = pod(
        "writer",
        cluster.python_image(),
        "open('/data/out.txt', 'w').write('written')",
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
    )
    writer["spec"]["volumes"] = [{"name": "data", "hostPath": {"path": str(tmp_path)}}]
    run_to_the_end(cluster, namespace, writer)
    assert (tmp_path / "out.txt").read_text() == "written"


def test_an_image_built_from_a_dockerfile_runs_and_is_not_built_twice(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    if not cluster.is_ours:
        pytest.skip("how a given cluster gets images is up to whoever gave it")
    (tmp_path / "Dockerfile").write_text('ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY said.txt /\nENTRYPOINT ["cat"]\n')
    (tmp_path / "said.txt").write_text("from the image\n")
    tag = "docker.io/local/llmbatch-cluster-test:1"
    cluster.load_image(tmp_path, tag)
    cluster.load_image(tmp_path, tag)
    shown = pod("shown", tag, "", command=["cat", "/said.txt"])
    assert run_to_the_end(cluster, namespace, shown) == "from the image\n"


def test_the_audit_log_counts_a_write(cluster: Cluster, namespace: str) -> None:
    if not cluster.has_audit_log:
        pytest.skip("the audit log of a given cluster cannot be read")
    cluster.kubectl("create", "configmap", "counted", "-n", namespace)
    writes = [
        event
        for event in cluster.audit_events()
        if event["verb"] == "create" and event.get("objectRef", {}).get("name") == "counted"
        if event["objectRef"]["namespace"] == namespace
    ]
    assert len(writes) == 1
