"""Names of places: what a URI of a store or of an input says. Pure."""

import urllib.parse
from pathlib import Path

from llmbatch_contract.errors import InputError

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
    """A URI as a person writes it: a path for local files."""
    return str(local_path(uri)) if uri.startswith("file:") else uri


def split_uri(uri: str) -> tuple[str, str]:
    """A URI of an object as the URI of its folder and its name."""
    path = local_path(uri)
    return path.parent.as_uri(), path.name
