"""Outputs in a store or a folder, with the working objects beside. The one file here that knows the worker's stores."""

from collections.abc import Iterator
from dataclasses import dataclass

from llmbatch_cli.outputs.objects import Which
from llmbatch_cli.outputs.partial import partial_blocks
from llmbatch_contract.errors import DownloadError, InputChangedError
from llmbatch_worker.stores.protocol import Store


@dataclass(frozen=True)
class StoredObjects:
    """A folder of outputs: Objects."""

    output: Store
    working: Store
    keeps: object = None
    """What must stay as long as the stores, such as a temporary file."""

    def blocks(self, name: str) -> Iterator[bytes]:
        """An object."""
        info = self.output.info(name)
        try:
            yield from self.output.blocks(name, 0, info.size, info.etag)
        except InputChangedError as error:
            raise DownloadError(f"{self.output.where(name)} changed while it was read; try again") from error

    def partial(self, which: Which) -> Iterator[bytes]:
        """Records of finished shards."""
        return partial_blocks(self.working, which)
