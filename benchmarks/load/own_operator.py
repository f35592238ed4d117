"""An operator of this source tree as a process of this machine, beside a cluster that has none at work meanwhile."""

import base64
import os
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen

from benchmarks import processes
from benchmarks.load.workers import Coordinator
from cluster.cluster_client import Cluster
from e2e.deploying import NAMESPACE, OPERATOR
from llmbatch_operator.authority import SECRET_NAME

_START_S = 60.0
_LOOK_EVERY_S = 0.1
_LOG_LINES = 20


@dataclass(frozen=True)
class OwnOperator:
    """The process."""

    process: "Popen[str]"
    coordinator: Coordinator
    log: Path

    @property
    def pid(self) -> int:
        """Its id."""
        return self.process.pid

    def check(self) -> None:
        """Raise with the end of its log if it has ended."""
        if (code := self.process.poll()) is not None:
            last = "\n".join(self.log.read_text().splitlines()[-_LOG_LINES:])
            raise RuntimeError(f"the operator ended with exit code {code}:\n{last}")

    def problems(self) -> list[str]:
        """What it complained about."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if " ERROR " in line or " WARNING " in line]


@contextmanager
def own_operator(cluster: Cluster, namespace: str) -> Iterator[OwnOperator]:
    """Start one that keeps its Secret in `namespace`; a deployed one is away until the block ends."""
    with _deployed_one_away(cluster), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port, health_port = _free_port(), _free_port()
        environment = os.environ | {
            "KUBECONFIG": str(cluster.kubeconfig),
            "LLMBATCH_NAMESPACE": namespace,
            "LLMBATCH_LISTEN": f"127.0.0.1:{port}",
            "LLMBATCH_HEALTH_LISTEN": f"127.0.0.1:{health_port}",
            "LLMBATCH_METRICS_LISTEN": "127.0.0.1:0",
            "LLMBATCH_STORE_FOLDER": str(folder / "store"),
        }
        log = folder / "log"
        command = ["-m", "llmbatch_operator.main"]
        with (
            log.open("w") as file,
            processes.process(command, None, DEVNULL, stderr=file, environment=environment) as process,
        ):
            yield _when_it_listens(cluster, namespace, process, port, log)


def _when_it_listens(cluster: Cluster, namespace: str, process: "Popen[str]", port: int, log: Path) -> OwnOperator:
    give_up_at = time.monotonic() + _START_S
    while not _listens(port):
        started = OwnOperator(process, Coordinator(port, ssl.create_default_context()), log)
        started.check()
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"the operator does not listen:\n{log.read_text()}")
        time.sleep(_LOOK_EVERY_S)
    secret = cluster.kubectl_json("get", "secret", SECRET_NAME, "-n", namespace)
    trust = ssl.create_default_context(cadata=base64.b64decode(secret["data"]["ca.crt"]).decode())
    return OwnOperator(process, Coordinator(port, trust), log)


@contextmanager
def _deployed_one_away(cluster: Cluster) -> Iterator[None]:
    """Two operators would both act on all batches."""
    words = ("get", OPERATOR, "-n", NAMESPACE, "--ignore-not-found", "-o", "jsonpath={.spec.replicas}")
    replicas = cluster.kubectl(*words)
    if not int(replicas or 0):
        yield
        return
    cluster.kubectl("scale", OPERATOR, "-n", NAMESPACE, "--replicas=0")
    cluster.kubectl("rollout", "status", OPERATOR, "-n", NAMESPACE, "--timeout=60s")
    try:
        yield
    finally:
        cluster.kubectl("scale", OPERATOR, "-n", NAMESPACE, f"--replicas={replicas}")
        cluster.kubectl("rollout", "status", OPERATOR, "-n", NAMESPACE, "--timeout=90s")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
