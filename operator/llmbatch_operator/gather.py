"""Puts together what a decision about one batch looks at, from the caches. Pure but for remembering parsed specs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from llmbatch_contract.errors import ManifestError
from llmbatch_contract.pods import Stage
from llmbatch_contract.progress import Totals
from llmbatch_contract.spec import Endpoint, LLMBatch, LLMBatchSpec
from llmbatch_contract.status import LLMBatchStatus
from llmbatch_contract.validation import check_manifest
from llmbatch_operator.cache import Cache, Known
from llmbatch_operator.endpoint_marks import mark_of
from llmbatch_operator.endpoints.known import Endpoints, KnownEndpoint
from llmbatch_operator.endpoints.resolving import resolve
from llmbatch_operator.facts import BatchRef, Body
from llmbatch_operator.observed import Down, Fact, Observed, Talk
from llmbatch_operator.places import Letters, letters_of, output_of
from llmbatch_operator.session import Session
from llmbatch_operator.status_of import Pace, has_caught_up

_ASKING = (Stage.CANARY, Stage.SHARD, Stage.RUN)


@dataclass(frozen=True)
class Parsed:
    """A batch as a model, or what is wrong with it."""

    generation: int
    batch: LLMBatch | None
    """As its users wrote it."""
    problems: str = ""
    resolved: LLMBatch | None = None
    """With the LLMEndpoint in place of a reference to it: what pods are told. None: that cannot be said.

    The same object as long as nothing in it changes.
    """
    endpoint: str | None = None
    """Name of the LLMEndpoint that it refers to."""
    endpoint_problem: Fact | None = None
    must_hold: bool = False
    """Nothing may be started or asked because of that problem."""


@dataclass
class Gatherer:
    """Reads caches."""

    clock: Callable[[], float] = time.monotonic
    endpoints: Endpoints = field(default_factory=Endpoints)
    _parsed: dict[str, tuple[KnownEndpoint | None, Parsed]] = field(default_factory=dict)
    """With the LLMEndpoint that it was resolved by."""
    _last: dict[str, Endpoint] = field(default_factory=dict)
    """What batches were given that refer to an LLMEndpoint, should that go."""

    def parse(self, body: Body) -> Parsed:
        """The batch of a body, parsed once a generation, and resolved whenever its LLMEndpoint changes."""
        metadata = body["metadata"]
        uid = metadata["uid"]
        by, known = self._parsed.get(uid, (None, None))
        if known is None or known.generation != metadata["generation"]:
            by, known = self._resolved(uid, parse_batch(body))
        elif known.endpoint is not None and self.endpoints.get(known.endpoint) is not by:
            by, known = self._resolved(uid, known)
        self._parsed[uid] = by, known
        return known

    def _resolved(self, uid: str, parsed: Parsed) -> tuple[KnownEndpoint | None, Parsed]:
        if parsed.batch is None or parsed.endpoint is None:
            return None, parsed
        endpoint = self.endpoints.get(parsed.endpoint)
        found = resolve(parsed.batch, endpoint, self._last.get(uid))
        if found.batch is not None:
            self._last[uid] = found.batch.spec.endpoint
        batch = parsed.resolved if parsed.resolved == found.batch else found.batch
        return endpoint, replace(parsed, resolved=batch, endpoint_problem=found.problem, must_hold=found.must_hold)

    def forget(self, uid: str) -> None:
        """The batch is gone."""
        self._parsed.pop(uid, None)
        self._last.pop(uid, None)

    def observe(
        self,
        known: Known,
        parsed: Parsed,
        session: Session | None,
        status: LLMBatchStatus | None,
        letters: Letters | None = None,
    ) -> Observed:
        """One batch at this moment. `status` is the latest that was written or seen."""
        assert known.ref is not None
        assert known.trace is not None
        assert known.body is not None
        jobs = {job.stage: job for job in known.jobs.values() if not job.is_deleting}
        # One that is not known to be ours may be of a Job that went before a restart: it may still ask.
        pods = tuple(p for p in known.pods.values() if p.phase != "Succeeded" and (known.owns(p) or not p.is_over))
        talk = self._talk(session, {p.name for p in pods if p.stage in _ASKING and p.phase == "Running"})
        if session is None and parsed.must_hold:
            # As after a restart: nobody is there to tell pods to drain, or to hear what was finalized.
            talk = replace(talk, is_drained=True, final=known.final)
        return Observed(
            ref=known.ref,
            generation=parsed.generation,
            spec=spec_of(parsed),
            problems=parsed.problems,
            trace=known.trace,
            status=status,
            jobs=jobs,
            pods=pods,
            talk=talk,
            canary=known.canary,
            mark=mark_of(parsed.resolved.spec.endpoint) if parsed.resolved is not None else None,
            endpoint_problem=parsed.endpoint_problem,
            must_hold_for_endpoint=parsed.must_hold,
            output=output_of(known.body),
            letters=letters,
        )

    def pace(self, session: Session | None, status: LLMBatchStatus | None) -> Pace:
        """How the batch goes."""
        if session is None:
            return Pace(Totals())
        totals = session.progress.totals()
        if has_caught_up(totals, status):  # what is heard anew after a restart was not done in a moment
            session.speed.note(self.clock(), totals.finished)
        session.has_changed = False
        return Pace(
            totals=totals,
            in_flight=session.in_flight + totals.unwritten_succeeded + totals.unwritten_failed,
            shards_done=session.progress.shards_done,
            items_per_second=session.speed.per_second,
        )

    def _talk(self, session: Session | None, workers: set[str]) -> Talk:
        if session is None:
            return Talk()
        now, since = self.clock(), session.paused_since
        endpoint = session.pool.facts(now)
        return Talk(
            plan=session.plan,
            final=session.final,
            stop=session.stop,
            stop_is_policy=session.stop is not None and session.stopped_by_worker is None,
            paused_s=None if since is None else now - since,
            is_drained=since is not None and session.is_drained(workers),
            store_full=session.store_full,
            store_trouble=session.store_trouble,
            down=Down(endpoint.down_since_s or 0.0, endpoint.trouble) if endpoint.is_down else None,
            has_answered=endpoint.has_answered,
            spent=session.coordinator.spent,
            budget_is_spent=session.coordinator.budget_is_spent,
            waits_for=session.waits_for(now),
        )


def parse_batch(body: Body) -> Parsed:
    """Read a batch as the API server has it."""
    generation = body["metadata"]["generation"]
    document = {name: body[name] for name in ("apiVersion", "kind", "metadata", "spec") if name in body}
    try:
        batch = check_manifest(document, "spec")
    except ManifestError as error:
        return Parsed(generation, None, error.sentences)
    endpoint = batch.spec.endpoint.ref
    return Parsed(generation, batch, resolved=None if endpoint is not None else batch, endpoint=endpoint)


def find_letters(cache: Cache, ref: BatchRef, parsed: Parsed) -> Letters | None:
    """The dead letters that the batch asks about, if they are not in the built-in store."""
    asks_about = parsed.batch.spec.input.dead_letters_of if parsed.batch is not None else None
    uid = cache.uid_of(ref.namespace, asks_about.name) if asks_about is not None else None
    known = cache.get(uid) if uid is not None else None
    return letters_of(known.body) if known is not None and known.body is not None else None


def spec_of(parsed: Parsed) -> LLMBatchSpec | None:
    """What is known of a batch's spec: with its LLMEndpoint in place, if that was found."""
    batch = parsed.resolved or parsed.batch
    return batch.spec if batch is not None else None


def read_status(body: Body) -> LLMBatchStatus | None:
    """The status of a body; None where there is none."""
    status = body.get("status")
    return LLMBatchStatus.model_validate(status) if status and "phase" in status else None
