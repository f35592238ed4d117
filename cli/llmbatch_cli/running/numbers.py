"""The numbers of the batch as metrics tell them: while it runs and when it has ended. Pure: times are arguments.

They count what is written down, as `summary.json` does in the end.
"""

from datetime import datetime
from typing import Any

from llmbatch_contract.categories import NEVER_ASKED
from llmbatch_contract.coordination import Coordinator
from llmbatch_contract.pace import Speedometer
from llmbatch_contract.plan import Plan
from llmbatch_contract.progress import Totals
from llmbatch_contract.spec import LLMBatch
from llmbatch_contract.usage import Usage
from llmbatch_telemetry.batches import BatchNumbers


def unix(moment: str) -> float:
    """Unix time of a moment in ISO 8601."""
    return datetime.fromisoformat(moment).timestamp()


def running_numbers(
    batch: LLMBatch,
    plan: Plan,
    totals: Totals,
    coordinator: Coordinator,
    speed: Speedometer,
    *,
    now: float,
    idle_s: float,
) -> BatchNumbers:
    """A batch that runs; `now` is Unix time, `totals` are those of the coordinator's progress."""
    pricing = batch.spec.endpoint.pricing
    cost = totals.usage.cost(pricing)
    return BatchNumbers(
        namespace=batch.metadata.namespace,
        name=batch.metadata.name,
        started_at=unix(plan.created_at),
        size=plan.items,
        succeeded=totals.succeeded,
        failed={category.value: count for category, count in totals.errors.items()},
        attempts=totals.attempts,
        usage=totals.usage,
        cost=None if cost is None else round(cost, 6),
        currency=pricing.currency if pricing is not None else "",
        resent=totals.resent,
        in_flight=coordinator.in_flight,
        waiting={category.value: count for category, count in coordinator.waiting.items()},
        workers=coordinator.workers,
        time_left_s=speed.eta_s(plan.items - totals.finished),
        age_s=now - unix(plan.created_at),
        idle_s=idle_s,
    )


def final_numbers(summary: dict[str, Any]) -> BatchNumbers:
    """A batch that has ended."""
    items, cost = summary["items"], summary["cost"]
    return BatchNumbers(
        namespace=summary["namespace"],
        name=summary["name"],
        started_at=unix(summary["started_at"]),
        size=items["total"],
        succeeded=items["succeeded"],
        failed={e["category"]: e["count"] for e in summary["errors"] if e["category"] not in NEVER_ASKED},
        cancelled=items["cancelled"],
        attempts=summary["attempts"],
        usage=Usage.from_record(summary["usage"]),
        cost=cost["amount"] if cost is not None else None,
        currency=cost["currency"] if cost is not None else "",
        resent=summary["resent_items"],
    )
