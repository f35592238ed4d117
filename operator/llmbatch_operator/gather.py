"""Puts together what a decision about one batch looks at, from the caches. Pure but for remembering parsed specs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from llmbatch_contract.errors import ManifestError
from llmbatch_contract.pods import Stage
from llmbatch_contract.progress import Totals
from llmbatch_contract.spec import LLMBatch
from llmbatch_contract.status import LLMBatchStatus
from llmbatch_contract.validation import check_manifest
from llmbatch_operator.cache import Known
from llmbatch_operator.facts import Body
from llmbatch_operator.observed import Observed, Talk
from llmbatch_operator.session import Session
from llmbatch_operator.status_of import Pace, has_caught_up

_ASKING = (Stage.SHARD, Stage.RUN)


@dataclass(frozen=True)
class Parsed:
    """A batch as a model, or what is wrong with it."""

    generation: int
    batch: LLMBatch | None
    problems: str = ""


@dataclass
class Gatherer:
    """Reads caches."""

    clock: Callable[[], float] = time.monotonic
    _parsed: dict[str, Parsed] = field(default_factory=dict)

    def parse(self, body: Body) -> Parsed:
        """The batch of a body, parsed once a generation."""
        metadata = body["metadata"]
        known = self._parsed.get(metadata["uid"])
        if known is None or known.generation != metadata["generation"]:
            known = self._parsed[metadata["uid"]] = parse_batch(body)
        return known

    def forget(self, uid: str) -> None:
        """The batch is gone."""
        self._parsed.pop(uid, None)

    def observe(self, known: Known, parsed: Parsed, session: Session | None, status: LLMBatchStatus | None) -> Observed:
        """One batch at this moment. `status` is the latest that was written or seen."""
        assert known.ref is not None
        assert known.trace is not None
        jobs = {job.stage: job for job in known.jobs.values() if not job.is_deleting}
        # One that is not known to be ours may be of a Job that went before a restart: it may still ask.
        pods = tuple(p for p in known.pods.values() if p.phase != "Succeeded" and (known.owns(p) or not p.is_over))
        return Observed(
            ref=known.ref,
            generation=parsed.generation,
            spec=parsed.batch.spec if parsed.batch is not None else None,
            problems=parsed.problems,
            trace=known.trace,
            status=status,
            jobs=jobs,
            pods=pods,
            talk=self._talk(session, {p.name for p in pods if p.stage in _ASKING and p.phase == "Running"}),
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
        since = session.paused_since
        return Talk(
            plan=session.plan,
            final=session.final,
            stop=session.stop,
            stop_is_policy=session.stop is not None and session.stopped_by_worker is None,
            paused_s=None if since is None else self.clock() - since,
            is_drained=since is not None and session.is_drained(workers),
            store_full=session.store_full,
        )


def parse_batch(body: Body) -> Parsed:
    """Read a batch as the API server has it."""
    generation = body["metadata"]["generation"]
    document = {name: body[name] for name in ("apiVersion", "kind", "metadata", "spec") if name in body}
    try:
        return Parsed(generation, check_manifest(document, "spec"))
    except ManifestError as error:
        sentences = "; ".join(f"{p.path}: {p.message}" if p.path else p.message for p in error.problems)
        return Parsed(generation, None, sentences)


def read_status(body: Body) -> LLMBatchStatus | None:
    """The status of a body; None where there is none."""
    status = body.get("status")
    return LLMBatchStatus.model_validate(status) if status and "phase" in status else None
