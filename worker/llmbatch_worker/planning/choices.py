"""Decides how shards will read an input: where it is or a copy of it, and of Parquet which columns. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from llmbatch_contract.output import Output, OutputFormat
from llmbatch_contract.spec import InputFormat, Packing

_LEAST_GROUP_ROWS = 10_000
_MOST_SHARDS_OF_A_GROUP = 4
_MANY_OBJECTS = 1000
_SMALL_OBJECT_BYTES = 64 << 10


@dataclass(frozen=True)
class InputTraits:
    """What there is to know of an input before its items are read."""

    format: InputFormat
    packing: Packing
    is_for_all: bool
    """Every pod can read it: it is no part of the manifest, no ConfigMap, no dead letters."""
    has_versions: bool
    """The store tells an ETag of each object, and serves ranges."""
    drops_items: bool
    """`where` or `sample`."""
    objects: int = 1
    size: int = 0
    """Bytes of all objects."""
    largest_group: int = 0
    """Rows in a row group, of Parquet."""
    shard_items: int = 0


def is_read_in_place(traits: InputTraits) -> bool:
    """Whether shards read their ranges of the objects themselves; else the planner writes a copy."""
    if not (traits.is_for_all and traits.has_versions) or traits.drops_items or traits.packing is not Packing.NONE:
        return False
    if traits.objects > _MANY_OBJECTS and traits.size < traits.objects * _SMALL_OBJECT_BYTES:
        return False  # else there would be a request for every few items
    if traits.format is InputFormat.PARQUET:
        return traits.largest_group <= max(_LEAST_GROUP_ROWS, _MOST_SHARDS_OF_A_GROUP * traits.shard_items)
    return True


def columns_to_read(available: Sequence[str], used: Collection[str], output: Output) -> list[str]:
    """The columns of Parquet that templates, `where`, the id (`used`) and the output need, in the file's order."""
    return [c for c in available if c in used or _is_written(c, output)]


def _is_written(column: str, output: Output) -> bool:
    if not (output.include_input or output.format is OutputFormat.CSV):
        return False
    if output.fields is None or "input" in output.fields:
        return True
    return column in output.fields
