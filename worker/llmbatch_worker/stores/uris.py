"""Names of places: what a URI of a store or of an input says. Pure."""

import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from llmbatch_contract.errors import InputError
from llmbatch_contract.storage import without_query

CONFIG_MAP = "configmap:/"
"""Before the name and the key of a ConfigMap that a pod has as files."""
DEAD_LETTERS = "coordinator:/dead-letters/"
"""Before the name of the batch whose dead letters the coordinator hands out."""


def local_path(uri: str) -> Path:
    """The path of a file:// URI. Raises InputError for other schemes."""
    if not uri.startswith("file:///"):
        raise InputError(f"{uri} is not supported: give a path or a file:// URI")
    return Path(urllib.parse.unquote(uri.removeprefix("file://")))


def readable_uri(uri: str) -> str:
    """A URI as a person writes it: a path for local files; a web address without its query."""
    return str(local_path(uri)) if uri.startswith("file:") else without_query(uri)


def split_uri(uri: str) -> tuple[str, str]:
    """A URI of an object as the URI of its folder and its name."""
    path = local_path(uri)
    return path.parent.as_uri(), path.name


@dataclass(frozen=True)
class ObjectUri:
    """`scheme://bucket/key`, taken to the letter: nothing in it is percent-encoded, as in the providers' own tools."""

    scheme: str
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"


def object_uri(uri: str) -> ObjectUri:
    """The parts of a URI of an object store."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if any(character in bucket for character in "*?[]"):
        raise InputError(f"{uri}: the name of a bucket or container holds no wildcards")
    return ObjectUri(scheme, bucket, key)
