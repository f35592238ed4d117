"""Real S3 servers of the tests: moto in this process, versitygw over a folder. The fixtures are in s3_fixture.py."""

import contextlib
import logging
import os
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cluster import cluster_build
from cluster.cluster_places import ClusterError
from llmbatch_contract.storage import ObjectStore
from llmbatch_worker.stores.opening import Access, OpenStores, TimeLimits, Troubles
from llmbatch_worker.stores.protocol import Store

ACCESS_KEY, SECRET_KEY = "TESTACCESSKEYID", "test-secret-access-key"
REGION = "us-east-1"
_MOST_DELETED = 1000
QUICK = TimeLimits(connect_s=2, silence_s=2, request_s=20, part_s=3, parts_again_s=10, parts_again=6)
"""Time limits with which a test of faults ends soon."""


@dataclass
class Bucket:
    """One bucket of a server, for one test."""

    url: str
    """Of the server, or of a proxy before it."""
    name: str
    keys: dict[str, str] = field(
        default_factory=lambda: {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}, repr=False
    )
    """Of all stores that are opened here, read anew by them now and then; a test may renew them in place."""
    server_url: str = ""
    """Of the server itself, whatever is before it."""

    def __post_init__(self) -> None:
        self.server_url = self.server_url or self.url

    @property
    def environment(self) -> dict[str, str]:
        """For a process of its own."""
        return {**self.keys, "AWS_ENDPOINT_URL": self.url, "AWS_REGION": REGION}

    @property
    def settings(self) -> dict[str, Any]:
        """`store` of a manifest."""
        return {"endpoint": self.url, "region": REGION}

    def uri(self, key: str = "") -> str:
        """As in `s3://bucket/key`."""
        return f"s3://{self.name}/{key}"

    def through(self, url: str) -> "Bucket":
        """The same bucket by way of a proxy."""
        return replace(self, url=url)

    def access(self) -> Access:
        """For OpenStores."""
        return Access(ObjectStore.model_validate(self.settings), self._read_keys)

    def _read_keys(self) -> Mapping[str, str]:
        return dict(self.keys)

    def stores(self, troubles: Troubles | None = None, limits: TimeLimits = QUICK) -> OpenStores:
        """Stores that reach this server."""
        return OpenStores(self.access(), self.access(), troubles, limits)

    def store(self, folder: str = "", troubles: Troubles | None = None) -> Store:
        """A folder of the bucket as a Store."""
        return self.stores(troubles).open(self.uri(folder))

    @property
    def client(self) -> Any:
        """boto3's, of the server itself: to look at what is there, and to put objects of any name."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.server_url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
        )

    def put(self, key: str, data: bytes) -> None:
        """Write an object, without a store of ours."""
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        """Read an object, without a store of ours."""
        data: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return data

    def names(self) -> list[str]:
        """All keys."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def uploads(self) -> list[str]:
        """Keys of uploads in parts that have neither ended nor been given up."""
        return [each["Key"] for each in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]


@contextlib.contextmanager
def new_bucket(url: str) -> Iterator[Bucket]:
    """A bucket, emptied at the end."""
    bucket = Bucket(url, f"test-{secrets.token_hex(6)}")
    client = bucket.client
    client.create_bucket(Bucket=bucket.name)
    try:
        yield bucket
    finally:
        names = bucket.names()
        for start in range(0, len(names), _MOST_DELETED):
            some = [{"Key": name} for name in names[start : start + _MOST_DELETED]]
            client.delete_objects(Bucket=bucket.name, Delete={"Objects": some, "Quiet": True})
        client.close()


@contextlib.contextmanager
def serving_moto() -> Iterator[str]:
    """Its URL. It checks no signatures."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextlib.contextmanager
def serving_versitygw(folder: Path) -> Iterator[str]:
    """Its URL. It checks signatures, and buckets are folders of `folder`."""
    program = _versitygw()
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    with (folder.parent / "versitygw.log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), "--port", f"127.0.0.1:{port}", "--quiet", "posix", str(folder)],
            env=os.environ | {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)


def _versitygw() -> Path:
    """The program, compiled once; where that cannot be, the test is skipped, or fails if clusters are required."""
    try:
        cluster_build.build(["versitygw"])
    except (ClusterError, OSError) as error:
        if os.environ.get("LLMBATCH_REQUIRE_CLUSTER"):
            pytest.fail(f"LLMBATCH_REQUIRE_CLUSTER is set, but versitygw cannot be built: {error}")
        pytest.skip(f"versitygw cannot be built: {error}")
    return cluster_build.binary("versitygw")


def _free_port() -> int:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at:
        assert process.poll() is None, "versitygw ended right after its start"
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("versitygw does not answer")
