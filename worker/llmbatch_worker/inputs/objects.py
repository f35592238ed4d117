"""The objects of an input: which there are, and how one of them is opened and read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from llmbatch_contract.errors import InputError
from llmbatch_contract.pods import PVC
from llmbatch_contract.spec import Input, Packing
from llmbatch_worker.inputs.unpacking import packing_of, unpacked
from llmbatch_worker.stores.protocol import Found, ObjectInfo, Readable, Stores
from llmbatch_worker.stores.uris import CONFIG_MAP, readable_uri

MOST_OBJECTS = 100_000
_MAGIC_BYTES = 8


@dataclass(frozen=True)
class InputObject:
    """One object, in its store."""

    number: int
    """In the order of the input, from 0."""
    name: str
    """For messages."""
    store: Readable
    key: str
    info: ObjectInfo

    def blocks(self, most: int | None = None) -> Iterator[bytes]:
        """Its bytes, or so many of the first ones. Raises InputChangedError if it is not the version that was found."""
        end = self.info.size if most is None else min(most, self.info.size)
        return self.store.blocks(self.key, 0, end, self.info.etag)


def uri_of(spec: Input) -> str | None:
    """What an input's objects are found by; None if its items are in none."""
    if spec.pvc is not None:
        return f"{PVC}{spec.pvc.claim_name}/{spec.pvc.path}"
    if spec.config_map is not None:
        return f"{CONFIG_MAP}{spec.config_map.name}/{spec.config_map.key}"
    return spec.uri


def find_objects(spec: Input, uri: str, stores: Stores) -> tuple[list[Found], InputObject]:
    """All objects of an input, in order, and the first of them. Raises InputError and StoreError."""
    if spec.config_map is not None:  # no pattern: a key may hold any character
        store, key = stores.open_input(uri)
        opened = InputObject(0, store.where(key), store, key, store.info(key))
        return [Found(uri, opened.info)], opened
    found = list(islice(stores.find_inputs(uri), MOST_OBJECTS + 1))
    if len(found) > MOST_OBJECTS:
        raise InputError(
            f"{readable_uri(uri)} stands for more than {MOST_OBJECTS:,} objects; give a narrower pattern, or join "
            "small objects"
        )
    return found, open_object(found[0], 0, stores)


def open_object(found: Found, number: int, stores: Stores) -> InputObject:
    """Open one of them."""
    store, key = stores.open_input(found.uri)
    return InputObject(number, store.where(key), store, key, found.info)


def unpacked_by_content(stored: Iterable[bytes], name: str) -> tuple[Packing, Iterator[bytes]]:
    """How an object is packed, whatever its name says, and its bytes unpacked. Raises InputError."""
    blocks = iter(stored)
    head = b""
    while len(head) < _MAGIC_BYTES and (block := next(blocks, None)) is not None:
        head += block
    packing = packing_of(head)
    return packing, iter(unpacked(chain((head,), blocks), packing, name))
