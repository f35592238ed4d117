"""What happens inside the engine, as one stream of typed events.

Progress, the live display, reports and telemetry are derived from it; nothing in the engine knows who listens.
Listeners are called at once and in order, and must be quick.
"""

from collections.abc import Callable
from dataclasses import dataclass

from llmbatch_contract.categories import Category
from llmbatch_contract.progress import ShardProgress, Totals
from llmbatch_contract.records import Record


@dataclass(frozen=True, slots=True)
class ShardOpened:
    """A shard was claimed; `progress` is what earlier attempts have written."""

    progress: ShardProgress


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """One request failed; `again_after_s` is None when it was the item's last."""

    shard: int
    item_id: str
    category: Category
    message: str
    attempt: int
    again_after_s: float | None


@dataclass(frozen=True, slots=True)
class ItemDone:
    """An item has its record; not yet written down."""

    shard: int
    record: Record


@dataclass(frozen=True, slots=True)
class PartWritten:
    """Records are in the store; `tally` counts them."""

    shard: int
    attempt: int
    number: int
    tally: Totals


@dataclass(frozen=True, slots=True)
class ShardDone:
    """Every item of the shard has a record, and `done.json` says so."""

    shard: int
    attempt: int


Event = ShardOpened | AttemptFailed | ItemDone | PartWritten | ShardDone
Emit = Callable[[Event], None]


class EventStream:
    """Hands each event to every listener."""

    def __init__(self, *listeners: Emit) -> None:
        self._listeners = listeners

    def __call__(self, event: Event) -> None:
        for listen in self._listeners:
            listen(event)
