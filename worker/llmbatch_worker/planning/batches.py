"""What the planner passes on: some items that follow each other, and where they come from."""

from collections.abc import Generator, Sequence
from typing import NamedTuple, Protocol

from llmbatch_worker.inputs.rows import Rows
from llmbatch_worker.inputs.source import Pass


class Batch(NamedTuple):
    """Items of one object."""

    object: int
    """The number of the object that their offsets are of."""
    name: str
    """Of the object that they come from, for messages."""
    numbers: Sequence[int]
    """Of the items in the whole input, from 0."""
    rows: Rows

    def only(self, positions: Sequence[int]) -> "Batch":
        """Some of them."""
        numbers = [self.numbers[p] for p in positions]
        return self._replace(numbers=numbers, rows=self.rows.only(positions))


class Items(Protocol):
    """The items of an input in order, whatever it is made of; to be read as often as needed."""

    columns: list[str]
    """Of CSV and Parquet; else empty."""
    all_columns: list[str]
    """Of Parquet also those that are not read."""
    bounds: list[tuple[int, int]]
    """Of each object that has been read: the offset of its first item, and the one after its last."""

    def batches(self, on_blocks: Pass = ...) -> Generator[Batch]:
        """All of them. Raises InputError, InputChangedError and StoreError."""
