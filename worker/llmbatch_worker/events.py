"""What happens inside the engine, as one stream of typed events.

Progress, the live display, reports and telemetry are derived from it; nothing in the engine knows who listens.
Listeners are called at once and in order, and must be quick.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from llmbatch_contract.progress import ShardProgress, Totals
from llmbatch_contract.records import Record
from llmbatch_worker.classify import Failure, Success
from llmbatch_worker.work import Work


@dataclass(frozen=True, slots=True)
class ShardOpened:
    """A shard was claimed; `progress` is what earlier attempts have written."""

    progress: ShardProgress


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """The request that is `work.attempt` has ended: with an answer, or it failed."""

    work: Work
    verdict: Success | Failure
    again_after_s: float | None = None
    """The item is asked about again so long after."""
    stops: bool = False
    """The batch stops on this failure, and the item stays unanswered."""


@dataclass(frozen=True, slots=True)
class ItemDone:
    """An item has its record; not yet written down."""

    shard: int
    record: Record
    work: Work


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


Event = ShardOpened | AttemptEnded | ItemDone | PartWritten | ShardDone
Emit = Callable[[Event], None]
Heard = Mapping[type, Callable[[Any], None]]
"""What to call for each kind of event that is wanted. Of some there are thousands a second."""


class EventStream:
    """Hands each event to every listener: those that hear all kinds, and those that hear some."""

    def __init__(self, *listeners: Emit | Heard) -> None:
        heard = [each if isinstance(each, Mapping) else dict.fromkeys(get_args(Event), each) for each in listeners]
        self._listeners = {kind: tuple(each[kind] for each in heard if kind in each) for kind in get_args(Event)}

    def __call__(self, event: Event) -> None:
        for listen in self._listeners[type(event)]:
            listen(event)
