"""Many objects of results as one stream, where their format can be laid end to end. Pure."""

from collections.abc import Iterator

from llmbatch_cli.outputs.objects import Output
from llmbatch_contract.errors import DownloadError, InvalidError

_LAID_END_TO_END = (".jsonl", ".jsonl.gz", ".jsonl.zst")
"""What is packed stays so: gzip and zstd, laid end to end, unpack to the whole."""


def joined(output: Output) -> Iterator[bytes]:
    """All objects, one after another. Raises InvalidError for a format in which that would be no file."""
    ending = output.objects[0].name.partition(".")[2] if output.objects else ""
    if len(output.objects) <= 1 or f".{ending}" in _LAID_END_TO_END:
        return (block for each in output.objects for block in each.blocks)
    if ending == "csv":
        return _with_one_header(output)
    raise InvalidError(
        f"the results are {len(output.objects):,} files of format {ending}, which do not make one: "
        "-o DIR/ writes them into a folder"
    )


def _with_one_header(output: Output) -> Iterator[bytes]:
    first, *others = output.objects
    seen, end = b"", None
    for block in first.blocks:
        if end is None:
            seen += block
            end = _end_of_row(seen)
        yield block
    for other in others:
        yield from _after(seen[:end], other.blocks, other.name)


def _end_of_row(data: bytes) -> int | None:
    """Where the first row ends: after the first newline outside of quotes."""
    start = -1
    while (start := data.find(b"\n", start + 1)) >= 0:
        if data.count(b'"', 0, start) % 2 == 0:
            return start + 1
    return None


def _after(header: bytes, blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    begun = b""
    for block in blocks:
        begun += block
        if len(begun) >= len(header):
            break
    if not begun.startswith(header):
        raise DownloadError(f"{name} has another header than the results before it; -o DIR/ writes each as it is")
    yield begun.removeprefix(header)
    yield from blocks
