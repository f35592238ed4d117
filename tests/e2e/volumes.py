"""A PersistentVolumeClaim for a test: on the project's own cluster a folder of this machine, else what it gives."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster.cluster_client import Cluster

_USER = 65532


def claim(cluster: Cluster, namespace: str, name: str, folder: Path) -> None:
    """Make a claim; `folder` holds what is in the volume where the cluster is ours."""
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    if cluster.is_ours:
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, _USER, _USER)
        cluster.apply(_volume(namespace, name, folder))
        spec |= {"storageClassName": "", "volumeName": f"{namespace}-{name}"}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
    cluster.apply(body, namespace=namespace)


def _volume(namespace: str, name: str, folder: Path) -> Mapping[str, Any]:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": namespace, "name": name},
        "hostPath": {"path": str(folder), "type": "Directory"},
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{namespace}-{name}"},
        "spec": spec,
    }
