"""Builders of what webhooks are told of: batches with webhooks, their statuses, and an operator's side of delivering.

outbox_with(finished())                 one letter that is due
"""

from datetime import UTC, datetime

from llmbatch_contract.categories import Category
from llmbatch_contract.holding import Webhook
from llmbatch_contract.status import (
    Condition,
    ConditionType,
    Cost,
    ErrorTally,
    ItemCounts,
    LLMBatchStatus,
    OutputPlaces,
    Phase,
    Reason,
    TokenCounts,
)
from llmbatch_operator.notify.outbox import Outbox
from operator_tests.operator_builders import NOW, REF, condition, status

URL = "https://hooks.example/llmbatch/"
WEBHOOK = Webhook(url=URL)
END = datetime(2026, 11, 22, 13, 0, 0, tzinfo=UTC)

NO_SECRET = condition(ConditionType.BLOCKED, Reason.SECRET_MISSING, "no Secret")
STALLED = condition(ConditionType.STALLED, Reason.STALLED, "nothing was answered")
SUCCEEDED = condition(ConditionType.COMPLETE, Reason.SUCCEEDED, "40 of 40 items succeeded")


def running(*conditions: Condition) -> LLMBatchStatus:
    """A batch at work."""
    return status(Phase.RUNNING, *conditions)


def finished() -> LLMBatchStatus:
    """One that has ended, with everything that a status may hold."""
    end = condition(ConditionType.COMPLETE, Reason.COMPLETED_WITH_ERRORS, "38 of 40 items succeeded, 2 failed")
    return status(
        Phase.COMPLETED_WITH_ERRORS,
        end.model_copy(update={"last_transition_time": END}),
        items=ItemCounts(total=40, succeeded=38, failed=2),
        progress="100%",
        usage=TokenCounts(input_tokens=400, output_tokens=100, total_tokens=500),
        cost=Cost(amount=0.25, currency="USD", display="0.2500 USD"),
        errors=[
            ErrorTally(category=Category.REFUSAL, count=2, sample_item="t-7", sample_message="I will not, Mr. Smith")
        ],
        output=OutputPlaces(
            results="llmbatch://a/b/results.csv", errors="llmbatch://a/b/e", summary="llmbatch://a/b/s"
        ),
        trace_id="0af7651916cd43dd8448eb211c80319c",
        start_time=NOW,
        completion_time=END,
    )


def outbox_with(status: LLMBatchStatus, *webhooks: Webhook, now: float = 0) -> Outbox:
    """One that has looked at a batch; without chance."""
    outbox = Outbox(chance=lambda: 0.5)
    outbox.look(REF, webhooks or (WEBHOOK,), status, now)
    return outbox
