"""Continues an earlier run of the same batch, or plans a new one."""

import hashlib
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pydantic

from llmbatch_contract import layout
from llmbatch_contract.errors import InputChangedError, StateMismatchError
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan, asked_of, changed_fields
from llmbatch_contract.trace import TRACEPARENT, BatchTrace, trace_of
from llmbatch_worker.finalizing.finalizer import SUMMARY_NAME
from llmbatch_worker.inputs.source import open_source
from llmbatch_worker.planning.planner import Planned, make_plan
from llmbatch_worker.stores.local import LOCAL, RESTORE
from llmbatch_worker.stores.protocol import Store
from llmbatch_worker.work import utc


def plan_or_continue(
    job: Job, workers: int, caller: str | None, on_items: Callable[[int], None]
) -> tuple[Plan, Planned | None]:
    """The plan to run, and (for a new one) what planning found. Raises StateMismatchError, InputError, StoreError.

    `caller` is the `traceparent` of the process that started this one; a plan keeps the trace that it began with.
    """
    store = LOCAL.open(job.store_uri)
    if store.exists(layout.PLAN):
        return _continued(job, store), None
    uid = uuid.uuid4().hex
    planned = make_plan(
        job.batch,
        store,
        uid=uid,
        created_at=utc(time.time()),
        trace=_trace(job, uid, caller),
        workers=workers,
        on_items=on_items,
    )
    return planned.plan, planned


def _trace(job: Job, uid: str, caller: str | None) -> BatchTrace:
    """The manifest's annotation comes before the environment."""
    annotated = trace_of(uid, job.batch.metadata.annotations.get(TRACEPARENT))
    return annotated if annotated.parent_id is not None else trace_of(uid, caller)


def finished_summary(job: Job) -> dict[str, Any] | None:
    """The summary of this batch if an earlier run has finished it. Raises StateMismatchError for another batch."""
    store, output = LOCAL.open(job.store_uri), LOCAL.open(job.output_uri)
    if not (store.exists(layout.PLAN) and output.exists(SUMMARY_NAME)):
        return None
    plan = _continued(job, store)
    summary: dict[str, Any] = orjson.loads(output.read(SUMMARY_NAME))
    is_whole = all(output.exists(Path(summary["output"][kind]["uri"]).name) for kind in ("results", "errors"))
    return summary if is_whole and summary["uid"] == plan.uid and summary["reason"] is None else None


def _continued(job: Job, store: Store) -> Plan:
    where = store.where(layout.PLAN)
    try:
        plan = Plan.load(store.read(layout.PLAN))
    except pydantic.ValidationError as error:
        raise StateMismatchError(
            f"{where} was written by another version of llmbatch; use another output.uri or --state, "
            "or remove its folder to start over"
        ) from error
    changed = changed_fields(plan.asked, asked_of(job.batch))
    if not changed and _inline_items_changed(job, plan):
        changed = ["spec.input.items"]
    if changed:
        raise StateMismatchError(
            f"{store.where('').rstrip('/')} holds a run with another {', '.join(changed)}; put it back to continue "
            "that run, or use another output.uri or --state for a new one"
        )
    _check_unchanged(job, plan)
    return plan


def _check_unchanged(job: Job, plan: Plan) -> None:
    """Shards see for themselves when the input changes, unless they read an unpacked copy of it."""
    uri = job.batch.spec.input.uri
    if uri is None or not plan.input.unpacked:
        return
    source, name = LOCAL.open_input(uri)
    if source.info(name).etag != plan.input.etag:
        raise InputChangedError(f"{source.where(name)} has changed since it was planned; {RESTORE}")


def _inline_items_changed(job: Job, plan: Plan) -> bool:
    if job.batch.spec.input.items is None:
        return False
    digest = hashlib.sha256()
    for block in open_source(job.batch.spec.input).blocks:
        digest.update(block)
    return digest.hexdigest() != plan.input.sha256
