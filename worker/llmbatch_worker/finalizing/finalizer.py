"""Streams parts into results, errors, `report.json` and `summary.json`, shard after shard, in bounded memory."""

import logging
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from llmbatch_contract.errors import InvariantError, StoreAwayError, StoreDeniedError
from llmbatch_contract.job import Job
from llmbatch_contract.layout import work_folder
from llmbatch_contract.plan import Plan
from llmbatch_contract.reports import StopReason
from llmbatch_worker.delivering.deliverer import Delivered
from llmbatch_worker.finalizing.delivery import Way, deliver_results
from llmbatch_worker.finalizing.forms import NotSettledError, OutputForm
from llmbatch_worker.finalizing.gathering import Gathered, Gatherer
from llmbatch_worker.finalizing.layouts import PackedObject, Results, is_sharded, open_results
from llmbatch_worker.finalizing.names import (
    MANIFEST_NAME,
    REPORT_NAME,
    RESULTS_FOLDER,
    SUMMARY_NAME,
    errors_name,
)
from llmbatch_worker.finalizing.outputs import output_form
from llmbatch_worker.finalizing.owning import (
    begin_writing,
    check_owner,
    objects_of,
    own_summary,
    release_output,
    write_owner_again,
)
from llmbatch_worker.finalizing.reading_ahead import gathered_ahead
from llmbatch_worker.finalizing.report import Report
from llmbatch_worker.finalizing.summary import Outcome, Written, summarize
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.protocol import Store, Stores

__all__ = ["REPORT_NAME", "SUMMARY_NAME", "finalize"]

_log = logging.getLogger("llmbatch_worker.stores")  # a run says what is waited for as its own lines

_TELL_EVERY_ITEMS = 5000
_PASSES = 4
_FLUSH_BYTES = 1 << 20


def finalize(
    job: Job,
    plan: Plan,
    *,
    stop: StopReason | None,
    now: str,
    stores: Stores = LOCAL,
    on_items: Callable[[int], None] = lambda _items: None,
    delivery: Way = Way(),  # noqa: B008
) -> dict[str, Any]:
    """Write the outputs of a batch that ended, or that `stop` ended early, and return the summary.

    `now` is ISO 8601; `on_items` is told how many items are written; `delivery` is for `spec.deliver`. Each output
    appears whole or not at all, the summary last. Raises InvariantError, OutputTakenError and StoreError.
    """
    spec = job.batch.spec
    working, output = stores.open(job.store_uri), stores.open(job.output_uri)
    is_cleared_up = job.store_uri == work_folder(job.output_uri, plan.uid)  # by whoever wrote the summary
    if is_cleared_up and (before := own_summary(output, plan.uid)) is not None:
        return before
    form = output_form(spec, fields=plan.input.fields, uid=plan.uid)
    items = PlannedItems(plan.input, spec.input.id_field, working, stores)

    def gatherer(*, with_items: bool) -> Gatherer:
        return Gatherer(working, items, stop=stop, now=now, trace_id=plan.trace.trace_id, with_items=with_items)

    _make_room(job, plan, output)
    writing = _Writing(job, plan, gatherer(with_items=form.needs_items), form, output, now, on_items)
    written = _when_store_is_there(writing)
    records = gatherer(with_items=False)
    delivered = deliver_results(job, plan, records, working, output, records=written.results.records, way=delivery)
    summary = _end(job, plan, output, written, written.outcome(stop, now, delivered))
    if not is_cleared_up:
        with suppress(StoreDeniedError):  # the summary says whose it is
            release_output(output, plan.uid)
    return summary


def _make_room(job: Job, plan: Plan, output: Store) -> None:
    """Remove what an earlier batch left here, if this one may, and what would contradict half of the new results."""
    spec = job.batch.spec
    for name in check_owner(output, plan.uid, overwrite=spec.output.overwrite):
        output.remove(objects_of(output, [name]))
    if is_sharded(spec, plan.items):
        begin_writing(output, plan.uid, [RESULTS_FOLDER])
        there = [name for name in (SUMMARY_NAME, MANIFEST_NAME) if output.exists(name)]
        output.remove(there)  # where there is none, no right to remove is needed


@dataclass(frozen=True)
class _Outputs:
    """What one pass over the shards has written."""

    results: Written
    errors: Written
    report: Report
    resent: int

    def outcome(self, stop: StopReason | None, now: str, delivered: Delivered | None) -> Outcome:
        """What came of the batch."""
        totals = self.report.totals()
        totals.resent = self.resent
        return Outcome(
            totals=totals,
            results=self.results,
            errors=self.errors,
            stop=stop,
            completed_at=now,
            delivery=None if delivered is None else delivered.row(),
        )


def _end(job: Job, plan: Plan, output: Store, written: _Outputs, outcome: Outcome) -> dict[str, Any]:
    """Write the report, and the summary last."""
    spec = job.batch.spec
    summary = summarize(job, plan, outcome, _seconds_between(plan.created_at, outcome.completed_at))
    report = written.report.document(spec.endpoint.limits)
    check_owner(output, plan.uid, overwrite=spec.output.overwrite)  # a batch that was deleted may have lost its place
    output.put(REPORT_NAME, orjson.dumps(report, option=orjson.OPT_APPEND_NEWLINE))
    output.put(SUMMARY_NAME, orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return summary


def _when_store_is_there(writing: "_Writing") -> _Outputs:
    """Large objects cannot be sent again from the middle, so all are written anew when the store is back."""
    for _ in range(_PASSES - 1):
        try:
            return writing.settled()
        except StoreAwayError as error:
            _log.warning("waiting, then the outputs are written again: %s", error)
        write_owner_again(writing.output, writing.plan.uid)  # a small write, which waits and is told of
    return writing.settled()


@dataclass(frozen=True)
class _Writing:
    """One pass over the shards, or several: some forms learn from the first how the second must be."""

    job: Job
    plan: Plan
    gatherer: Gatherer
    form: OutputForm
    output: Store
    now: str
    on_items: Callable[[int], None]

    def settled(self) -> _Outputs:
        """Write results and errors."""
        while True:
            try:
                return self._once()
            except NotSettledError:
                continue

    def _once(self) -> _Outputs:
        spec, plan, output = self.job.batch.spec, self.plan, self.output
        report, name = Report(plan, self.now), errors_name(spec.output.compression)
        with ExitStack() as stack:
            write_error = stack.enter_context(output.writer(name))
            errors = _Errors(PackedObject(write_error, spec.output.compression), self.form)
            results = stack.enter_context(open_results(spec, plan, output, self.form))
            resent = self._write_all(results, errors, report)
            check_owner(output, plan.uid, overwrite=spec.output.overwrite)
            all_results, all_errors = results.end(), errors.end(name, output.where(name))
            if all_results.records + all_errors.records != plan.items:
                raise InvariantError(f"{plan.items} items were planned, but not all of them have a record")
        return _Outputs(all_results, all_errors, report, resent)

    def _write_all(self, results: Results, errors: "_Errors", report: Report) -> int:
        """Write all shards; returns how many items were sent again."""
        number = resent = 0
        for gathered in gathered_ahead(self.gatherer.gather, self.plan.shards):
            shard = gathered.shard
            results.begin_shard(shard)
            number = self._write(gathered, results, errors, report, number)
            resent += gathered.resent
            report.histories.add(shard.number, shard.items, gathered.attempts, self.gatherer.claim)
            self.on_items(number)
        if number != self.plan.items:
            raise InvariantError(f"{self.plan.items} items were planned, but {number} have a record")
        return resent

    def _write(self, gathered: Gathered, results: Results, errors: "_Errors", report: Report, number: int) -> int:
        """Write one shard's records; returns the number of the next item."""
        for record, item, line in gathered.rows:
            if record["index"] != number:
                raise InvariantError(f"item {number} should come next, but item {record['index']} does")
            number += 1
            report.count(record)
            if "error" in record:
                errors.add(self.form.error(record, line))
            else:
                results.add(record, item, line)
            if number % _TELL_EVERY_ITEMS == 0:
                self.on_items(number)
        return number


class _Errors:
    """Dead letters on their way to their object, some at a time."""

    def __init__(self, packed: PackedObject, form: OutputForm) -> None:
        self._packed = packed
        self._lines: list[bytes] = []
        self._size = 0

    def add(self, line: bytes) -> None:
        self._packed.records += 1
        self._lines.append(line)
        self._size += len(line)
        if self._size >= _FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._packed.write(b"".join(self._lines))
        self._lines, self._size = [], 0

    def end(self, name: str, uri: str) -> Written:
        self._flush()
        self._packed.end()
        return self._packed.written(name, uri)


def _seconds_between(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
