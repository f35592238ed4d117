"""An input as it is read for planning: the bytes of its objects, one after the other, unpacked on the way.

Items that stand in no object, inline ones and dead letters, come as JSON lines.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from llmbatch_contract.errors import InputError
from llmbatch_contract.spec import Input, InputFormat, Packing
from llmbatch_worker.inputs.ahead import ahead
from llmbatch_worker.inputs.dead_letters import items_of, name_of
from llmbatch_worker.inputs.lines import blocks_of
from llmbatch_worker.inputs.objects import InputObject, find_objects, open_object, unpacked_by_content, uri_of
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.protocol import Found, Stores
from llmbatch_worker.stores.uris import readable_uri

INLINE_NAME = "spec.input.items"
_SMALL_BYTES = 1 << 20

Pass = Callable[[int, Iterable[bytes]], Iterable[bytes]]
"""Blocks as they are stored, of the object with a number, on their way."""


class Text(NamedTuple):
    """One object, unpacked, or the JSON lines of items that stand in none."""

    number: int
    name: str
    packing: Packing
    blocks: Iterator[bytes]


@dataclass(frozen=True)
class Source:
    """An input, to be read as often as needed."""

    name: str
    """Of the whole, for messages."""
    objects: Sequence[Found]
    """Empty where items stand in none."""
    made: Callable[[], Iterator[bytes]] | None
    """The JSON lines of such items."""
    stores: Stores
    first: InputObject | None = None
    """The first object. It stays open: what a key of a ConfigMap holds must not change."""

    def texts(self, on_blocks: Pass = lambda _number, blocks: blocks) -> Iterator[Text]:
        """All objects in order; small ones are read ahead. Raises InputError, InputChangedError and StoreError."""
        if self.made is not None:
            yield Text(0, self.name, Packing.NONE, iter(on_blocks(0, self.made())))
            return
        numbered = enumerate(self.objects)
        is_one = len(self.objects) == 1
        for opened, blocks in map(self._opened, numbered) if is_one else ahead(numbered, self._opened, _size_ahead):
            packing, whole = unpacked_by_content(on_blocks(opened.number, blocks), opened.name)
            yield Text(opened.number, opened.name, packing, whole)

    def _opened(self, numbered: tuple[int, Found]) -> tuple[InputObject, Iterator[bytes]]:
        opened = self.open(numbered[0])
        is_ahead = len(self.objects) > 1 and opened.info.size <= _SMALL_BYTES
        return opened, iter(list(opened.blocks())) if is_ahead else opened.blocks()

    def open(self, number: int) -> InputObject:
        """One object."""
        if number == 0 and self.first is not None:
            return self.first
        return open_object(self.objects[number], number, self.stores)


def open_source(spec: Input, stores: Stores = LOCAL) -> Source:
    """Find an input whose URI is absolute. Raises InputError and StoreError."""
    if spec.items is not None:
        items = spec.items
        return Source(INLINE_NAME, (), lambda: blocks_of(_json_lines(items)), stores)
    if spec.dead_letters_of is not None:
        letters = spec.dead_letters_of
        if spec.format in (InputFormat.CSV, InputFormat.PARQUET):
            raise InputError(
                f"spec.input.format: the items of dead letters are objects, {spec.format.value} does not apply; "
                "remove it"
            )
        return Source(name_of(letters), (), lambda: blocks_of(items_of(letters, stores)), stores)
    uri = uri_of(spec)
    assert uri is not None
    objects, first = find_objects(spec, uri, stores)
    name = first.name
    if len(objects) > 1:
        name = readable_uri(spec.uri) if spec.uri is not None else f"{name} and {len(objects) - 1} others"
    if not any(found.info.size for found in objects):
        raise InputError(f"{name} is empty" if len(objects) == 1 else f"{name}: all {len(objects)} objects are empty")
    return Source(name, objects, None, stores, first)


def inline_facts(items: list[dict[str, Any]]) -> tuple[int, str]:
    """Size and digest of inline items: of the lines that they are read as. Raises InputError."""
    size, sha256 = 0, hashlib.sha256()
    for line in _json_lines(items):
        size += len(line)
        sha256.update(line)
    return size, sha256.hexdigest()


def _size_ahead(numbered: tuple[int, Found]) -> int:
    size = numbered[1].info.size
    return size if size <= _SMALL_BYTES else 0


def _json_lines(items: list[dict[str, Any]]) -> Iterator[bytes]:
    for number, item in enumerate(items):
        try:
            line = orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE)
        except orjson.JSONEncodeError as error:
            raise InputError(f"{INLINE_NAME}[{number}]: cannot be written as JSON: {error}") from error
        yield line
