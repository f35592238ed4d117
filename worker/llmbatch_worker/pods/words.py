"""What a stage leaves behind: notes gathered while it runs, and the termination message made of them."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmbatch_contract.categories import Category
from llmbatch_contract.plan import Plan
from llmbatch_contract.pods import CanaryCounts, ErrorCount, FinalCounts, LastWords, PodError, Stage
from llmbatch_contract.progress import Sample, ShardProgress
from llmbatch_contract.reports import PlanFacts, StopReason
from llmbatch_contract.usage import Usage

_SAMPLED_ERRORS = 7
"""The status shows five, and passes over two that explain nothing. All are counted."""


@dataclass
class Notes:
    """What there is to say so far."""

    plan: PlanFacts | None = None
    progress: ShardProgress | None = None
    canary: CanaryCounts | None = None
    final: FinalCounts | None = None
    stop: StopReason | None = None
    error: PodError | None = None

    def as_words(self, stage: Stage) -> LastWords:
        """The last words of a stage."""
        return LastWords(
            stage=stage,
            plan=self.plan,
            progress=self.progress,
            canary=self.canary,
            final=self.final,
            stop=self.stop,
            error=self.error,
        )


def leave(words: LastWords, path: Path) -> None:
    """Write the termination message; where it cannot be written there is nobody to read it."""
    with contextlib.suppress(OSError):
        path.write_bytes(words.cut())


def facts_of(plan: Plan, misfits: int = 0, first_misfit: str | None = None) -> PlanFacts:
    """What is worth knowing of a plan."""
    return PlanFacts(
        items=plan.items,
        shards=len(plan.shards),
        input_tokens_estimate=plan.input_tokens_estimate,
        misfits=misfits,
        first_misfit=first_misfit,
        format=plan.input.format.value,
        packing=plan.input.packing.value,
        objects=len(plan.input.objects),
        bytes=plan.input.size,
    )


def final_counts(summary: dict[str, Any]) -> FinalCounts:
    """What is worth knowing of a summary, fresh or read again."""
    items, output, delivery = summary["items"], summary["output"], summary.get("delivery") or {}
    return FinalCounts(
        items=items["total"],
        succeeded=items["succeeded"],
        failed=items["failed"],
        cancelled=items["cancelled"],
        attempts=summary["attempts"],
        retries=summary["retries"],
        resent=summary["resent_items"],
        usage=Usage.from_record(summary["usage"]),
        latency_ms=summary["latency_ms"],
        errors=[_error_count(row, number < _SAMPLED_ERRORS) for number, row in enumerate(summary["errors"])],
        output_bytes=output["results"]["bytes"] + output["errors"]["bytes"],
        delivered=delivery.get("delivered"),
        undelivered=delivery.get("undelivered", 0),
        delivery_error=delivery.get("error"),
        results_name=_name_of(output["results"]),
        errors_name=_name_of(output["errors"]),
    )


def _name_of(row: dict[str, Any]) -> str:
    """In the folder of outputs; earlier versions wrote no name."""
    name: str = row.get("name") or row["uri"].rpartition("/")[2]
    return name


def _error_count(row: dict[str, Any], has_sample: bool) -> ErrorCount:
    is_there = has_sample and "sample_id" in row
    sample = Sample(item_id=row["sample_id"], message=row["sample_message"]) if is_there else None
    return ErrorCount(category=Category(row["category"]), count=row["count"], sample=sample)
