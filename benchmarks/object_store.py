"""An S3 server for benchmarks: versitygw, on the simulator's core, which keeps files in a folder and logs what it is
asked. The tests compile it at its first use (`docs/testing.md`)."""

import contextlib
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import pinned, simulator_core
from cluster import cluster_build
from cluster.cluster_places import ClusterError
from s3_servers import ACCESS_KEY, REGION, SECRET_KEY, Bucket, new_bucket

_START_S = 20.0
_OPERATION = re.compile(r" s3_(\w+) ")
KINDS = {
    "ListObjectsV2": "list",
    "GetObject": "get",
    "HeadObject": "head",
    "PutObject": "put",
    "UploadPart": "put",
    "CreateMultipartUpload": "begin or end an upload",
    "CompleteMultipartUpload": "begin or end an upload",
    "DeleteObject": "delete",
    "DeleteObjects": "delete",
}
"""What stores bill alike, by the names of their operations."""


@dataclass(frozen=True)
class ObjectStore:
    """A bucket of a running server."""

    bucket: Bucket
    _log: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that is to reach it."""
        return {**os.environ, **self.bucket.environment, "AWS_DEFAULT_REGION": REGION}

    def log_size(self) -> int:
        """Where the log ends now."""
        return self._log.stat().st_size

    def requests(self, start: int, end: int) -> Counter[str]:
        """Requests between two ends of the log, by kind."""
        with self._log.open("rb") as file:
            file.seek(start)
            return count_requests(file.read(end - start).decode())

    def upload(self, path: Path, key: str) -> str:
        """Put a file there; its URI."""
        self.bucket.client.upload_file(str(path), self.bucket.name, key)
        return self.bucket.uri(key)

    def clear(self, prefix: str) -> None:
        """Remove all objects with a prefix."""
        client = self.bucket.client
        for name in self.bucket.names():
            if name.startswith(prefix):
                client.delete_object(Bucket=self.bucket.name, Key=name)


def count_requests(log: str) -> Counter[str]:
    """Requests of the server's log, by kind."""
    operations = (found[1] for line in log.splitlines() if (found := _OPERATION.search(line)))
    return Counter(KINDS.get(operation, "other") for operation in operations)


def lacks_server() -> str | None:
    """Why there is no server; None if there is one."""
    try:
        cluster_build.build(["versitygw"])
    except (ClusterError, OSError) as error:
        return f"versitygw cannot be built: {error}"
    return None


@contextlib.contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """A server over a folder, and a bucket that is new."""
    cluster_build.build(["versitygw"])
    buckets, log = folder / "buckets", folder / "requests.log"
    buckets.mkdir()
    url = f"127.0.0.1:{_free_port()}"
    command = [str(cluster_build.binary("versitygw")), "--port", url, "--quiet"]
    with pinned(simulator_core()):
        server = subprocess.Popen(
            [*command, "--access-log", str(log), "posix", str(buckets)],
            env=os.environ | {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        _wait_for(f"http://{url}", server)
        with new_bucket(f"http://{url}") as bucket:
            yield ObjectStore(bucket, log)
    finally:
        server.kill()
        server.wait()


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    give_up_at = time.monotonic() + _START_S
    while time.monotonic() < give_up_at and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError as error:  # it wants a signature
            error.close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the S3 server did not start")
