"""What the coordinator needs from the rest of the operator: who a caller is, and what it shall do.

The operator implements both; tests put simple ones in their place.
"""

from dataclasses import dataclass
from typing import Protocol

from llmbatch_contract.reports import Reply, Report


@dataclass(frozen=True)
class PodIdentity:
    """A worker pod, and the batch it works for."""

    namespace: str
    pod: str
    batch: str
    batch_uid: str


class Refused(Exception):
    """A request is not answered; the sentence tells the caller why."""

    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        super().__init__(sentence)


class Desk(Protocol):
    """Who knows the batches."""

    def reply(self, who: PodIdentity, report: Report) -> Reply | None:
        """Take in a report and say what the pod shall do; None if its batch is gone."""
        ...

    def batch_uid(self, namespace: str, name: str) -> str | None:
        """The uid of a batch that exists."""
        ...

    def store_is_full(self, batch_uid: str, message: str | None) -> None:
        """A write of this batch was refused, and why; or one was accepted again: None."""
        ...


class Identities(Protocol):
    """Who knows the pods."""

    async def who(self, token: str) -> PodIdentity:
        """The pod that shows this token. Raises Refused with 401, 403 or 503."""
        ...
