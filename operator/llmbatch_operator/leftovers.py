"""Working objects of batches that were deleted before they were removed, where they are not in the built-in store.

The operator has no credentials for stores, so a Job does it that belongs to nobody, once for a batch. Called by the
reconciler: at every look for what there would be to remove, and when the batch is gone. Nothing is remembered over a
restart: what is deleted while no operator runs stays; `docs/stores.md` says how to remove it.
"""

import logging
from dataclasses import dataclass, field

from llmbatch_contract.pods import Stage
from llmbatch_contract.spec import LLMBatch
from llmbatch_contract.status import LLMBatchStatus
from llmbatch_contract.trace import BatchTrace
from llmbatch_operator.cache import Known
from llmbatch_operator.facts import BatchRef, Body
from llmbatch_operator.jobs import cleaning_config_map, job, job_name
from llmbatch_operator.kube import CallError, Kube
from llmbatch_operator.observed import CreateJob
from llmbatch_operator.places import folder_of
from llmbatch_operator.settings import Settings

_log = logging.getLogger("llmbatch.leftovers")

_NEVER = frozenset((400, 403, 404, 409, 422))
"""Statuses after which another try would get the same, as in a namespace that is being deleted."""


@dataclass(frozen=True)
class Leftover:
    """What a batch leaves behind that is deleted now."""

    ref: BatchRef
    batch: LLMBatch
    trace: BatchTrace


def leftover_of(known: Known, batch: LLMBatch, status: LLMBatchStatus | None) -> Leftover | None:
    """None: it has written nothing, or has removed it itself, or the built-in store removes it."""
    has_begun = bool(known.job_uids) or (status is not None and status.items is not None)
    has_ended_well = status is not None and status.output is not None
    if folder_of(batch.spec.output) is None or not has_begun or has_ended_well:
        return None
    assert known.ref is not None
    assert known.trace is not None
    return Leftover(known.ref, batch, known.trace)


@dataclass
class Leftovers:
    """Of all batches, by uid."""

    kube: Kube
    settings: Settings
    ca: str
    _left: dict[str, Leftover] = field(default_factory=dict)

    def note(self, uid: str, known: Known, batch: LLMBatch | None, status: LLMBatchStatus | None) -> None:
        """The batch was looked at. While its spec is not valid, what was known before stands."""
        if batch is None:
            return
        if (left := leftover_of(known, batch, status)) is not None:
            self._left[uid] = left
        else:
            self._left.pop(uid, None)

    async def remove(self, uid: str) -> None:
        """The batch is gone. May be called again; raises CallError where another try may help."""
        if (left := self._left.get(uid)) is None:
            return
        try:
            made = await self._make_job(left)
            if made is not None:
                await self._tell_job(left, made)
        except CallError as error:
            if error.status not in _NEVER:
                raise
            _log.warning("%s: its working objects stay where they are: %s", left.ref, error, extra=_fields(left.ref))
        else:
            _log.info("%s: a Job removes its working objects", left.ref, extra=_fields(left.ref))
        self._left.pop(uid, None)

    async def _make_job(self, left: Leftover) -> Body | None:
        made = await self.kube.create_job(job(left.ref, left.batch, CreateJob(Stage.CLEAN), self.settings))
        return made or await self.kube.read_job(left.ref.namespace, job_name(left.ref, Stage.CLEAN))

    async def _tell_job(self, left: Leftover, made: Body) -> None:
        """Its pod waits until it is there."""
        uid = made["metadata"]["uid"]
        told = cleaning_config_map(left.ref, left.batch, self.settings, self.ca, left.trace, uid)
        await self.kube.apply_config_map(told)


def _fields(ref: BatchRef) -> dict[str, str]:
    return {"namespace": ref.namespace, "batch": ref.name}
