"""Buckets of bytes in a temporary file, for what does not fit in memory."""

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Self

from llmbatch_contract.errors import StoreFullError


class Spill:
    """Pieces of bytes by bucket: written one after the other, read again in the order of a bucket."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._pieces: dict[int, list[tuple[int, int]]] = {}
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, bucket: int, data: bytes) -> None:
        """Add to a bucket. Raises StoreFullError."""
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__
            self._file.seek(self._size)
            self._file.write(data)
        except OSError as error:
            raise StoreFullError(
                f"cannot write a temporary file, which is needed to compare so many ids: {error.strerror}"
            ) from error
        self._pieces.setdefault(bucket, []).append((self._size, len(data)))
        self._size += len(data)

    def read(self, bucket: int) -> Iterator[bytes]:
        """What was added to a bucket, piece by piece."""
        for offset, size in self._pieces.get(bucket, []):
            assert self._file is not None
            self._file.seek(offset)
            yield self._file.read(size)
