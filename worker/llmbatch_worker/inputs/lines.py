"""Blocks of bytes to lines, for the readers of all formats."""

from collections.abc import Iterable, Iterator

from llmbatch_contract.errors import InputError

MAX_LINE_BYTES = 32 << 20
"""No model takes more in one request; an item takes several times its line in memory."""
UTF8_BOM = b"\xef\xbb\xbf"
_PIECE_BYTES = 1 << 20
"""Lines are made of so many bytes at a time, however large the blocks are: small items take much more room."""


def line_lists(blocks: Iterable[bytes], name: str, *, is_bounded: bool = True) -> Iterator[list[bytes]]:
    """The lines of `blocks`, without their newlines (a carriage return stays), many at a time.

    Raises InputError for a line of more than MAX_LINE_BYTES, so that memory stays bounded on input without newlines.
    Not bounded: what was written here, where a line holds more than the item did.
    """
    carry: list[bytes] = []
    carried, number = 0, 1
    for piece in _pieces(blocks):
        lines = piece.split(b"\n")
        carry.append(lines[0])
        carried += len(lines[0])
        if is_bounded and carried > MAX_LINE_BYTES:  # wherever pieces end: what was planned must be read, too
            raise InputError(
                f"{name}:{number}: the line is over {MAX_LINE_BYTES >> 20} MiB; is this a text file of items?"
            )
        if len(lines) > 1:
            lines[0] = b"".join(carry)
            rest = lines.pop()
            carry, carried = [rest], len(rest)
            number += len(lines)
            yield lines
    if carried:
        yield [b"".join(carry)]


def _pieces(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        if len(block) <= _PIECE_BYTES:
            yield block
        else:
            yield from (block[at : at + _PIECE_BYTES] for at in range(0, len(block), _PIECE_BYTES))


def lines_of(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The lines of `blocks`, which were written here, one by one."""
    for lines in line_lists(blocks, name, is_bounded=False):
        yield from lines


def is_blank(head: bytes) -> bool:
    """Whether there is nothing at the start of an object but white space."""
    return not head.removeprefix(UTF8_BOM).strip()


def blocks_of(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines, with their newlines, as blocks."""
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size >= _PIECE_BYTES // 4:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def text_of(line: bytes, name: str, number: int) -> str:
    """A line as text. Raises InputError naming the line and the column of the first byte that is not UTF-8."""
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}:{number}: column {error.start + 1}: byte 0x{line[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8"
        ) from error
