"""What a webhook is sent. Pure; `docs/notify.schema.json` is made from these models.

No word of an item is in it: errors are categories and counts. Receivers pass over fields that they do not know.
"""

from enum import StrEnum

from pydantic import Field

from llmbatch_contract.categories import Category
from llmbatch_contract.holding import Occasion
from llmbatch_contract.status import (
    Cost,
    Count,
    ItemCounts,
    LLMBatchStatus,
    OutputPlaces,
    Phase,
    Reason,
    StatusPart,
    Time,
    TokenCounts,
)
from llmbatch_operator.facts import BatchRef
from llmbatch_operator.notify.occasions import Notice


class MessageType(StrEnum):
    """What happened."""

    FINISHED = "llmbatch.finished"
    """All items were tried."""
    FAILED = "llmbatch.failed"
    """The batch stopped before its end, or was cancelled."""
    HELD = "llmbatch.held"
    """The batch waits: for a budget, an approval, or something that is in its way."""
    ALERT = "llmbatch.alert"
    """Too many errors, slow, or stalled."""


TYPES = {
    Occasion.FINISHED: MessageType.FINISHED,
    Occasion.FAILED: MessageType.FAILED,
    Occasion.HELD: MessageType.HELD,
    Occasion.ALERT: MessageType.ALERT,
}


class FailedItems(StatusPart):
    """How many items failed for one reason."""

    category: Category = Field(description="Why they failed.")
    count: Count = Field(description="Items that failed so.")


class BatchNow(StatusPart):
    """The batch, as its status was when this happened."""

    namespace: str = Field(description="Its namespace.")
    name: str = Field(description="Its name.")
    uid: str = Field(description="Its uid: another batch of the same name has another.")
    phase: Phase = Field(description="Where it stands.")
    reason: Reason = Field(description="Why it is told, in one word.")
    message: str = Field(default="", description="Why it is told, in a sentence.")
    items: ItemCounts | None = Field(default=None, description="Counts of items; they add up to `total`.")
    progress: str | None = Field(default=None, description="Part of the items that is done, as in `58%`.")
    usage: TokenCounts | None = Field(default=None, description="Tokens used so far.")
    cost: Cost | None = Field(default=None, description="What they cost, where the endpoint has `pricing`.")
    errors: list[FailedItems] = Field(default_factory=list, description="The most frequent failures of items.")
    output: OutputPlaces | None = Field(default=None, description="Where the outputs are, once they are written.")
    trace_id: str | None = Field(default=None, description="Id of the trace that the batch is.")
    start_time: Time | None = Field(default=None, description="When the operator began with it.")
    completion_time: Time | None = Field(default=None, description="When it ended.")


class Payload(StatusPart):
    """A message about a batch."""

    id: str = Field(description="Of the message, as in the header `webhook-id`: the same however often it comes.")
    type: MessageType = Field(description="What happened.")
    timestamp: Time = Field(description="When it happened.")
    batch: BatchNow = Field(description="The batch at that time.")


def payload_of(id_: str, ref: BatchRef, notice: Notice, status: LLMBatchStatus) -> Payload:
    """The message that tells of one thing."""
    return Payload(
        id=id_,
        type=TYPES[notice.occasion],
        timestamp=notice.since,
        batch=BatchNow(
            namespace=ref.namespace,
            name=ref.name,
            uid=ref.uid,
            phase=status.phase,
            reason=notice.reason,
            message=notice.message,
            items=status.items,
            progress=status.progress,
            usage=status.usage,
            cost=status.cost,
            errors=[FailedItems(category=e.category, count=e.count) for e in status.errors],
            output=status.output,
            trace_id=status.trace_id,
            start_time=status.start_time,
            completion_time=status.completion_time,
        ),
    )
