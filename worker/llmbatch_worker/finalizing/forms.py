"""What a form of outputs is to who writes them: lines of text and Parquet are such forms."""

from typing import Protocol

from llmbatch_contract.records import DeadLetter, Item, ResultRecord
from llmbatch_worker.stores.protocol import Write


class NotSettledError(Exception):
    """The form has learnt from the results how they must be written; what was written is not to appear."""


class ResultObject(Protocol):
    """One object of results that is being written."""

    def add(self, record: ResultRecord, item: Item | None, line: bytes) -> None:
        """The next result."""

    def end(self) -> None:
        """The last one was added."""


class OutputForm(Protocol):
    """How results and errors look."""

    @property
    def needs_items(self) -> bool:
        """Results hold fields of items that are not in records."""

    def begin(self, write: Write) -> ResultObject:
        """An object of results."""

    def error(self, letter: DeadLetter, line: bytes) -> bytes:
        """One dead letter, with its newline."""

    def settle(self) -> None:
        """All results of the batch were added. Raises NotSettledError when they have to be written again."""
