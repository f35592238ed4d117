"""The fixture `coordinator`: the operator's coordinator, reachable through the API server in the namespace of a shop.

The API server's proxy goes to addresses of pods only: a pod that is never scheduled stands for the operator's, with
this machine's address. (PYTEST_DONT_REWRITE: modules import the type before.)
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kubectl_cli.batch_documents import Document
from kubectl_cli.coordinator_process import MASTER_KEY
from kubectl_cli.shop import Shop
from kubectl_cli.status_policy import AS_WRITER
from llmbatch_contract.wire import RESULTS_KEY, batch_key, results_secret

_PROGRAM = Path(__file__).with_name("coordinator_process.py")
_SERVICE = "llmbatch-coordinator"


@dataclass(frozen=True)
class OwnCoordinator:
    """A coordinator that runs, and the shop for which it does."""

    folder: Path
    shop: Shop

    def keep(self, uid: str, outputs: dict[str, bytes], name: str = "tickets") -> None:
        """Have a batch with these outputs, and the Secret with the key to them."""
        self._write(self._uid_file(name), uid.encode())
        self.write(uid, "output", outputs)
        key = f"--from-literal={RESULTS_KEY}={batch_key(MASTER_KEY, uid)}"
        secret = ("secret", "generic", results_secret(name, uid), key, "-n", self.shop.namespace)
        self.shop.cluster.kubectl("create", *secret, *AS_WRITER)

    def write(self, uid: str, area: str, objects: dict[str, bytes]) -> None:
        """Have these objects, too; the area is `work` or `output`."""
        for name, data in objects.items():
            self._write(self.folder / "batches" / uid / area / name, data)

    def forget(self, name: str = "tickets") -> None:
        """Know of no such batch any more."""
        self._uid_file(name).unlink()

    def _uid_file(self, name: str) -> Path:
        return self.folder / "uids" / self.shop.namespace / name

    @staticmethod
    def _write(file: Path, data: bytes) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


@pytest.fixture(scope="session")
def coordinator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the coordinator of the session keeps its objects."""
    return tmp_path_factory.mktemp("coordinator")


@pytest.fixture(scope="session")
def coordinator_port(coordinator_folder: Path) -> Iterator[int]:
    """The port on which it serves."""
    command = [sys.executable, str(_PROGRAM), str(coordinator_folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()


@pytest.fixture
def coordinator(shop: Shop, coordinator_folder: Path, coordinator_port: int) -> OwnCoordinator:
    """The coordinator, known in the namespace of the shop as in an operator's."""
    cluster, address, namespace = shop.cluster, shop.cluster.node_ip, shop.namespace
    cluster.wait_until("service account", lambda: cluster.kubectl("get", "serviceaccount", "default", "-n", namespace))
    pod = {"schedulerName": "nobody", "containers": [{"name": "stand-in", "image": "none"}]}
    target = {"ip": address, "targetRef": {"kind": "Pod", "name": _SERVICE, "namespace": namespace}}
    objects: dict[str, Document] = {
        "Service": {"spec": {"ports": [{"name": "https", "port": 443}]}},
        "Pod": {"spec": pod},
        "Endpoints": {"subsets": [{"addresses": [target], "ports": [{"name": "https", "port": coordinator_port}]}]},
    }
    metadata = {"name": _SERVICE, "namespace": namespace}
    cluster.apply(*({"apiVersion": "v1", "kind": k, "metadata": metadata, **v} for k, v in objects.items()))
    patch = ("--type=merge", "--patch", json.dumps({"status": {"podIP": address, "podIPs": [{"ip": address}]}}))
    cluster.kubectl("patch", "pod", _SERVICE, "-n", namespace, "--subresource=status", *patch)
    return OwnCoordinator(coordinator_folder, shop)
