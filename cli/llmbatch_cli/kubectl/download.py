"""Where a stream goes: to stdout, or to a file that appears whole or not at all. And which dead letters pass."""

import json
import os
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from llmbatch_contract.errors import DownloadError, InvalidError


def deliver(blocks: Iterator[bytes], file: Path | None, force: bool) -> None:
    """Write a stream to a file, or to stdout."""
    if file is None or str(file) == "-":
        to_stdout(blocks)
    else:
        to_file(blocks, file, force)


def to_stdout(blocks: Iterator[bytes]) -> None:
    """Write to stdout; a reader that has seen enough, such as `head`, is no error."""
    try:
        for block in blocks:
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Python flushes stdout once more as it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def to_file(blocks: Iterator[bytes], file: Path, force: bool) -> None:
    """Write beside the file, then put it in place."""
    if file.exists() and not force:
        raise InvalidError(f"{file} exists; --force overwrites it")
    partial = file.with_name(f"{file.name}.partial")
    try:
        with partial.open("wb") as out:
            out.writelines(blocks)
        partial.replace(file)
    except OSError as error:
        raise DownloadError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def of_categories(blocks: Iterator[bytes], categories: Collection[str]) -> Iterator[bytes]:
    """The dead letters that failed for one of these reasons, a line each."""
    return (line for line in lines_of(blocks) if json.loads(line)["error"]["category"] in categories)


def lines_of(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines in blocks of any size."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest
