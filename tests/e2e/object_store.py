"""A real S3 server that pods of the test cluster reach: versitygw over a folder of this machine, at the node's address.

The fixture `object_store` starts one for the tests of a process and ends it with them. Tests read and write through
boto3, which shares no code with what they test. (PYTEST_DONT_REWRITE: a module that is imported for its types before
pytest loads it as a plugin would be warned about.)
"""

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cluster.cluster_build import binary, build
from cluster.cluster_client import Cluster

__all__ = ["ObjectStore", "object_store"]

BUCKET = "batches"
_USER, _PASSWORD = "tester", "secret-of-the-tester"


@dataclass(frozen=True)
class ObjectStore:
    """One bucket of a server."""

    endpoint: str
    client: Any
    _server: "_Server"

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Within the block there is no server."""
        self._server.stop()
        try:
            yield
        finally:
            self._server.start()

    @property
    def settings(self) -> dict[str, Any]:
        """For `store` of an input or an output."""
        return {"endpoint": self.endpoint, "region": "us-east-1"}

    @property
    def credentials(self) -> dict[str, str]:
        """The data of a Secret for `credentialsSecret`."""
        return {"AWS_ACCESS_KEY_ID": _USER, "AWS_SECRET_ACCESS_KEY": _PASSWORD}

    def put(self, key: str, data: bytes) -> str:
        """Write an object, and return its URI."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)
        return self.uri(key)

    def read(self, key: str) -> bytes:
        """A whole object."""
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def keys(self, prefix: str) -> list[str]:
        """The keys below a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))

    def uri(self, key: str) -> str:
        """The URI of a key."""
        return f"s3://{BUCKET}/{key}"


@pytest.fixture(scope="session")
def object_store(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An empty bucket that pods reach."""
    build(("versitygw",))
    server = _Server(f"{cluster.node_ip}:{_free_port(cluster.node_ip)}", tmp_path_factory.mktemp("s3"))
    endpoint = f"http://{server.address}"
    server.start()
    try:
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=_USER,
            aws_secret_access_key=_PASSWORD,
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )
        cluster.wait_until("the S3 server answers", lambda: _has_bucket(client))
        yield ObjectStore(endpoint, client, server)
    finally:
        server.stop()


@dataclass
class _Server:
    """The process. What it keeps outlives it."""

    address: str
    folder: Path
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        environment = os.environ | {"ROOT_ACCESS_KEY": _USER, "ROOT_SECRET_KEY": _PASSWORD}
        command = [str(binary("versitygw")), "--port", self.address, "posix", str(self.folder)]
        with (self.folder.parent / "s3.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _has_bucket(client: Any) -> bool:
    try:
        client.create_bucket(Bucket=BUCKET)
    except ClientError as error:
        return str(error.response["Error"]["Code"]).startswith("BucketAlready")
    except BotoCoreError:
        return False
    return True
