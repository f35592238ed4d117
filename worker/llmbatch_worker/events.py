"""What happens inside the engine, as one stream of typed events.

Progress, the live display, reports and telemetry are derived from it; nothing in the engine knows who listens.
Listeners are called at once and in order, and must be quick.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from llmbatch_contract.progress import ShardProgress, Totals
from llmbatch_contract.records import Record
from llmbatch_worker.classify import Failure, Success
from llmbatch_worker.work import Work

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ShardOpened:
    """A shard was claimed; `progress` is what earlier attempts have written."""

    progress: ShardProgress


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """The request that is `work.attempt` has failed. One that has succeeded is told of with its item."""

    work: Work
    failure: Failure
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
    success: Success | None = None
    """What the last attempt brought; None: the item has failed."""


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
Heard = Mapping[type, Callable[[Any], None]]
"""What to call for each kind of event that is wanted. Of some there are thousands a second."""


@dataclass(eq=False, slots=True)
class Unfailing:
    """A listener whose faults cost what it would have told, not the batch. The first is logged."""

    heard: Heard
    fault: str
    """What to log."""
    is_faulty: bool = False

    def note(self) -> None:
        """It has failed; to be called while its error is handled."""
        if not self.is_faulty:
            _log.exception(self.fault)
        self.is_faulty = True


class EventStream:
    """Hands each event to every listener: those that hear all kinds, and those that hear some."""

    def __init__(self, *listeners: Emit | Heard | Unfailing) -> None:
        heard = [_heard(each) for each in listeners]
        self._listeners = {kind: tuple(each[kind] for each in heard if kind in each) for kind in get_args(Event)}
        unfailing = [each for each in listeners if isinstance(each, Unfailing)]
        self._unfailing = {hear: each for each in unfailing for hear in each.heard.values()}

    def __call__(self, event: Event) -> None:
        for listen in self._listeners[type(event)]:
            try:
                listen(event)
            except Exception:
                if listen not in self._unfailing:
                    raise
                self._unfailing[listen].note()


def _heard(listener: Emit | Heard | Unfailing) -> Heard:
    if isinstance(listener, Unfailing):
        return listener.heard
    return listener if isinstance(listener, Mapping) else dict.fromkeys(get_args(Event), listener)
