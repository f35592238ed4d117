"""Streams parts into results, errors, `report.json` and `summary.json`, shard after shard, in bounded memory."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from llmbatch_contract.errors import InvariantError
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan
from llmbatch_contract.reports import StopReason
from llmbatch_worker.asking import Asker
from llmbatch_worker.finalizing.gathering import Gathered, Gatherer
from llmbatch_worker.finalizing.outputs import OutputForm, output_form
from llmbatch_worker.finalizing.report import Report
from llmbatch_worker.finalizing.summary import Outcome, Written, summarize
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.protocol import Stores, Write

ERRORS_NAME = "errors.jsonl"
REPORT_NAME = "report.json"
SUMMARY_NAME = "summary.json"


def finalize(
    job: Job,
    plan: Plan,
    *,
    stop: StopReason | None,
    now: str,
    stores: Stores = LOCAL,
    on_items: Callable[[int], None] = lambda _items: None,
) -> dict[str, Any]:
    """Write the outputs of a batch that ended, or that `stop` ended early, and return the summary.

    `now` is ISO 8601; `on_items` is told how many items are written. Each output appears whole or not at all, the
    summary last. Raises InvariantError and StoreError.
    """
    spec = job.batch.spec
    working, output = stores.open(job.store_uri), stores.open(job.output_uri)
    schema = Asker(spec, plan.input.format).schema
    form = output_form(
        spec.output.format, fields=plan.input.fields, properties=schema.properties if schema else [], uid=plan.uid
    )
    items = PlannedItems(plan.input, spec.input.id_field, working, stores)
    gatherer = Gatherer(working, items, stop=stop, now=now, trace_id=plan.trace.trace_id, with_items=form.needs_items)
    report, resent = Report(plan, now), 0
    with output.writer(form.results_name) as write_result, output.writer(ERRORS_NAME) as write_error:
        results, errors = _Sink(write_result), _Sink(write_error)
        results.write(form.header())
        next_number = 0
        for shard in plan.shards:
            gathered = gatherer.gather(shard)
            next_number = _write_shard(gathered, form, results, errors, report, next_number)
            resent += gathered.resent
            report.histories.add(shard.number, shard.items, gathered.attempts, gatherer.claim)
            on_items(next_number)
        if next_number != plan.items or results.records + errors.records != plan.items:
            raise InvariantError(f"{plan.items} items were planned, but {next_number} have a record")
    totals = report.totals()
    totals.resent = resent
    outcome = Outcome(
        totals=totals,
        results=results.written(output.where(form.results_name)),
        errors=errors.written(output.where(ERRORS_NAME)),
        stop=stop,
        completed_at=now,
    )
    summary = summarize(job, plan, outcome, _seconds_between(plan.created_at, now))
    output.put(REPORT_NAME, orjson.dumps(report.document(spec.endpoint.limits), option=orjson.OPT_APPEND_NEWLINE))
    output.put(SUMMARY_NAME, orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return summary


def _write_shard(
    gathered: Gathered, form: OutputForm, results: "_Sink", errors: "_Sink", report: Report, number: int
) -> int:
    """Write one shard's records; returns the number of the next item."""
    answered, failed = [], []
    for record, item in gathered.entries:
        if record["index"] != number:
            raise InvariantError(f"item {number} should come next, but item {record['index']} does")
        number += 1
        report.count(record)
        if "error" in record:
            failed.append(form.error(record))
        else:
            answered.append(form.result(record, item))
    results.write(b"".join(answered), len(answered))
    errors.write(b"".join(failed), len(failed))
    return number


@dataclass
class _Sink:
    """Counts and hashes what is written."""

    write_out: Write
    records: int = 0
    size: int = 0

    def __post_init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def write(self, data: bytes, records: int = 0) -> None:
        if data:
            self.write_out(data)
            self._sha256.update(data)
        self.records += records
        self.size += len(data)

    def written(self, uri: str) -> Written:
        return Written(uri, self.records, self.size, self._sha256.hexdigest())


def _seconds_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
