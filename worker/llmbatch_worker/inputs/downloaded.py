"""An object whose server gives no ranges, as a temporary file: for Parquet, which is read from its end and in parts."""

import tempfile
import weakref
from collections.abc import Iterator

from llmbatch_contract.errors import InputChangedError, StoreFullError
from llmbatch_worker.inputs.objects import InputObject
from llmbatch_worker.stores.protocol import ObjectInfo

_BLOCK_BYTES = 1 << 20


class Downloaded:
    """A copy of one object: Readable, whatever the name. It goes when nobody holds this any more."""

    def __init__(self, original: InputObject) -> None:
        """Copies it. Raises StoreError and InputChangedError."""
        self._original = original
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by the next line
        weakref.finalize(self, self._file.close)
        try:
            for block in original.blocks():
                self._file.write(block)
        except OSError as error:
            raise StoreFullError(
                f"cannot copy {original.name} into a temporary file, which its server makes necessary: {error.strerror}"
            ) from error
        if self._file.tell() != original.info.size:
            raise InputChangedError(f"{original.name} has changed while it was read")

    def info(self, name: str) -> ObjectInfo:
        """As of the original."""
        return self._original.info

    def blocks(self, name: str, start: int, end: int, etag: str | None = None) -> Iterator[bytes]:
        """The bytes from `start` to `end`, in blocks."""
        for at in range(start, end, _BLOCK_BYTES):
            self._file.seek(at)
            yield self._file.read(min(_BLOCK_BYTES, end - at))

    def where(self, name: str) -> str:
        """The original as the user knows it."""
        return self._original.name
