"""Where inputs and outputs can be: a folder, moto, versitygw; looked at without a store of ours."""

import contextlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from llmbatch_worker.stores.opening import Access
from s3_servers import Bucket, new_bucket


class Place(Protocol):
    """A folder somewhere."""

    @property
    def access(self) -> Access:
        """For OpenStores."""

    @property
    def settings(self) -> dict[str, Any]:
        """What `input` and `output` of a manifest say of it besides the URI."""

    def uri(self, name: str) -> str:
        """Of an object, or of a folder."""

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""

    def objects(self, folder: str) -> dict[str, bytes]:
        """All objects of a folder but those that begin with `_` or `.`, by their names in it, sorted."""


class Folder:
    """On this machine."""

    access = Access(None, dict)

    def __init__(self, path: Path) -> None:
        self._path = path
        self.settings: dict[str, Any] = {}

    def uri(self, name: str) -> str:
        end = "/" if name.endswith("/") else ""
        return f"{(self._path / name).as_uri()}{end}"

    def put(self, name: str, data: bytes) -> None:
        path = self._path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def objects(self, folder: str) -> dict[str, bytes]:
        root = self._path / folder
        files = {str(file.relative_to(root)): file for file in root.rglob("*") if file.is_file()}
        return {name: files[name].read_bytes() for name in sorted(files) if name[0] not in "._"}


class InBucket:
    """On an S3 server."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.settings: dict[str, Any] = {"store": bucket.settings}

    @cached_property
    def _client(self) -> Any:
        return self._bucket.client

    @property
    def access(self) -> Access:
        return self._bucket.access()

    def uri(self, name: str) -> str:
        return self._bucket.uri(name)

    def put(self, name: str, data: bytes) -> None:
        self._client.put_object(Bucket=self._bucket.name, Key=name, Body=data)

    def objects(self, folder: str) -> dict[str, bytes]:
        listed = self._client.list_objects_v2(Bucket=self._bucket.name, Prefix=f"{folder}/")
        assert not listed["IsTruncated"]
        names = [each["Key"].removeprefix(f"{folder}/") for each in listed.get("Contents", [])]
        return {name: self._get(f"{folder}/{name}") for name in sorted(names) if name[0] not in "._"}

    def _get(self, key: str) -> bytes:
        data: bytes = self._client.get_object(Bucket=self._bucket.name, Key=key)["Body"].read()
        return data


@contextlib.contextmanager
def all_places(folder: Path, moto_url: str, versitygw_url: str) -> Iterator[dict[str, Place]]:
    """One of each, by name."""
    with new_bucket(moto_url) as moto, new_bucket(versitygw_url) as versitygw:
        yield {"folder": Folder(folder), "moto": InBucket(moto), "versitygw": InBucket(versitygw)}
