"""`summary.json`: the record of the job. Pure."""

import platform
from dataclasses import dataclass
from typing import Any

from llmbatch_contract import __version__
from llmbatch_contract.categories import Category
from llmbatch_contract.job import Job
from llmbatch_contract.latency import percentile_ms
from llmbatch_contract.plan import Plan
from llmbatch_contract.progress import Totals
from llmbatch_contract.reports import StopReason
from llmbatch_contract.spec import Packing
from llmbatch_contract.storage import place_of, without_query

_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Written:
    """One output: an object, or the objects in a folder."""

    uri: str
    records: int
    size: int
    """Bytes, packed."""
    sha256: str
    """Of several objects, the digest of the lines that `sha256sum` prints for them in their folder."""
    name: str
    """In the folder of outputs; with `/` at its end where there are several objects."""
    packing: Packing = Packing.NONE
    objects: int | None = None
    """How many there are in a folder; None for a single object."""

    def row(self) -> dict[str, Any]:
        """As it stands in the summary."""
        row: dict[str, Any] = {
            "uri": self.uri,
            "name": self.name,
            "records": self.records,
            "bytes": self.size,
            "sha256": self.sha256,
            "compression": self.packing.value,
        }
        return row if self.objects is None else {**row, "objects": self.objects}


@dataclass(frozen=True)
class Outcome:
    """What came of a batch."""

    totals: Totals
    results: Written
    errors: Written
    stop: StopReason | None
    completed_at: str
    delivery: dict[str, Any] | None = None
    """What came of `spec.deliver`."""

    @property
    def phase(self) -> str:
        """Succeeded, CompletedWithErrors, Failed, or Cancelled by the user."""
        if self.stop is not None:
            return "Cancelled" if self.stop.category is Category.CANCELLED else "Failed"
        return "CompletedWithErrors" if self.totals.failed else "Succeeded"


def summarize(job: Job, plan: Plan, outcome: Outcome, duration_s: float) -> dict[str, Any]:
    """Everything needed to say what was asked, of which model, with which input, and what came of it."""
    totals, spec = outcome.totals, job.batch.spec
    pricing = spec.endpoint.pricing
    cost = totals.usage.cost(pricing)
    return {
        "name": job.batch.metadata.name,
        "namespace": job.batch.metadata.namespace,
        "uid": plan.uid,
        "trace_id": plan.trace.trace_id,
        "phase": outcome.phase,
        "reason": outcome.stop.dump() if outcome.stop is not None else None,
        "items": {
            "total": plan.items,
            "succeeded": totals.succeeded,
            "failed": totals.failed - totals.cancelled,
            "cancelled": totals.cancelled,
        },
        "attempts": totals.attempts,
        "retries": totals.retries,
        "resent_items": totals.resent,
        "usage": totals.usage.record(),
        "cost": None if cost is None or pricing is None else {"amount": round(cost, 6), "currency": pricing.currency},
        "latency_ms": {n: _rounded(percentile_ms(totals.latency, share)) for n, share in _PERCENTILES.items()},
        "errors": [_error_row(totals, category, count) for category, count in totals.top_errors(len(Category))],
        "started_at": plan.created_at,
        "completed_at": outcome.completed_at,
        "duration_seconds": round(duration_s, 3),
        "input": {
            "uri": plan.input.uri,
            "format": plan.input.format.value,
            "items": plan.items,
            "bytes": plan.input.size,
            "sha256": plan.input.sha256,
        },
        "output": {"results": outcome.results.row(), "errors": outcome.errors.row()},
        "delivery": outcome.delivery,
        "configuration": _configuration(job),
        "versions": {"llmbatch": __version__, "python": platform.python_version()},
    }


def _configuration(job: Job) -> dict[str, Any]:
    """The manifest's spec; inline items are in the input's digest already. What may be a secret in a URL is left out:
    the query of any, and the path of one that is posted to."""
    spec = job.batch.spec.dump()
    spec["input"].pop("items", None)
    for part, name in (("input", "uri"), ("endpoint", "url")):
        if name in spec[part]:
            spec[part][name] = without_query(spec[part][name])
    for posted_to in (*filter(None, [spec.get("deliver")]), *(spec.get("notify") or ())):
        posted_to["url"] = place_of(posted_to["url"])
    return spec


def _error_row(totals: Totals, category: Category, count: int) -> dict[str, Any]:
    sample = totals.samples.get(category)
    row: dict[str, Any] = {"category": category.value, "count": count}
    return row | ({"sample_id": sample.item_id, "sample_message": sample.message} if sample is not None else {})


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
