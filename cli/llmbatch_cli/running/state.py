"""Continues an earlier run of the same batch, or plans a new one."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pydantic

from llmbatch_cli.running.spending import NAME as SPENT_NAME
from llmbatch_contract import layout
from llmbatch_contract.errors import (
    InputChangedError,
    InvalidError,
    OutputTakenError,
    StateMismatchError,
    StoreError,
    StoreMissingError,
)
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan, asked_of, changed_fields
from llmbatch_contract.trace import TRACEPARENT, BatchTrace, trace_of
from llmbatch_worker.finalizing.names import MANIFEST_NAME, RESULTS_FOLDER, SUMMARY_NAME
from llmbatch_worker.finalizing.owning import check_place, read_owner, release_output, take_output
from llmbatch_worker.inputs.source import inline_facts
from llmbatch_worker.planning.planner import Planned, make_plan
from llmbatch_worker.stores.local import LOCAL, RESTORE
from llmbatch_worker.stores.protocol import Store, Stores
from llmbatch_worker.stores.uris import local_path, readable_uri
from llmbatch_worker.work import utc

UID_NAME = "uid"
"""In the working store: what a run is called before it has a plan."""


def plan_or_continue(
    job: Job, stores: Stores, workers: int, caller: str | None, on_items: Callable[[int], None]
) -> tuple[Plan, Planned | None]:
    """The plan to run, and (for a new one) what planning found. Raises StateMismatchError, InputError, StoreError.

    `caller` is the `traceparent` of the process that started this one; a plan keeps the trace that it began with.
    """
    store = LOCAL.open(job.store_uri)
    if store.exists(layout.PLAN):
        plan = _continued(job, store, stores)
        take_place(job, stores.open(job.output_uri), plan.uid)
        return plan, None
    output = stores.open(job.output_uri)
    uid = _uid(job, store, output)
    with refusing_what_is_not_there():
        take_place(job, output, uid)
    try:
        with refusing_what_is_not_there():
            planned = make_plan(
                job.batch,
                store,
                uid=uid,
                created_at=utc(time.time()),
                trace=_trace(job, uid, caller),
                workers=workers,
                stores=stores,
                on_items=on_items,
            )
    except BaseException:
        with contextlib.suppress(StoreError):  # what went wrong before is what counts
            release_output(output, uid)
        raise
    return planned.plan, planned


@contextlib.contextmanager
def refusing_what_is_not_there() -> Iterator[None]:
    """Before anything is asked, what the manifest names and is not there is wrong in the manifest."""
    try:
        yield
    except StoreMissingError as error:
        raise InvalidError(str(error)) from error


def forget_finished(job: Job, stores: Stores) -> bool:
    """With `overwrite`, forget an earlier run that asked something else and has written its outputs; True if one did.

    These stay until those of the new one are written. Raises StoreError.
    """
    store = LOCAL.open(job.store_uri)
    if not (job.batch.spec.output.overwrite and _is_another_finished(job, store, stores)):
        return False
    own = [name for name in store.names("") if layout.is_working_object(name) or name in (UID_NAME, SPENT_NAME)]
    store.remove(name for name in own if name != layout.PLAN)
    store.remove([layout.PLAN])  # last: while it is there, this is done anew
    return True


def _is_another_finished(job: Job, store: Store, stores: Stores) -> bool:
    """Whether an earlier run with another question has written its outputs."""
    plan = _earlier_plan(store)
    return (
        plan is not None
        and bool(_changed(job, plan))
        and (output := stores.open(job.output_uri)).exists(SUMMARY_NAME)
        and read_summary(output).get("uid") == plan.uid
    )


def _earlier_plan(store: Store) -> Plan | None:
    """None if there is none, or one that cannot be read."""
    try:
        return Plan.load(store.read(layout.PLAN))
    except (StoreMissingError, pydantic.ValidationError):
        return None


def take_place(job: Job, output: Store, uid: str) -> None:
    """Make the output's place this batch's own. Raises OutputTakenError."""
    batch, overwrite = job.batch.metadata, job.batch.spec.output.overwrite
    take_output(output, uid, batch.name, batch.namespace, overwrite=overwrite, now=utc(time.time()))


def place_problem(job: Job, stores: Stores) -> str:
    """Why outputs could not be written to their place; empty if they could. Makes nothing that is not there."""
    try:
        if job.output_uri.startswith("file:") and not local_path(job.output_uri).is_dir():
            return ""
        uid, overwrite = _planned_uid(job, stores), job.batch.spec.output.overwrite
        output = stores.open(job.output_uri)
        check_place(output, uid, overwrite=overwrite)
        output.names(f"{layout.OWNER}/")  # nothing, but an error where there is no such bucket
    except (OutputTakenError, StateMismatchError, StoreError) as error:
        return str(error)
    return ""


def _planned_uid(job: Job, stores: Stores) -> str | None:
    """Of the run that would be continued, if any. Raises StateMismatchError if it asks something else."""
    if not local_path(job.store_uri).is_dir():
        return None
    store = LOCAL.open(job.store_uri)
    if job.batch.spec.output.overwrite and _is_another_finished(job, store, stores):
        return None
    return _continued(job, store, stores).uid if store.exists(layout.PLAN) else None


def _uid(job: Job, store: Store, output: Store) -> str:
    """A new one, or that of a run which was killed before it had a plan: the place of its outputs bears its name.

    In a folder the owner may be told by its name: who removes the state of a run means to start it over.
    """
    owner = read_owner(output) if job.output_uri.startswith("file:") else None
    batch = job.batch.metadata
    if owner is not None and (owner.name, owner.namespace) == (batch.name, batch.namespace):
        return owner.uid
    if store.create(UID_NAME, uid := uuid.uuid4().hex.encode()):
        return uid.decode()
    return store.read(UID_NAME).decode()


def _trace(job: Job, uid: str, caller: str | None) -> BatchTrace:
    """The manifest's annotation comes before the environment."""
    annotated = trace_of(uid, job.batch.metadata.annotations.get(TRACEPARENT))
    return annotated if annotated.parent_id is not None else trace_of(uid, caller)


def finished_summary(job: Job, stores: Stores) -> dict[str, Any] | None:
    """The summary of this batch if an earlier run has finished it. Raises StateMismatchError for another batch."""
    store, output = LOCAL.open(job.store_uri), stores.open(job.output_uri)
    if not (store.exists(layout.PLAN) and output.exists(SUMMARY_NAME)):
        return None
    plan = _continued(job, store, stores)
    summary = read_summary(output)
    if summary.get("uid") != plan.uid or summary["reason"] is not None:
        return None
    is_whole = all(output.exists(_last_object(summary["output"][kind])) for kind in ("results", "errors"))
    return summary if is_whole else None


def read_summary(output: Store) -> dict[str, Any]:
    """What stands in summary.json; nothing if that is no batch's."""
    try:
        summary = orjson.loads(output.read(SUMMARY_NAME))
    except orjson.JSONDecodeError:
        return {}
    return summary if isinstance(summary, dict) else {}


def _last_object(row: dict[str, Any]) -> str:
    """The object of an output that is written last."""
    name = str(row.get("name") or Path(row["uri"]).name)
    return MANIFEST_NAME if name == RESULTS_FOLDER else name


def _continued(job: Job, store: Store, stores: Stores) -> Plan:
    where = store.where(layout.PLAN)
    try:
        plan = Plan.load(store.read(layout.PLAN))
    except pydantic.ValidationError as error:
        raise StateMismatchError(
            f"{where} was written by another version of llmbatch; use another output.uri or --state, "
            "or remove its folder to start over"
        ) from error
    if changed := _changed(job, plan):
        where = f"{store.where('').rstrip('/')} holds a run with another {', '.join(changed)}"
        if _is_another_finished(job, store, stores):
            raise StateMismatchError(
                f"{where}, which is finished; use another output.uri or --state for a new one, or set "
                "spec.output.overwrite to replace what it has written"
            )
        raise StateMismatchError(
            f"{where}; put it back to continue that run, or use another output.uri or --state for a new one"
        )
    _check_unchanged(job, plan, stores)
    return plan


def _changed(job: Job, plan: Plan) -> list[str]:
    """In what the manifest is not that of an earlier run."""
    changed = changed_fields(plan.asked, asked_of(job.batch))
    return changed if changed or not _inline_items_changed(job, plan) else ["spec.input.items"]


def _check_unchanged(job: Job, plan: Plan, stores: Stores) -> None:
    """Shards see for themselves when the input changes, unless they read an unpacked copy of it."""
    uri = job.batch.spec.input.uri
    if uri is None or not plan.input.unpacked:
        return
    found = {each.uri: each.info.etag for each in stores.find_inputs(uri)}
    for planned in plan.input.objects:
        if planned.uri not in found:
            raise InputChangedError(f"{readable_uri(planned.uri)} is no longer there; {RESTORE}")
        if found[planned.uri] != planned.etag:
            raise InputChangedError(f"{readable_uri(planned.uri)} has changed since it was planned; {RESTORE}")


def _inline_items_changed(job: Job, plan: Plan) -> bool:
    if job.batch.spec.input.items is None:
        return False
    return inline_facts(job.batch.spec.input.items)[1] != plan.input.sha256
