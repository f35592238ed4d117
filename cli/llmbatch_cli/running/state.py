"""Continues an earlier run of the same batch, or plans a new one."""

import hashlib
import time
import uuid
from collections.abc import Callable

import pydantic

from llmbatch_contract import layout
from llmbatch_contract.errors import StateMismatchError
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan, asked_of, changed_fields
from llmbatch_worker.inputs.source import open_source
from llmbatch_worker.planning.planner import Planned, make_plan
from llmbatch_worker.store import Store
from llmbatch_worker.work import utc


def plan_or_continue(job: Job, workers: int, on_items: Callable[[int], None]) -> tuple[Plan, Planned | None]:
    """The plan to run, and (for a new one) what planning found. Raises StateMismatchError, InputError, StoreError."""
    store = Store(job.store_uri)
    if store.exists(layout.PLAN):
        return _continued(job, store), None
    planned = make_plan(
        job.batch, store, uid=uuid.uuid4().hex, created_at=utc(time.time()), workers=workers, on_items=on_items
    )
    return planned.plan, planned


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
    return plan


def _inline_items_changed(job: Job, plan: Plan) -> bool:
    if job.batch.spec.input.items is None:
        return False
    digest = hashlib.sha256()
    for block in open_source(job.batch.spec.input).blocks:
        digest.update(block)
    return digest.hexdigest() != plan.input.sha256
