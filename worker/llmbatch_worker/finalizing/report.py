"""`report.json`: what a page about a batch shows beyond the summary. Pure; bounded, however many items there are.

Its numbers are taken while finalize writes the records; `llmbatch_cli.report` makes the page.
"""

import heapq
from typing import Any

from llmbatch_contract.endpoint import Limits
from llmbatch_contract.latency import typical_ms
from llmbatch_contract.plan import Plan
from llmbatch_contract.progress import Totals
from llmbatch_contract.records import DeadLetter, Record
from llmbatch_worker.finalizing.histories import Histories
from llmbatch_worker.finalizing.timeline import Timeline, ended_at_of
from llmbatch_worker.work import count_record

VERSION = 1
MOST_SLOW = 20
MOST_SAMPLES = 3
"""Of each category."""
_MESSAGE_CHARS = 200
_ID_CHARS = 200


class Report:
    """Collects, record by record and shard by shard."""

    def __init__(self, plan: Plan, ended_at: str) -> None:
        """`ended_at` is ISO 8601."""
        self._uid = plan.uid
        self._timeline = Timeline(plan.created_at, ended_at)
        self.histories = Histories(len(plan.shards))
        self._samples: dict[str, list[dict[str, str]]] = {}
        self._slowest: list[tuple[float, int, dict[str, Any]]] = []
        """A heap: its first is the quickest of the slowest. The index decides between equals, and is unique."""
        self._slow_from_ms = -1.0

    def count(self, record: Record) -> None:
        """Take in one record; every one of the batch, once."""
        count_record(self._timeline.bucket(record), record)
        latency_ms = record.get("latency_ms")
        if latency_ms is not None and latency_ms > self._slow_from_ms:
            self._keep_slow(record, latency_ms)
        if "error" in record:
            self._keep_sample(record)

    def _keep_slow(self, record: Record, latency_ms: float) -> None:
        heapq.heappush(self._slowest, (latency_ms, -record["index"], _slow_row(record, latency_ms)))
        if len(self._slowest) > MOST_SLOW:
            heapq.heappop(self._slowest)
            self._slow_from_ms = self._slowest[0][0]

    def _keep_sample(self, letter: DeadLetter) -> None:
        error = letter["error"]
        samples = self._samples.setdefault(error["category"], [])
        if len(samples) < MOST_SAMPLES:
            samples.append({"id": letter["id"][:_ID_CHARS], "message": error["message"][:_MESSAGE_CHARS]})

    def totals(self) -> Totals:
        """Sums over all records."""
        totals = Totals()
        self._timeline.add_to(totals)
        return totals

    def document(self, limits: Limits) -> dict[str, Any]:
        """The whole report."""
        totals = self.totals()
        return {
            "version": VERSION,
            "uid": self._uid,
            "limits": limits.dump(),
            "timeline": self._timeline.document(),
            "latency": [[round(typical_ms(bucket), 3), count] for bucket, count in sorted(totals.latency.items())],
            "errors": [
                {"category": category.value, "count": count, "samples": self._samples.get(category.value, [])}
                for category, count in totals.top_errors(len(totals.errors))
            ],
            "slowest": [row for _latency, _index, row in sorted(self._slowest, key=lambda e: (-e[0], -e[1]))],
            "shards": self.histories.document(),
        }


def _slow_row(record: Record, latency_ms: float) -> dict[str, Any]:
    usage = record.get("usage") or {}
    return {
        "id": record["id"][:_ID_CHARS],
        "index": record["index"],
        "latency_ms": latency_ms,
        "attempts": record["attempts"],
        "input_tokens": usage.get("input_tokens", 0),
        "output_tokens": usage.get("output_tokens", 0),
        "ended_at": ended_at_of(record),
        "category": record["error"]["category"] if "error" in record else None,
    }
