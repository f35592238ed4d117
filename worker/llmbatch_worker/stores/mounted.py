"""A ConfigMap that a pod has as files, to read items from. Kubernetes keeps it under 1 MiB, so it is read whole.

The folder is empty when there is no such ConfigMap: the pod's volume says `optional`.
"""

from collections.abc import Iterator
from pathlib import Path

from llmbatch_contract.errors import InputMissingError, StoreError
from llmbatch_worker.stores.protocol import ObjectInfo


class MountedConfigMap:
    """The keys of one ConfigMap: Readable. What a key holds stays the same, whatever Kubernetes does to the files."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._read: dict[str, bytes] = {}

    def info(self, name: str) -> ObjectInfo:
        """Size of a key's content."""
        return ObjectInfo(len(self._content(name)), None)

    def blocks(self, name: str, start: int, end: int, etag: str | None = None) -> Iterator[bytes]:
        """The bytes from `start` to `end`, as one block."""
        yield self._content(name)[start:end]

    def where(self, name: str) -> str:
        """As in `ConfigMap tickets, key items.csv`."""
        return f"ConfigMap {self._name}, key {name}"

    def _content(self, name: str) -> bytes:
        if name not in self._read:
            self._read[name] = self._load(name)
        return self._read[name]

    def _load(self, name: str) -> bytes:
        try:
            if "/" in name:  # no key has one, and other files of the pod are none of the user's items
                raise FileNotFoundError
            return (self._folder / name).read_bytes()
        except FileNotFoundError as error:
            raise InputMissingError(
                f"ConfigMap {self._name} has no key {name}, or there is no such ConfigMap in the namespace; create it"
            ) from error
        except OSError as error:
            raise StoreError(f"cannot read {self.where(name)}: {error.strerror}") from error
