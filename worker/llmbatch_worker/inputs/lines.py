"""Blocks of bytes to lines, for the readers of all formats."""

from collections.abc import Iterable, Iterator

from llmbatch_contract.errors import InputError

MAX_LINE_BYTES = 64 << 20
UTF8_BOM = b"\xef\xbb\xbf"


def lines_of(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The lines of `blocks`, without their newlines (a carriage return stays).

    Raises InputError for a line of more than MAX_LINE_BYTES, so that memory stays bounded on input without newlines.
    """
    carry = b""
    for block in blocks:
        lines = (carry + block).split(b"\n")
        carry = lines.pop()
        if len(carry) > MAX_LINE_BYTES:
            raise InputError(f"{name}: a line is longer than {MAX_LINE_BYTES >> 20} MiB; is this a text file of items?")
        yield from lines
    if carry:
        yield carry


def text_of(line: bytes, name: str, number: int) -> str:
    """A line as text. Raises InputError naming the line and the column of the first byte that is not UTF-8."""
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}:{number}: column {error.start + 1}: byte 0x{line[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8"
        ) from error
