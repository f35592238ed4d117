"""Where outputs go: to stdout, or to files that appear whole or not at all. And which dead letters pass."""

import json
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from llmbatch_cli.outputs.joining import joined
from llmbatch_cli.outputs.objects import MANIFEST_NAME, Output, OutputObject
from llmbatch_cli.outputs.packed import note_of
from llmbatch_contract.errors import DownloadError, InvalidError


def deliver(blocks: Iterator[bytes], file: str | None, force: bool) -> None:
    """Write a stream to a file, or to stdout."""
    if file is None or file == "-":
        to_stdout(blocks)
    else:
        to_file(blocks, Path(file), force)


def deliver_output(output: Output, place: str | None, force: bool, tell: Callable[[str], None]) -> None:
    """Write results or errors: into a folder as they are, else as one stream.

    A folder is one that there is, or a path with `/` at its end. What goes to stdout and is no text, `tell` hears.
    """
    if place in (None, "-") and (note := note_of(output)):
        tell(note)
    if place is None or place == "-" or not (place.endswith("/") or Path(place).is_dir()):
        deliver(joined(output), place, force)
    elif output.manifest is None:
        to_folder(output.objects, Path(place), force)
    else:
        to_folder([*output.objects, OutputObject(MANIFEST_NAME, iter([output.manifest]))], Path(place), force)


def to_folder(objects: Sequence[OutputObject], folder: Path, force: bool) -> None:
    """Write each object to a file of its name; the folder is made if it is not there. Nothing is fetched in vain."""
    there = [each.name for each in objects if (folder / each.name).exists()]
    if there and not force:
        raise InvalidError(f"{folder / there[0]} exists; --force overwrites it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"{folder} cannot be made: {error.strerror}") from error
    for each in objects:
        to_file(each.blocks, folder / each.name, force)


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
