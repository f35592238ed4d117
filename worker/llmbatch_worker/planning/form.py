"""What the objects of an input have in common: found out at the first that holds anything, asked of all others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from llmbatch_contract.errors import InputError
from llmbatch_contract.spec import Input, InputFormat, Packing
from llmbatch_worker.inputs.csv_rows import detect_delimiter
from llmbatch_worker.inputs.detect import detect_format, says_parquet, says_tabs
from llmbatch_worker.inputs.lines import is_blank
from llmbatch_worker.inputs.objects import unpacked_by_content
from llmbatch_worker.inputs.openai_batch import ID_FIELD
from llmbatch_worker.inputs.source import Source

HEAD_BYTES = 1 << 20
_MADE = "items.jsonl"


@dataclass(frozen=True)
class Form:
    """How an input is written."""

    asked: InputFormat
    format: InputFormat
    packing: Packing
    id_field: str | None
    delimiter: str
    seen_in: str
    """The object that shows it."""

    def check(self, name: str, head: bytes) -> None:
        """Raises InputError for an object that begins otherwise."""
        found = detect_format(self.asked, name, head)
        if found is not self.format:
            raise InputError(
                f"{name}: is {found.value}, but {self.seen_in} is {self.format.value}; give objects of one format, "
                "or say which by spec.input.format"
            )


def find_form(spec: Input, source: Source, *, has_request: bool) -> Form:
    """Look at the first object; without a request in the manifest its items are requests. Raises InputError."""
    name, packing, head = _look(spec, source)
    found = detect_format(spec.format, _MADE if source.made is not None else name, head)
    if not head and not has_request and found is not InputFormat.PARQUET:
        found = InputFormat.OPENAI  # nothing shows that the items, if there were any, would be requests
    if found is InputFormat.PARQUET and packing is not Packing.NONE:
        raise InputError(f"{name}: Parquet inside {packing.value} cannot be read in parts; unpack it")
    return Form(
        asked=spec.format,
        format=found,
        packing=packing,
        id_field=ID_FIELD if found is InputFormat.OPENAI else spec.id_field,
        delimiter=_delimiter(spec, name, head) if found is InputFormat.CSV else ",",
        seen_in=name,
    )


def _delimiter(spec: Input, name: str, head: bytes) -> str:
    return spec.delimiter or detect_delimiter(head, promised="\t" if says_tabs(name) else "")


def _look(spec: Input, source: Source) -> tuple[str, Packing, bytes]:
    """Name, packing and first bytes of the first object that is not blank."""
    if source.made is not None:
        return source.name, Packing.NONE, next(source.made(), b"")
    seen: tuple[str, Packing, bytes] | None = None
    for number, found in enumerate(source.objects):
        if found.info.size == 0:
            continue
        opened = source.open(number)
        if spec.format is InputFormat.PARQUET or (spec.format is InputFormat.AUTO and says_parquet(opened.name)):
            return opened.name, Packing.NONE, b""
        packing, blocks = unpacked_by_content(opened.blocks(HEAD_BYTES), opened.name)
        seen = seen or (opened.name, packing, b"")
        if head := _as_far_as_it_goes(blocks):
            return opened.name, packing, head
    assert seen is not None  # a source that is empty altogether is none
    return seen


def _as_far_as_it_goes(blocks: Iterator[bytes]) -> bytes:
    """The first bytes, empty if all are blank; packed ones that were cut off here are no error."""
    head = b""
    try:
        for block in blocks:
            head += block
            if len(head) >= HEAD_BYTES:
                break
    except InputError:  # reading the whole will say so, if that is wrong
        pass
    return b"" if is_blank(head) else head


def gathered(blocks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, enough to tell a format by, and all of them."""
    rest = iter(blocks)
    head: list[bytes] = []
    size = 0
    while size < HEAD_BYTES and (block := next(rest, None)) is not None:
        head.append(block)
        size += len(block)
    return b"".join(head), chain(head, rest)
