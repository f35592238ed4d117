"""What to do about one batch: the state machine. Pure; `docs/states.md` draws it.

`decide` asks the rules in order; the first that has something to say decides. Every action is safe to repeat, and the
decision is made anew from what is seen, so nothing is lost by a restart in between.
"""

from collections.abc import Callable
from datetime import datetime

from llmbatch_contract.pods import Stage
from llmbatch_contract.reports import Command, PlanFacts
from llmbatch_contract.status import ConditionType, Phase, Reason
from llmbatch_operator.blocked import what_blocks
from llmbatch_operator.ending import final_phase, seconds_to_deadline, stop_reason, why_it_ends_early
from llmbatch_operator.observed import (
    Action,
    CreateJob,
    Decision,
    DeleteBatch,
    DeleteJob,
    Fact,
    Observed,
    SetParallelism,
    SetSuspend,
)

SOLO_ITEMS = 100
"""Up to so many inline items, one pod does everything: a second one would start later than the first is done."""
DRAIN_S = 20.0
"""How long requests in flight may take to end when a batch is held or ended."""
_SOON_S = 1.0
_ASKING = (Stage.SHARD, Stage.RUN)
_NO_LONGER = {ConditionType.BLOCKED: Fact(False, Reason.NOT_BLOCKED, "nothing is in the way any more")}
_INVALID_KINDS = frozenset(
    ("InvalidError", "InputError", "DuplicateIdError", "ManifestError", "InputMissingError", "InputChangedError")
)


def decide(o: Observed, now: datetime) -> Decision:
    """The decision about a batch at `now`."""
    for rule in _RULES:
        if (decision := rule(o, now)) is not None:
            return decision
    raise AssertionError("the last rule always decides")  # pragma: no cover


def _has_ended(o: Observed, now: datetime) -> Decision | None:
    if o.status is None or not o.status.phase.is_final:
        return None
    left = _seconds_to_live(o, now)
    actions: tuple[Action, ...] = (DeleteBatch(),) if left is not None and left <= 0 else ()
    return Decision(o.status.phase, actions, again_after_s=left if left and left > 0 else None)


def _never_began_and_never_will(o: Observed, now: datetime) -> Decision | None:
    if o.spec is not None or o.status is not None:
        return None
    return _failed(Fact(True, Reason.INVALID_SPEC, f"{o.problems}; delete the batch and apply a correct one"))


def _outputs_are_written(o: Observed, now: datetime) -> Decision | None:
    stages = [s for s in (Stage.FINALIZE, Stage.RUN) if s in o.jobs and o.jobs[s].is_complete]
    if not stages or o.talk.final is None:
        return None
    final = o.talk.final
    if (stopping := o.condition(ConditionType.STOPPING)) is not None and Stage.FINALIZE in stages:
        return _ended_early(Fact(True, stopping.reason, stopping.message))
    counts = f"{final.succeeded:,} of {final.items:,} items succeeded, {final.failed:,} failed"
    if final.failed:
        return _done(o, Phase.COMPLETED_WITH_ERRORS, Fact(True, Reason.COMPLETED_WITH_ERRORS, counts))
    return _done(o, Phase.SUCCEEDED, Fact(True, Reason.SUCCEEDED, counts))


def _input_cannot_be_used(o: Observed, now: datetime) -> Decision | None:
    for stage in (Stage.PLAN, Stage.RUN):
        job, error = o.jobs.get(stage), o.error_of(stage)
        if job is None or job.failure is None or o.talk.stop is not None:
            continue
        if error is not None and error.kind in _INVALID_KINDS and _plan(o) is None:
            reason = Reason.INPUT_MISSING if error.kind == "InputMissingError" else Reason.INPUT_INVALID
            return _failed(Fact(True, reason, error.message))
        if stage is Stage.PLAN:
            return _failed(Fact(True, Reason.WORKERS_FAILED, f"planning failed: {o.why_failed(stage)}"))
    return None


def _outputs_cannot_be_written(o: Observed, now: datetime) -> Decision | None:
    job = o.jobs.get(Stage.FINALIZE)
    if job is None or job.failure is None:
        return None
    error, detail = o.error_of(Stage.FINALIZE), o.why_failed(Stage.FINALIZE)
    if (stopping := o.condition(ConditionType.STOPPING)) is not None:
        fact = Fact(True, stopping.reason, f"{stopping.message}; there are no outputs: {detail}")
        return _ended_early(fact)
    reason = Reason.INVARIANT_BROKEN if error is not None and error.kind == "InvariantError" else Reason.WORKERS_FAILED
    return _failed(Fact(True, reason, f"finalizing failed: {detail}"))


def _ends_early(o: Observed, now: datetime) -> Decision | None:
    fact = why_it_ends_early(o, now)
    if fact is None or (Stage.FINALIZE in o.jobs and o.condition(ConditionType.STOPPING) is None):
        return None  # finalizing asks nothing any more, so it goes on
    facts = {ConditionType.STOPPING: fact} | _not_suspended(o)
    if (halting := _halt(o, facts)) is not None:
        return halting
    if o.condition(ConditionType.STOPPING) is None:  # written down first: a Job that is there would look like success
        return Decision(Phase.FINALIZING, (), facts | _blocked(o), again_after_s=_SOON_S)
    actions = _started(o, CreateJob(Stage.FINALIZE, stop=stop_reason(fact)))
    return Decision(Phase.FINALIZING, actions, facts | _blocked(o))


def _is_held(o: Observed, now: datetime) -> Decision | None:
    is_asked_for = o.spec.suspend if o.spec is not None else o.condition(ConditionType.SUSPENDED) is not None
    if not is_asked_for or Stage.FINALIZE in o.jobs:
        return None
    if (halting := _halt(o, {})) is not None:
        return halting
    facts = {ConditionType.SUSPENDED: Fact(True, Reason.SUSPENDED, "spec.suspend is set; no pods run")}
    return Decision(Phase.SUSPENDED, (), facts | _blocked(o), Command.PAUSE, seconds_to_deadline(o, now))


def _goes_on_in_one_pod(o: Observed, now: datetime) -> Decision | None:
    if Stage.RUN not in o.jobs and (o.jobs or o.spec is None or not is_small(o)):
        return None
    return _going(o, now, Phase.PLANNING if _plan(o) is None else Phase.RUNNING, CreateJob(Stage.RUN))


def _is_being_planned(o: Observed, now: datetime) -> Decision | None:
    if _plan(o) is not None:
        return None
    return _going(o, now, Phase.PLANNING, CreateJob(Stage.PLAN))


def _shards_are_asked(o: Observed, now: datetime) -> Decision | None:
    plan, job = _plan(o), o.jobs.get(Stage.SHARD)
    assert plan is not None
    if Stage.FINALIZE in o.jobs or plan.items == 0 or (job is not None and job.is_complete):
        return None
    pods = min(o.spec.parallelism if o.spec is not None else 1, plan.shards)
    going = _going(o, now, Phase.RUNNING, CreateJob(Stage.SHARD, plan.shards, pods))
    if job is None or o.spec is None or job.parallelism == pods:
        return going
    return _with_action(going, SetParallelism(job.name, pods))


def _is_finalized(o: Observed, now: datetime) -> Decision:
    return _going(o, now, Phase.FINALIZING, CreateJob(Stage.FINALIZE))


_RULES: tuple[Callable[[Observed, datetime], Decision | None], ...] = (
    _has_ended,  # only its time to live still counts
    _never_began_and_never_will,  # the spec is wrong in a way that the API server did not see
    _outputs_are_written,  # succeeded, completed with errors, or ended early with partial outputs
    _input_cannot_be_used,  # planning has failed
    _outputs_cannot_be_written,  # finalizing has failed
    _ends_early,  # cancel, deadline, a stopping failure, dying pods: halt, then finalize
    _is_held,  # suspend: halt
    _goes_on_in_one_pod,  # small inline input
    _is_being_planned,
    _shards_are_asked,
    _is_finalized,
)


def is_small(o: Observed) -> bool:
    """Whether one pod does everything."""
    spec = o.spec
    return spec is not None and spec.input.items is not None and len(spec.input.items) <= SOLO_ITEMS


def _plan(o: Observed) -> PlanFacts | None:
    """What was planned, by a pod or, after that is gone, by the status."""
    if o.talk.plan is not None:
        return o.talk.plan
    if o.condition(ConditionType.PLANNED) is None or o.status is None or o.status.items is None:
        return None
    shards = o.status.shards.total if o.status.shards is not None else 1
    return PlanFacts(items=o.status.items.total, shards=shards)


def _going(o: Observed, now: datetime, phase: Phase, create: CreateJob) -> Decision:
    """Let a stage go on, and say so."""
    facts = _not_suspended(o) | _blocked(o)
    if (plan := _plan(o)) is not None:
        told = f"{_count(plan.items, 'item')} in {_count(plan.shards, 'shard')}"
        misfits = f"; the templates do not fit {plan.misfits:,} or more: {plan.first_misfit}" if plan.misfits else ""
        if o.condition(ConditionType.PLANNED) is None:
            facts[ConditionType.PLANNED] = Fact(True, Reason.PLANNED, told + misfits)
    return Decision(phase, _started(o, create), facts, Command.RUN, seconds_to_deadline(o, now))


def _started(o: Observed, create: CreateJob) -> tuple[Action, ...]:
    """What makes a stage's Job run: create it, or wake it; or nothing, and it is waited for.

    One that is complete has left nothing to wait for, if its pod was gone before it was heard: it is run again, and
    finds in the store what it did. Nothing is started by a spec that is not valid.
    """
    job = o.jobs.get(create.stage)
    if o.spec is None:
        return ()
    if job is None:
        return (create,)
    if job.is_complete:
        return (DeleteJob(job.name),) if o.is_at_rest(create.stage) else ()
    return (SetSuspend(job.name, False),) if job.is_suspended and not job.is_finished else ()


def _count(number: int, of: str) -> str:
    return f"{number:,} {of}" if number == 1 else f"{number:,} {of}s"


def _halt(o: Observed, facts: dict[ConditionType, Fact]) -> Decision | None:
    """Let pods that ask finish what is in flight, then end all pods; None when none is left."""
    stages = [s for s in (Stage.PLAN, *_ASKING) if not o.is_at_rest(s)]
    if not stages:
        return None
    is_ready = o.talk.is_drained or (o.talk.paused_s or 0) >= DRAIN_S
    jobs = [o.jobs[stage] for stage in stages if stage in o.jobs]
    actions = tuple(
        SetSuspend(job.name, True)
        for job in jobs
        if not job.is_suspended and not job.is_finished and (is_ready or job.stage is Stage.PLAN)
    )
    phase = Phase.PLANNING if _plan(o) is None else Phase.RUNNING
    return Decision(phase, actions, facts | _blocked(o), Command.PAUSE, _SOON_S)


def _blocked(o: Observed) -> dict[ConditionType, Fact]:
    if (fact := what_blocks(o)) is not None:
        return {ConditionType.BLOCKED: fact}
    if o.condition(ConditionType.BLOCKED) is not None:
        return _NO_LONGER
    return {}


def _not_suspended(o: Observed) -> dict[ConditionType, Fact]:
    if o.condition(ConditionType.SUSPENDED) is None:
        return {}
    return {ConditionType.SUSPENDED: Fact(False, Reason.RESUMED, "pods may run again")}


def _with_action(decision: Decision, action: Action) -> Decision:
    return Decision(
        decision.phase, (*decision.actions, action), decision.facts, decision.command, decision.again_after_s
    )


def _done(o: Observed, phase: Phase, fact: Fact) -> Decision:
    facts = {ConditionType.COMPLETE: fact} | _NO_LONGER
    if o.condition(ConditionType.STOPPING) is not None:
        facts[ConditionType.STOPPING] = Fact(False, fact.reason, "all was done before the pods could be stopped")
    return Decision(phase, (), facts)


def _failed(fact: Fact) -> Decision:
    return Decision(Phase.FAILED, (), {ConditionType.FAILED: fact} | _NO_LONGER)


def _ended_early(fact: Fact) -> Decision:
    phase = final_phase(fact)
    ended = ConditionType.CANCELLED if phase is Phase.CANCELLED else ConditionType.FAILED
    return Decision(phase, (), {ended: fact} | _NO_LONGER)


def _seconds_to_live(o: Observed, now: datetime) -> float | None:
    if o.spec is None or o.spec.ttl_seconds_after_finished is None or o.status is None:
        return None
    if o.status.completion_time is None:
        return None
    return o.spec.ttl_seconds_after_finished - (now - o.status.completion_time).total_seconds()
