"""What this operator has done for a batch, as the reconciler remembers it. No I/O."""

import logging
from dataclasses import dataclass, field

from llmbatch_contract.reports import Spent
from llmbatch_contract.spec import LLMBatch
from llmbatch_contract.status import LLMBatchStatus
from llmbatch_operator.places import Letters
from llmbatch_operator.session import Session


@dataclass
class Written:
    """Of one batch."""

    status: LLMBatchStatus | None = None
    at: float = float("-inf")
    config: LLMBatch | None = None
    """What pods are told."""
    letters: Letters | None = None
    """The dead letters of another batch, as they are told."""
    has_secret: bool = False
    has_signing_key: bool = False
    unshown_since: float | None = None
    """When the oldest report came that no written status shows."""
    _said: dict[int, str] = field(default_factory=dict)
    """The last line of the log, by its level."""

    def level(self, level: int, line: str) -> int:
        """Of a line of the log: what fails for hours is said once, and again only to those who look closely."""
        is_repetition = self._said.get(level) == line
        self._said[level] = line
        return logging.DEBUG if is_repetition else level

    def all_is_well(self) -> None:
        """A failure that comes from now on is another one."""
        self._said.pop(logging.WARNING, None)

    def hear(self, session: Session | None) -> None:
        """What was reported since the last look is about to be shown."""
        if session is not None:
            since, session.heard_since = session.heard_since, None
            self.unshown_since = since if self.unshown_since is None else self.unshown_since

    def shown(self) -> float | None:
        """Everything that was reported is shown now; since when it waited for that."""
        since, self.unshown_since = self.unshown_since, None
        return since

    def newer(self, seen: LLMBatchStatus | None) -> LLMBatchStatus | None:
        """What was written last; the watch may not have delivered it yet. An end that is seen is one in any case."""
        if self.status is None or (seen is not None and seen.phase.is_final and not self.status.phase.is_final):
            return seen
        return self.status


def answered(status: LLMBatchStatus | None) -> int:
    """Items that have an answer or were given up, by a status."""
    return status.items.succeeded + status.items.failed if status is not None and status.items is not None else 0


def spent(status: LLMBatchStatus | None) -> Spent:
    """What the answers that are written down have used, by a status."""
    if status is None or status.usage is None:
        return Spent()
    return Spent(tokens=status.usage.total_tokens, cost=status.cost.amount if status.cost is not None else 0)
