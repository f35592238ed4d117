"""Packs bytes as they come. The same bytes always give the same packed ones, so that a second try writes what the first
did."""

import zlib
from typing import Protocol

from llmbatch_contract.spec import Packing

_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3
_WITH_GZIP_HEADER = 31
"""One without a time."""


class Packer(Protocol):
    """Packs one object."""

    def compress(self, data: bytes, /) -> bytes:
        """What is ready of the packed bytes after these."""

    def flush(self) -> bytes:
        """The rest."""


class _Nothing:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def packer_of(packing: Packing) -> Packer:
    """A packer for one object."""
    match packing:
        case Packing.NONE:
            return _Nothing()
        case Packing.GZIP:
            return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _WITH_GZIP_HEADER)
        case Packing.ZSTD:
            import zstandard

            return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
