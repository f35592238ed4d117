"""One look at one batch: gather, decide, act, write the status once, then tell events. The only writer of a batch."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import assert_never

from llmbatch_contract.progress import Totals
from llmbatch_contract.spec import LLMBatch
from llmbatch_contract.status import ConditionType, LLMBatchStatus, Phase, Reason
from llmbatch_contract.wire import batch_key
from llmbatch_operator.alerts import Watcher
from llmbatch_operator.cache import Known
from llmbatch_operator.decide import decide
from llmbatch_operator.events import Event, events_of
from llmbatch_operator.facts import BatchRef, Body
from llmbatch_operator.gather import Gatherer, Parsed, find_letters, read_status
from llmbatch_operator.jobs import config_map, job, results_key_secret
from llmbatch_operator.kube import CallError, Kube
from llmbatch_operator.leftovers import Leftovers
from llmbatch_operator.notify.outbox import Outbox
from llmbatch_operator.notify.signing import key_secret
from llmbatch_operator.observed import (
    Action,
    CreateJob,
    DeleteBatch,
    DeleteJob,
    Fact,
    Observed,
    SetParallelism,
    SetSuspend,
)
from llmbatch_operator.planned import plan_of
from llmbatch_operator.session import Session
from llmbatch_operator.sessions import Sessions
from llmbatch_operator.settings import Settings
from llmbatch_operator.status_of import status_of
from llmbatch_operator.telemetry.batch_spans import action_words
from llmbatch_operator.telemetry.recorder import Look, Recorder
from llmbatch_operator.written import Written, answered, spent

logger = logging.getLogger("llmbatch.reconcile")

STATUS_EVERY_S = 2.0
_STATUS_WRITES_PER_S = 150.0
_AFTER_ERROR_S = 5.0
_LETTERS_EVERY_S = 5.0
"""While a batch is planned: the other one, whose dead letters it asks about, may have ended."""
_AFTER_REFUSAL_S = 5.0
_REFUSALS = frozenset((400, 403, 422))
"""Statuses by which the API server says that it will not do this, rather than that it cannot."""


@dataclass
class Reconciler:
    """Looks at batches, one pass at a time for each."""

    kube: Kube
    sessions: Sessions
    settings: Settings
    ca: str
    master_key: bytes
    tell: Callable[[Body, Event], None]
    """Posts a Kubernetes Event about a batch."""
    again: Callable[[str, float], None]
    """Asks for another look after so many seconds."""
    on_gone: Callable[[str], None]
    """Told of a batch that has been deleted."""
    on_ended: Callable[[str], None]
    """Told of a batch whose outputs are final."""
    gatherer: Gatherer = field(default_factory=Gatherer)
    watcher: Watcher = field(default_factory=Watcher)
    outbox: Outbox = field(default_factory=Outbox)
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _written: dict[str, Written] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.leftovers = Leftovers(self.kube, self.settings, self.ca)

    async def reconcile(self, uid: str) -> None:
        """One look. Errors of the API server are logged, and the look is repeated."""
        known = self.sessions.cache.get(uid)
        if known is None or known.body is None or known.ref is None or known.trace is None:
            self._forget(uid)
            await self._clean_up(uid)
            return
        if "deletionTimestamp" in known.body["metadata"]:
            return
        body = known.body
        try:
            with self.recorder.look(known) as look:
                await self._look(look, known, known.ref, body)
        except CallError as error:
            level = self._written.setdefault(uid, Written()).level(logging.WARNING, str(error))
            logger.log(level, "%s: %s", known.ref, error, extra=_fields(known.ref, known.trace.trace_id))
            self.again(uid, _AFTER_ERROR_S)
        else:
            self._written[uid].all_is_well()
        status = self._written.setdefault(uid, Written()).newer(read_status(body))
        self.leftovers.note(uid, known, self.gatherer.parse(body).batch, status)

    async def _look(self, look: Look, known: Known, ref: BatchRef, body: Body) -> None:
        uid = ref.uid
        written = self._written.setdefault(uid, Written())
        look.old = old = written.newer(read_status(body))
        parsed = self.gatherer.parse(body)
        if old is not None and old.phase.is_final and old != written.status:
            written.status = old  # ended before this operator started, or the answer to the last write got lost
            self.recorder.found(known, old, Totals(), known.final)
            self._end(known, ref, old)
        session = self._session(ref, parsed, old)
        observed = self.gatherer.observe(known, parsed, session, old, find_letters(self.sessions.cache, ref, parsed))
        decision = decide(observed, self.now())
        if session is not None:
            session.obey(decision.command, self.clock())
        if (refused := await self._act_all(look, decision.actions, observed, parsed, written)) is not None:
            decision = replace(decision, facts={**decision.facts, ConditionType.BLOCKED: refused})
            self.again(uid, _AFTER_REFUSAL_S)
        pace = self.gatherer.pace(session, old)
        written.hear(session)
        if old is not None and not self.recorder.knows(uid):
            self.recorder.found(known, old, pace.totals, known.final)
        decision = self.watcher.look(observed, decision, pace, self.clock(), self.now())
        status = self.outbox.noted(ref, status_of(observed, decision, pace, self.now()))
        has_written = await self._write(ref, body, old, status, written)
        if has_written and (old is None or not old.phase.is_final):  # of one that has ended, deliveries alone are news
            look.new = status
            self.recorder.wrote(known, status, pace.totals, observed.talk.final)
            if status.phase.is_final:
                self._end(known, ref, status)
        shown = status if has_written else old
        if shown is not None and observed.spec is not None:
            self.outbox.look(ref, observed.spec.notify, shown, self.clock())
        if decision.again_after_s is not None:
            self.again(uid, decision.again_after_s)
        if decision.phase is Phase.PLANNING and observed.spec is not None and observed.spec.input.dead_letters_of:
            self.again(uid, _LETTERS_EVERY_S)

    def _session(self, ref: BatchRef, parsed: Parsed, status: LLMBatchStatus | None) -> Session | None:
        if status is not None and status.phase.is_final:
            return None
        if parsed.resolved is None:
            return self.sessions.get(ref.uid)
        spec, before = parsed.resolved.spec, answered(status)
        return self.sessions.open(ref, spec, parsed.endpoint, answered_before=before, spent_before=spent(status))

    async def _act_all(
        self, look: Look, actions: tuple[Action, ...], observed: Observed, parsed: Parsed, written: Written
    ) -> Fact | None:
        """Do what was decided; what the API server will not have is for the user to know."""
        refused = None
        if observed.jobs and _is_news(observed, parsed, written):  # pods that start from now on are told
            assert parsed.resolved is not None
            refused = await _refusal(self._prepare(observed, parsed.resolved, written))
        for action in actions:
            with self.recorder.action(look, action) as outcome:
                failure = await _refusal(self._act(action, observed, parsed, written))
                outcome.is_refused = failure is not None
            refused = failure or refused
        return refused

    async def _act(self, action: Action, observed: Observed, parsed: Parsed, written: Written) -> None:
        ref, cache = observed.ref, self.sessions.cache
        level = written.level(logging.INFO, action_words(action))
        logger.log(level, "%s: %s", ref, action_words(action), extra=_fields(ref, observed.trace.trace_id))
        made: Body | None = None
        match action:
            case CreateJob():
                batch = parsed.resolved or parsed.batch  # without its LLMEndpoint it can still come to its end
                assert batch is not None
                await self._prepare(observed, batch, written)
                await self._give_keys(ref, batch, written)
                made = await self.kube.create_job(job(ref, batch, action, self.settings, observed.letters))
            case SetSuspend(name, False) if parsed.resolved is not None and observed.mark is not None:
                await self._prepare(observed, parsed.resolved, written)
                made = await self.kube.patch_job(ref.namespace, name, {"suspend": False}, observed.mark.annotations)
            case SetSuspend(name, suspend):
                made = await self.kube.patch_job(ref.namespace, name, {"suspend": suspend})
            case SetParallelism(name, parallelism):
                made = await self.kube.patch_job(ref.namespace, name, {"parallelism": parallelism})
            case DeleteJob(name):
                await self.kube.delete_job(ref.namespace, name)
            case DeleteBatch():
                await self.kube.delete_batch(ref)
            case _:
                assert_never(action)
        if made is not None:
            cache.put_job(made)

    async def _prepare(self, observed: Observed, batch: LLMBatch, written: Written) -> None:
        """Write down what pods are told, if they would be told something else by now."""
        letters = observed.letters
        if written.config is not batch or written.letters != letters:
            told = config_map(observed.ref, batch, self.settings, self.ca, observed.trace, letters)
            await self.kube.apply_config_map(told)
            written.config, written.letters = batch, letters

    async def _give_keys(self, ref: BatchRef, batch: LLMBatch, written: Written) -> None:
        """Leave the key to the results where those find it who may read the batch's Secrets, and that of deliveries."""
        if not written.has_secret:
            await self.kube.create_secret(results_key_secret(ref, batch_key(self.master_key, ref.uid)))
            written.has_secret = True
        if batch.spec.deliver is not None and not written.has_signing_key:
            await self.kube.create_secret(key_secret(self.master_key, ref.namespace))
            written.has_signing_key = True

    async def _write(
        self, ref: BatchRef, body: Body, old: LLMBatchStatus | None, new: LLMBatchStatus, written: Written
    ) -> bool:
        """Whether the status was written: not so if it is as it was, or only its numbers change too soon."""
        if old == new:
            written.shown()
            return False
        events = events_of(old, new)
        wait_s = written.at + self.status_every_s - self.clock()
        if not events and old is not None and old.phase is new.phase and wait_s > 0:  # only numbers have changed
            self.again(ref.uid, wait_s)
            return False
        if await self.kube.write_status(ref, new.dump()) is None:
            return False
        written.status, written.at = new, self.clock()
        if old is None or old.phase is not new.phase:
            logger.info("%s: %s", ref, new.phase, extra=_fields(ref, new.trace_id) | {"phase": new.phase.value})
        if (since := written.shown()) is not None:
            self.recorder.shown(written.at - since)
        for event in events:
            self.tell(body, event)
        return True

    @property
    def recorder(self) -> Recorder:
        """Told of everything that is worth a span or a number."""
        return self.sessions.recorder

    @property
    def status_every_s(self) -> float:
        """Seconds between two writes of one batch's numbers: more where very many batches run."""
        return max(STATUS_EVERY_S, len(self.sessions) / _STATUS_WRITES_PER_S)

    def _end(self, known: Known, ref: BatchRef, status: LLMBatchStatus) -> None:
        self.sessions.close(ref.uid)
        self.recorder.ended(known, status, self.sessions.cache)
        if status.output is not None or not answered(status):  # else the working objects alone have the answers
            self.on_ended(ref.uid)

    async def _clean_up(self, uid: str) -> None:
        """The batch is gone: let a Job remove what it has left."""
        try:
            await self.leftovers.remove(uid)
        except CallError as error:
            logger.warning("%s: %s", uid, error)
            self.again(uid, _AFTER_ERROR_S)

    def _forget(self, uid: str) -> None:
        self._written.pop(uid, None)
        self.gatherer.forget(uid)
        self.watcher.forget(uid)
        self.outbox.forget(uid)
        self.sessions.close(uid)
        self.recorder.gone(uid)
        self.on_gone(uid)


def _is_news(observed: Observed, parsed: Parsed, written: Written) -> bool:
    """Whether pods shall be told something else than was written down for them, maybe before this operator started."""
    if parsed.resolved is None or written.config is not None:
        return parsed.resolved is not None and (
            written.config is not parsed.resolved or written.letters != observed.letters
        )
    if observed.letters is not None and plan_of(observed) is None:
        return True  # nobody knows whether that batch has ended since
    if parsed.endpoint is not None and any(not job.is_at_rest for job in observed.jobs.values()):
        return True  # nobody knows whether its LLMEndpoint has changed since
    return observed.status is not None and observed.status.observed_generation != parsed.generation


async def _refusal(call: Awaitable[None]) -> Fact | None:
    """Wait for the call; what to tell if the API server will not have it. Raises CallError if it cannot."""
    try:
        await call
    except CallError as error:
        if error.status not in _REFUSALS:
            raise
        return Fact(True, Reason.REFUSED, str(error))
    return None


def _fields(ref: BatchRef, trace_id: str | None) -> dict[str, str | None]:
    """For a line of the log."""
    return {"namespace": ref.namespace, "batch": ref.name, "trace_id": trace_id}
