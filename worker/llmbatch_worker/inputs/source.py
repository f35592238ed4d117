"""Opens an input for planning: the one pass over its bytes, unpacked on the way where shards could not read ranges."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from llmbatch_contract.errors import InputError
from llmbatch_contract.spec import DeadLettersOf, Input, InputFormat
from llmbatch_worker.inputs.dead_letters import items_of, name_of
from llmbatch_worker.inputs.detect import is_gzip
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.protocol import Stores
from llmbatch_worker.stores.uris import CONFIG_MAP

INLINE_NAME = "spec.input.items"


@dataclass(frozen=True)
class Source:
    """The bytes of an input, to be read once."""

    name: str
    """For messages."""
    blocks: Iterable[bytes]
    unpacked: bool
    """The bytes differ from the stored ones: shards need a copy of them."""
    etag: str | None
    """Version of the object behind it, packed or not."""


def open_source(spec: Input, stores: Stores = LOCAL) -> Source:
    """Open an input whose URI is absolute. Raises InputError and StoreError."""
    if spec.items is not None:
        return Source(INLINE_NAME, _json_lines(spec.items), unpacked=True, etag=None)
    if spec.dead_letters_of is not None:
        return _open_dead_letters(spec, spec.dead_letters_of, stores)
    if spec.config_map is not None:
        return _open_object(f"{CONFIG_MAP}{spec.config_map.name}/{spec.config_map.key}", stores, passes=True)
    assert spec.uri is not None
    return _open_object(spec.uri, stores, passes=False)


def _open_object(uri: str, stores: Stores, *, passes: bool) -> Source:
    """Open an object; `passes` if shards could not read it where it is."""
    store, name = stores.open_input(uri)
    where = store.where(name)
    info = store.info(name)
    if info.size == 0:
        raise InputError(f"{where} is empty")
    blocks = store.blocks(name, 0, info.size, info.etag)
    first = next(blocks)
    if is_gzip(first):
        return Source(where, _gunzip(_chain(first, blocks), where), unpacked=True, etag=info.etag)
    return Source(where, _chain(first, blocks), unpacked=passes, etag=info.etag)


def _open_dead_letters(spec: Input, letters: DeadLettersOf, stores: Stores) -> Source:
    if spec.format is InputFormat.CSV:
        raise InputError("spec.input.format: the items of dead letters are objects, csv does not apply; remove it")
    return Source(name_of(letters), items_of(letters, stores), unpacked=True, etag=None)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _json_lines(items: list[dict[str, Any]]) -> Iterator[bytes]:
    for number, item in enumerate(items):
        try:
            line = orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE)
        except orjson.JSONEncodeError as error:
            raise InputError(f"{INLINE_NAME}[{number}]: cannot be written as JSON: {error}") from error
        yield line


def _gunzip(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Unpack gzip, of one or several members, in pieces of bounded size."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        for block in blocks:
            data = block
            while data:
                if unpacker.eof:
                    if not data.strip(b"\0"):  # padding after the last member
                        break
                    unpacker = zlib.decompressobj(wbits=31)
                if piece := unpacker.decompress(data, 4 << 20):
                    yield piece
                data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    except zlib.error as error:
        raise InputError(f"{name}: not valid gzip: {str(error).rpartition(': ')[2]}") from error
    if not unpacker.eof:
        raise InputError(f"{name}: the gzip file ends too early; is the upload complete?")
