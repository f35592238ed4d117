"""How far a delivery has come, in the working store: marks `delivered/000000`, `delivered/000001` and so on.

A mark tells what was given up since the one before, so that it is not larger the longer it takes. Marks are created,
never written over: where another process was quicker, its mark stands, and ours waits for the next number.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import Field

from llmbatch_contract import layout
from llmbatch_contract.model import Model
from llmbatch_worker.stores.protocol import Store


class GivenUp(Model):
    """Results that the receiver did not take: those of the items from `first` to `last`."""

    first: int
    last: int
    message: str
    status: int | None = None
    """What the receiver answered last, if it did."""
    request: int | None = None
    """None: it was not tried."""


class Mark(Model):
    """What stands in a mark."""

    batch_size: int = Field(ge=1)
    """Of the first run: with another, requests would have the ids of others."""
    requests: int = Field(ge=0)
    """So many are settled, without a gap."""
    next_item: int = Field(ge=0)
    """The first item that is in none of them."""
    given_up: list[GivenUp] = Field(default_factory=list)
    """Of these requests, those that no earlier mark tells of."""


@dataclass
class Marks:
    """Of one delivery."""

    store: Store
    batch_size: int
    requests: int = 0
    next_item: int = 0
    number: int = 0
    """Of the next mark."""
    given_up: list[GivenUp] = field(default_factory=list)
    """All, also those that no mark tells of yet."""
    _unmarked: list[GivenUp] = field(default_factory=list)

    def give_up(self, lost: GivenUp) -> None:
        """Note what was not delivered."""
        self.given_up.append(lost)
        self._unmarked.append(lost)

    def mark(self, requests: int, next_item: int) -> None:
        """Write down that so many requests are settled, which hold all before an item."""
        told = [lost for lost in self._unmarked if lost.first < next_item]
        mark = Mark(batch_size=self.batch_size, requests=requests, next_item=next_item, given_up=told)
        if self.store.create(layout.delivered(self.number), mark.dump_json()):
            self._unmarked = [lost for lost in self._unmarked if lost.first >= next_item]
        self.number, self.requests, self.next_item = self.number + 1, requests, next_item


def read_marks(store: Store, batch_size: int) -> Marks:
    """The marks of an earlier run, or a first one."""
    numbers = layout.delivered_marks(store.names(layout.DELIVERED_PREFIX))
    if not numbers:
        marks = Marks(store, batch_size)
        marks.mark(0, 0)
        return marks
    found = [Mark.load(store.read(layout.delivered(number))) for number in numbers]
    last, given_up = found[-1], _without_repeats(found)
    return Marks(store, found[0].batch_size, last.requests, last.next_item, numbers[-1] + 1, given_up)


def _without_repeats(marks: Iterable[Mark]) -> list[GivenUp]:
    """Two processes that were at it at once may both have given up the same."""
    return list({(lost.request, lost.first): lost for mark in marks for lost in mark.given_up}.values())
