"""Names of objects in the built-in store, checked once: past this module a name can do no harm.

batches/<uid>/work/shards/00012/done.json     what the engine works with
batches/<uid>/output/results.jsonl            what users read
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from llmbatch_contract.errors import StoreError

MOST_NAME_CHARS = 500
_MOST_PART_CHARS = 200
_PART = re.compile(rf"[A-Za-z0-9._-]{{1,{_MOST_PART_CHARS}}}")
_UID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Area(StrEnum):
    """The two folders of a batch."""

    WORK = "work"
    OUTPUT = "output"


class BadNameError(StoreError):
    """No object can have this name."""


class ObjectExistsError(StoreError):
    """There is an object of that name, and it was not to be overwritten."""


@dataclass(frozen=True)
class ObjectKey:
    """One object, or with an empty name the whole of an area. Made by `object_key` and `folder_key` only."""

    batch_uid: str
    area: Area
    name: str

    def __str__(self) -> str:
        return f"{self.area}/{self.name}"

    @property
    def path(self) -> str:
        """Below the folder of all batches."""
        return f"{self.batch_uid}/{self.area}/{self.name}".rstrip("/")


def object_key(batch_uid: str, area: str, name: str) -> ObjectKey:
    """The object of that name. Raises BadNameError."""
    if not is_object_name(name):
        raise BadNameError(f"{name[:100]!r} is not a name of an object: letters, digits, '.', '_', '-' between '/'")
    return _key(batch_uid, area, name)


def folder_key(batch_uid: str, area: str, prefix: str) -> ObjectKey:
    """The folder `prefix`, with or without a slash at its end; empty: the area. Raises BadNameError."""
    name = prefix.removesuffix("/")
    return object_key(batch_uid, area, name) if name else _key(batch_uid, area, "")


def is_object_name(name: str) -> bool:
    """Whether an object may have this name."""
    parts = name.split("/")
    return len(name) <= MOST_NAME_CHARS and all(_PART.fullmatch(p) and p not in (".", "..") for p in parts)


def is_uid(text: str) -> bool:
    """Whether this may be the uid of a batch."""
    return _UID.fullmatch(text) is not None


def _key(batch_uid: str, area: str, name: str) -> ObjectKey:
    if not is_uid(batch_uid):
        raise BadNameError(f"{batch_uid[:100]!r} is not the uid of a batch")
    if area not in set(Area):
        raise BadNameError(f"{area[:100]!r} is not an area of the store: {' or '.join(Area)}")
    return ObjectKey(batch_uid, Area(area), name)
