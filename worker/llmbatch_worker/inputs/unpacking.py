"""Unpacks gzip and zstd as they are read, in pieces of bounded size whatever the bytes unpack to.

Both may consist of several parts, one after the other. Blocks of bytes come in and go out; where they come from is not
known here.
"""

import zlib
from collections.abc import Iterable, Iterator

from llmbatch_contract.errors import InputError
from llmbatch_contract.input import Packing
from llmbatch_worker.inputs.zstd_frames import begins_zstd, unpack_zstd

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WBITS = 31
_PIECE_BYTES = 4 << 20


def packing_of(head: bytes) -> Packing:
    """How an object is packed that begins with these bytes (RFC 1952, section 2.3.1; RFC 8878, section 3.1)."""
    if head.startswith(_GZIP_MAGIC):
        return Packing.GZIP
    return Packing.ZSTD if begins_zstd(head) else Packing.NONE


def unpacked(blocks: Iterable[bytes], packing: Packing, name: str) -> Iterator[bytes]:
    """The bytes that `blocks` hold, in pieces of at most 4 MiB where they are packed. Raises InputError."""
    match packing:
        case Packing.GZIP:
            return _gunzip(blocks, name)
        case Packing.ZSTD:
            return unpack_zstd(blocks, name)
        case Packing.NONE:
            return iter(blocks)


def _gunzip(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Unpack gzip, of one or several members, with zeros between and after them."""
    unpacker = zlib.decompressobj(_GZIP_WBITS)
    try:
        for block in blocks:
            data = block
            while data:
                if unpacker.eof:
                    data = data.lstrip(b"\0")
                    if not data:
                        break
                    unpacker = zlib.decompressobj(_GZIP_WBITS)
                if piece := unpacker.decompress(data, _PIECE_BYTES):
                    yield piece
                data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    except zlib.error as error:
        reason = str(error).rpartition(": ")[2]
        raise InputError(f"{name}: not valid gzip: {reason}; copy or pack the file again") from error
    if not unpacker.eof:
        raise InputError(f"{name}: the gzip file ends too early; is the upload complete?")
