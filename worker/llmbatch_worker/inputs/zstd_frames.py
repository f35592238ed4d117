"""Unpacks zstd block by block. The library would tell neither that a frame is cut off nor how much comes out at once.

The format: https://www.rfc-editor.org/rfc/rfc8878#section-3.1
"""

from collections.abc import Iterable, Iterator

import zstandard

from llmbatch_contract.errors import InputError

_MAGIC = zstandard.FRAME_HEADER
_SKIPPED_MAGIC = b"\x2a\x4d\x18"
_SKIPPED_HEADER_BYTES = 8
_LONGEST_HEADER_BYTES = 18
_BLOCK_HEADER_BYTES = 3
_CHECKSUM_BYTES = 4
_RLE, _RESERVED = 1, 3
_LONGEST_BLOCK_BYTES = 128 << 10
_BLOCKS_AT_ONCE = 8
"""Each gives at most 128 KiB."""
_LARGEST_WINDOW_BYTES = 128 << 20
"""What the `zstd` command takes without `--long`, too: so much memory is needed to unpack."""


def begins_zstd(head: bytes) -> bool:
    """Whether the bytes begin a zstd file: with data, or with a frame to be passed over as `pzstd` writes first."""
    return head.startswith(_MAGIC) or _is_skipped(head)


def unpack_zstd(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The content of all frames, in pieces of at most 1 MiB. Raises InputError."""
    data = _Bytes(blocks, name)
    try:
        while head := data.ahead(_LONGEST_HEADER_BYTES):
            if _is_skipped(head):
                data.pass_over(int.from_bytes(data.take(_SKIPPED_HEADER_BYTES)[4:], "little"))
            else:
                yield from _frame(data, head, name)
    except zstandard.ZstdError as error:
        reason = str(error).rpartition(": ")[2]
        raise InputError(
            f"{name}: not valid zstd, near byte {data.offset}: {reason}; copy or pack the file again"
        ) from error


def _is_skipped(head: bytes) -> bool:
    return head[1:4] == _SKIPPED_MAGIC and head[0] & 0xF0 == 0x50


def _frame(data: "_Bytes", head: bytes, name: str) -> Iterator[bytes]:
    if head[: len(_MAGIC)] != _MAGIC[: len(head)]:
        raise InputError(f"{name}: byte {data.offset} begins no zstd frame; is there something behind the packed data?")
    has_checksum = _check_header(head, name)
    frame = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW_BYTES).decompressobj()
    waiting = [data.take(zstandard.frame_header_size(head))]
    is_last = False
    while not is_last:
        is_last, block = _block(data)
        waiting.append(block)
        if is_last and has_checksum:
            waiting.append(data.take(_CHECKSUM_BYTES))
        if (is_last or len(waiting) >= _BLOCKS_AT_ONCE) and (piece := frame.decompress(b"".join(waiting))):
            yield piece
        if len(waiting) >= _BLOCKS_AT_ONCE:
            waiting.clear()


def _check_header(head: bytes, name: str) -> bool:
    """Whether a checksum ends the frame. Raises InputError for a frame that cannot be unpacked here."""
    try:
        header = zstandard.get_frame_parameters(head)
    except zstandard.ZstdError:
        if len(head) < _LONGEST_HEADER_BYTES:
            raise InputError(_too_early(name)) from None
        raise
    if header.window_size > _LARGEST_WINDOW_BYTES:
        raise InputError(
            f"{name}: needs {header.window_size >> 20} MiB of memory to unpack, {_LARGEST_WINDOW_BYTES >> 20} MiB are "
            "allowed; pack it with `zstd` without --long"
        )
    if header.dict_id:
        raise InputError(f"{name}: was packed with a dictionary, which is not here; pack it without one")
    return bool(header.has_checksum)


def _block(data: "_Bytes") -> tuple[bool, bytes]:
    """Whether it is the last one of its frame, and the block with its header."""
    header = data.take(_BLOCK_HEADER_BYTES)
    number = int.from_bytes(header, "little")
    kind, size = number >> 1 & 3, number >> 3
    if kind == _RESERVED or size > _LONGEST_BLOCK_BYTES:
        raise zstandard.ZstdError("no such block")
    return bool(number & 1), header + data.take(1 if kind == _RLE else size)


def _too_early(name: str) -> str:
    return f"{name}: the zstd file ends too early; is the upload complete?"


class _Bytes:
    """Blocks of bytes, to be taken in pieces of any length."""

    def __init__(self, blocks: Iterable[bytes], name: str) -> None:
        self._blocks, self._name = iter(blocks), name
        self._block, self._at = b"", 0
        self.offset = 0

    def ahead(self, length: int) -> bytes:
        """The next bytes, which stay to be taken; fewer at the end."""
        while len(self._block) - self._at < length:
            block = next(self._blocks, None)
            if block is None:
                break
            self._block, self._at = self._block[self._at :] + block, 0
        return self._block[self._at : self._at + length]

    def take(self, length: int) -> bytes:
        """The next bytes. Raises InputError if there are fewer."""
        taken = self.ahead(length)
        if len(taken) < length:
            raise InputError(_too_early(self._name))
        self._at += length
        self.offset += length
        return taken

    def pass_over(self, length: int) -> None:
        """Take bytes that nobody wants."""
        while length:
            length -= len(self.take(min(length, _LONGEST_BLOCK_BYTES)))
