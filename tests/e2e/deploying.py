"""Builds the images, applies deploy/ with them, and waits until the operator is ready.

Called by the fixture `deployment`. On the project's own cluster the volume is a folder of this machine; a cluster that
somebody gave makes one of its default storage class. Images are named by their content, so that a change replaces the
operator and no change does nothing.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster.cluster_client import Cluster, KubectlError
from cluster.cluster_places import STATE
from cluster.cluster_sources import digest_of_build

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
NAMESPACE = "llmbatch-system"
OPERATOR = "deployment/llmbatch-operator"
TARGETS = ("worker", "operator")

_VOLUME = "llmbatch-store"
_VOLUME_FOLDER = STATE / _VOLUME
_USER = 65532
_LOG_LINES = 50
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Deployment:
    """The operator on a cluster."""

    cluster: Cluster
    images: dict[str, str]
    """By the target of the Dockerfile: worker, operator."""

    def log(self, lines: int = _LOG_LINES) -> str:
        """The end of the operator's log, and of what it logged before it was restarted."""
        words = ("logs", OPERATOR, "-n", NAMESPACE, "--tail", str(lines))
        return "".join(f"{_told(self.cluster, *words, *more)}\n" for more in (("--previous",), ()))

    def restart(self) -> None:
        """Replace the operator's pod, and wait for the new one."""
        self.cluster.kubectl("rollout", "restart", OPERATOR, "-n", NAMESPACE)
        self.wait_until_ready()

    def kill(self) -> None:
        """Take the operator's pod away without a word to it, and wait until another one takes over."""
        before = {pod["metadata"]["uid"] for pod in self.pods()}
        for pod in self.pods():
            name = pod["metadata"]["name"]
            self.cluster.kubectl("delete", "pod", name, "-n", NAMESPACE, "--force", "--grace-period=0")
        self.cluster.wait_until(
            "there is another operator", lambda: {pod["metadata"]["uid"] for pod in self.pods()} - before
        )

    @contextmanager
    def setting(self, name: str, value: str) -> Iterator[None]:
        """Run the operator with another environment variable, within the block."""
        before = self.cluster.kubectl_json("get", OPERATOR, "-n", NAMESPACE)["spec"]["template"]["spec"]["containers"]
        known = {v["name"]: v.get("value", "") for v in before[0]["env"]}.get(name)
        self._set(f"{name}={value}")
        try:
            yield
        finally:
            self._set(f"{name}-" if known is None else f"{name}={known}")

    def _set(self, change: str) -> None:
        self.cluster.kubectl("set", "env", OPERATOR, "-n", NAMESPACE, change)
        self.wait_until_ready()

    def scale(self, replicas: int) -> None:
        """Take the operator away (0) or bring it back (1), and wait until it is so."""
        self.cluster.kubectl("scale", OPERATOR, "-n", NAMESPACE, f"--replicas={replicas}")
        if replicas:
            self.wait_until_ready()
        else:
            self.cluster.wait_until("the operator is gone", lambda: not self.pods())

    @contextmanager
    def away(self) -> Iterator[None]:
        """No operator within the block; it is back after it, whatever happens."""
        self.scale(0)
        try:
            yield
        finally:
            self.scale(1)

    def pods(self) -> list[Manifest]:
        """The operator's pods."""
        selector = "app.kubernetes.io/component=operator"
        found: list[Manifest] = self.cluster.kubectl_json("get", "pods", "-n", NAMESPACE, "-l", selector)["items"]
        return found

    def wait_until_ready(self) -> None:
        """Wait until the pod that was asked for serves. Raises with its log."""
        try:
            self.cluster.kubectl("rollout", "status", OPERATOR, "-n", NAMESPACE, "--timeout=90s")
        except KubectlError as error:
            raise KubectlError(
                f"{error}\n{_told(self.cluster, 'get', 'pods', '-n', NAMESPACE)}\n{self.log()}"
            ) from None


def deploy(cluster: Cluster, **environment: str) -> Deployment:
    """Bring the operator of this source tree to the cluster, with these environment variables more."""
    deployment = Deployment(cluster, _load_images(cluster))
    volume = [] if not cluster.is_ours else [_volume(cluster)]
    with _overlay(deployment.images, volume, list(_patches(cluster, environment))) as folder:
        manifests = cluster.kubectl("kustomize", str(folder))
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=manifests)
    deployment.wait_until_ready()
    return deployment


def present(cluster: Cluster) -> Deployment:
    """The operator that is there already."""
    return Deployment(cluster, _load_images(cluster))


def _load_images(cluster: Cluster) -> dict[str, str]:
    """Build and load what is missing, where we know how to; else the images that deploy/ names are there."""
    if not (cluster.is_ours or os.environ.get("LLMBATCH_TEST_LOAD_IMAGE")):
        named = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())["images"]
        return {each["name"].removeprefix("llmbatch-"): f"{each['newName']}:{each['newTag']}" for each in named}
    digest = digest_of_build(ROOT)
    images = {target: f"docker.io/local/llmbatch-{target}:{digest}" for target in TARGETS}
    for target, image in images.items():
        cluster.load_image(ROOT, image, target)
    return images


@contextmanager
def _overlay(images: dict[str, str], more: Sequence[Manifest], patches: Sequence[Manifest]) -> Iterator[Path]:
    """A folder for kustomize that takes deploy/ and changes it, as a user would."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "more.yaml").write_text(yaml.safe_dump_all(more))
        shutil.copy(DEPLOY / "kustomizeconfig.yaml", folder)
        kustomization = {
            "resources": [os.path.relpath(DEPLOY, folder), *(["more.yaml"] if more else [])],
            "images": [_named(target, image) for target, image in images.items()],
            "configurations": ["kustomizeconfig.yaml"],
            "patches": [{"patch": json.dumps(patch)} for patch in patches],
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        yield folder


def _named(target: str, image: str) -> dict[str, str]:
    name, _, tag = image.rpartition(":")
    return {"name": f"llmbatch-{target}", "newName": name, "newTag": tag}


def _patches(cluster: Cluster, environment: Mapping[str, str]) -> Iterator[Manifest]:
    if environment:
        yield _operator_with(environment)
    if cluster.is_ours:
        claim = {"metadata": {"name": _VOLUME, "namespace": NAMESPACE}, "spec": {"storageClassName": ""}}
        yield {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim}


def _operator_with(environment: Mapping[str, str]) -> Manifest:
    """A patch of the operator's Deployment."""
    container = {"name": "operator", "env": [{"name": name, "value": value} for name, value in environment.items()]}
    metadata = {"name": OPERATOR.partition("/")[2], "namespace": NAMESPACE}
    pod = {"template": {"spec": {"containers": [container]}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": pod}


def _volume(cluster: Cluster) -> Manifest:
    """A volume that is a folder of this machine, reserved for the operator's claim."""
    _VOLUME_FOLDER.mkdir(exist_ok=True)
    os.chown(_VOLUME_FOLDER, _USER, _USER)
    # One whose claim was deleted would never be bound again.
    if _phase(cluster) in ("Released", "Failed"):
        cluster.kubectl("delete", "persistentvolume", _VOLUME)
    spec = {
        "capacity": {"storage": "10Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": NAMESPACE, "name": _VOLUME},
        "hostPath": {"path": str(_VOLUME_FOLDER), "type": "Directory"},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": _VOLUME}, "spec": spec}


def _phase(cluster: Cluster) -> str:
    words = ("get", "persistentvolume", _VOLUME, "--ignore-not-found", "-o", "jsonpath={.status.phase}")
    return cluster.kubectl(*words)


def _told(cluster: Cluster, *words: str) -> str:
    """What kubectl says, be it an error: for messages."""
    try:
        return cluster.kubectl(*words)
    except KubectlError as error:
        return str(error)
