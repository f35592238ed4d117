"""What is in the two images and what is not, seen from inside a pod."""

import json
from typing import Any

import pytest

from e2e.deployed import Deployment

pytest_plugins = ["cluster_fixture", "e2e.deployed"]

_LOOK = """
import importlib.util, json, os, pathlib, shutil, sysconfig
packages = pathlib.Path(sysconfig.get_path("purelib"))
modules = [path for path in packages.rglob("*.py") if path.parts[len(packages.parts)].startswith("llmbatch")]
print(json.dumps({
    "user": os.getuid(),
    "packages": [name for name in NAMES if importlib.util.find_spec(name)],
    "commands": [name for name in COMMANDS if shutil.which(name)],
    "modules": len(modules),
    "uncompiled": [str(p) for p in modules if not os.path.exists(importlib.util.cache_from_source(str(p)))],
    "writable": [p for p in ("/", "/opt/llmbatch", "/etc") if os.access(p, os.W_OK)],
}))
"""
_OPERATORS = ["kopf", "kubernetes", "cryptography"]
_TOOLS = ["pip", "uv", "hatchling", "setuptools", "pytest"]


def seen(deployment: Deployment, namespace: str, image: str) -> dict[str, Any]:
    """What a pod of the image finds in it."""
    code = f"NAMES = {[*_OPERATORS, *_TOOLS]}\nCOMMANDS = {['pip', 'pip3', 'uv', 'gcc', 'cc']}\n{_LOOK}"
    container = {"name": "look", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["python", "-c", code]}
    spec = {"restartPolicy": "Never", "containers": [container], "securityContext": {"runAsNonRoot": True}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "look"}, "spec": spec}
    deployment.cluster.apply(pod, namespace=namespace)
    words = ("look", "-n", namespace)
    phase = ("get", "pod", *words, "-o", "jsonpath={.status.phase}")
    deployment.cluster.wait_until("the pod ends", lambda: deployment.cluster.kubectl(*phase) == "Succeeded")
    found: dict[str, Any] = json.loads(deployment.cluster.kubectl("logs", *words))
    return found


@pytest.mark.parametrize(("target", "packages"), [("worker", []), ("operator", _OPERATORS)])
def test_an_image_has_what_it_needs_and_no_tools(
    deployment: Deployment, namespace: str, target: str, packages: list[str]
) -> None:
    found = seen(deployment, namespace, deployment.images[target])
    assert found.pop("modules") > 100
    assert found == {"user": 65532, "packages": packages, "commands": [], "uncompiled": [], "writable": []}
