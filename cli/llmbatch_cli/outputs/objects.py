"""The outputs of one batch in one place. What comes is compared with the digests in summary.json.

`kubectl llmbatch` and `llmbatch` read by it; where the place is, and how it is reached, they say by `Objects`.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from llmbatch_contract.errors import BatchStateError, DownloadError

Which = Literal["results", "errors"]
SUMMARY_NAME = "summary.json"
REPORT_NAME = "report.json"
UNDELIVERED_NAME = "undelivered.jsonl"
MANIFEST_NAME = "_manifest.json"
"""In the folder of results that are in many objects: their names, sizes and digests."""


class Objects(Protocol):
    """Where outputs are."""

    def blocks(self, name: str) -> Iterator[bytes]:
        """An object in the folder of outputs."""

    def partial(self, which: Which) -> Iterator[bytes]:
        """Records of finished shards, as a stream of `llmbatch_contract.partial`."""


@dataclass(frozen=True)
class Written:
    """What is said of an object; None where nothing is said."""

    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class OutputObject:
    """One object, to be read once."""

    name: str
    blocks: Iterator[bytes]
    """Ends with DownloadError if it is not what was written."""


@dataclass(frozen=True)
class Output:
    """Results or errors: one object, or a folder of them."""

    name: str
    """As in `results.jsonl.gz`, or `results/`."""
    objects: list[OutputObject]
    """In the order of the input."""
    manifest: bytes | None = None
    """Of a folder."""


class Outputs:
    """The outputs of one finished batch."""

    def __init__(self, objects: Objects, batch: str) -> None:
        self._objects, self._batch = objects, batch

    def summary(self) -> bytes:
        """summary.json, whole."""
        return self._document(SUMMARY_NAME)

    def report(self) -> bytes:
        """report.json, whole."""
        return self._document(REPORT_NAME)

    def undelivered(self) -> Iterator[bytes]:
        """undelivered.jsonl, which is there if something was not. Raises BatchStateError if nothing was to be."""
        delivery = json.loads(self.summary()).get("delivery")
        if not delivery:
            raise BatchStateError(f"{self._batch} delivers no results: it has no spec.deliver")
        return self._objects.blocks(UNDELIVERED_NAME) if delivery.get("undelivered") else iter(())

    def output(self, which: Which, name: str) -> Output:
        """Results or errors; `name` as in `results.jsonl` or `results/`."""
        if name.endswith("/"):
            return self._folder(which, name)
        row = json.loads(self.summary()).get("output", {}).get(which, {})
        whole = checked(self._objects.blocks(name), _written(row), f"{which} of {self._batch}")
        return Output(name, [OutputObject(name, whole)])

    def _folder(self, which: Which, folder: str) -> Output:
        manifest = self._document(f"{folder}{MANIFEST_NAME}")
        rows = [(str(row["name"]).rpartition("/")[2], _written(row)) for row in json.loads(manifest)]
        return Output(folder, [self._in_folder(which, folder, name, told) for name, told in rows], manifest)

    def _in_folder(self, which: Which, folder: str, name: str, told: Written) -> OutputObject:
        blocks = checked(self._objects.blocks(f"{folder}{name}"), told, f"{name} of the {which} of {self._batch}")
        return OutputObject(name, blocks)

    def _document(self, name: str) -> bytes:
        data = b"".join(self._objects.blocks(name))
        try:
            json.loads(data)
        except ValueError as error:
            raise DownloadError(f"{name} of {self._batch} came incomplete; try again") from error
        return data


def checked(blocks: Iterator[bytes], written: Written, what: str) -> Iterator[bytes]:
    """The same blocks; at the end they must be what was written."""
    digest, size = hashlib.sha256(), 0
    for block in blocks:
        digest.update(block)
        size += len(block)
        yield block
    if written.size not in (None, size):
        raise DownloadError(f"{what}: {size:,} of {written.size:,} bytes came; try again")
    if written.sha256 not in (None, digest.hexdigest()):
        raise DownloadError(f"{what}: what came is not what was written (its SHA-256 differs); try again")


def _written(row: dict[str, Any]) -> Written:
    size, sha256 = row.get("bytes"), row.get("sha256")
    return Written(size if isinstance(size, int) else None, sha256 if isinstance(sha256, str) else None)
