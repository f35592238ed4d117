"""What to do about one batch: the state machine. Pure; `docs/states.md` draws it.

`decide` asks the rules in order; the first that has something to say decides. Every action is safe to repeat, and the
decision is made anew from what is seen, so nothing is lost by a restart in between.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from llmbatch_contract.pods import FinalCounts, Stage
from llmbatch_contract.reports import Command
from llmbatch_contract.status import ConditionType, Phase, Reason
from llmbatch_operator.blocked import PLACE_REASONS, seconds_in_doubt
from llmbatch_operator.canary import canary_result, is_canary
from llmbatch_operator.down import nobody_asks_it
from llmbatch_operator.ending import final_phase, seconds_to_deadline, stop_reason, why_it_ends_early
from llmbatch_operator.holds import what_holds
from llmbatch_operator.observed import (
    Action,
    CreateJob,
    Decision,
    DeleteBatch,
    DeleteJob,
    Fact,
    Observed,
    SetParallelism,
)
from llmbatch_operator.planned import plan_of
from llmbatch_operator.replacing import asks_elsewhere
from llmbatch_operator.shown import count
from llmbatch_operator.steps import (
    NO_LONGER,
    SOON_S,
    going,
    halt,
    in_the_way,
    no_longer_in_the_way,
    not_suspended,
    soonest,
    started,
    with_action,
)

SOLO_ITEMS = 100
"""Up to so many inline items, one pod does everything: a second one would start later than the first is done."""
_TAKEN = {"OutputTakenError": Reason.OUTPUT_TAKEN}
_INVALID_KINDS = ("InvalidError", "InputError", "DuplicateIdError", "ManifestError", "InputChangedError")
_NO_OUTPUT_REASONS = PLACE_REASONS | _TAKEN | {"InvariantError": Reason.INVARIANT_BROKEN}
"""Why its outputs are not written, by the error of the last pod that tried."""
_END_REASONS = PLACE_REASONS | dict.fromkeys(_INVALID_KINDS, Reason.INPUT_INVALID) | _TAKEN
"""Why a batch cannot begin, by the error of the last pod that tried to plan it."""


def decide(o: Observed, now: datetime) -> Decision:
    """The decision about a batch at `now`."""
    for rule in _RULES:
        if (decision := rule(o, now)) is not None:
            return decision if decision.phase.is_final else replace(decision, canary=canary_result(o))
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
    ended = _how_it_ended(o, final, stages)
    return replace(ended, facts=ended.facts | _delivered(final))


def _how_it_ended(o: Observed, final: FinalCounts, stages: Sequence[Stage]) -> Decision:
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
        if error is not None and (reason := _END_REASONS.get(error.kind)) is not None and plan_of(o) is None:
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
    reason = _NO_OUTPUT_REASONS.get(error.kind if error is not None else "", Reason.WORKERS_FAILED)
    return _failed(Fact(True, reason, f"finalizing failed: {detail}"))


def _ends_early(o: Observed, now: datetime) -> Decision | None:
    fact = why_it_ends_early(o, now)
    if fact is None or (Stage.FINALIZE in o.jobs and o.condition(ConditionType.STOPPING) is None):
        return None  # finalizing asks nothing any more, so it goes on
    facts = {ConditionType.STOPPING: fact} | not_suspended(o)
    if (halting := halt(o, facts, now)) is not None:
        return halting
    if o.condition(ConditionType.STOPPING) is None:  # written down first: a Job that is there would look like success
        return Decision(Phase.FINALIZING, (), facts | in_the_way(o, now), again_after_s=SOON_S)
    actions = started(o, CreateJob(Stage.FINALIZE, stop=stop_reason(fact)))
    return Decision(Phase.FINALIZING, actions, facts | in_the_way(o, now), again_after_s=seconds_in_doubt(o, now))


def _is_held(o: Observed, now: datetime) -> Decision | None:
    hold = what_holds(o, now)
    if hold is None or Stage.FINALIZE in o.jobs:
        return None
    if (halting := halt(o, hold.more, now)) is not None:
        return replace(halting, waiting_for=hold.waiting_for)
    facts = {ConditionType.SUSPENDED: hold.fact} | no_longer_in_the_way(o) | nobody_asks_it(o) | hold.more
    again_after_s = soonest(seconds_to_deadline(o, now), hold.again_after_s)
    return Decision(hold.phase, (), facts | in_the_way(o, now), Command.PAUSE, again_after_s, hold.waiting_for)


def _pods_are_replaced(o: Observed, now: datetime) -> Decision | None:
    return halt(o, not_suspended(o), now) if asks_elsewhere(o) else None


def _goes_on_in_one_pod(o: Observed, now: datetime) -> Decision | None:
    if Stage.RUN not in o.jobs and (o.jobs or not is_small(o)):
        return None
    return going(o, now, Phase.PLANNING if plan_of(o) is None else Phase.RUNNING, CreateJob(Stage.RUN))


def _is_being_planned(o: Observed, now: datetime) -> Decision | None:
    if plan_of(o) is not None:
        return None
    decision = going(o, now, Phase.PLANNING, CreateJob(Stage.PLAN))
    job = o.jobs.get(Stage.PLAN)
    if job is None or job.is_finished or o.spec is None or job.letters_mark == o.letters_mark:
        return decision
    return with_action(decision, DeleteJob(job.name))  # its pods could not read the dead letters where they are


def _canary_is_asked(o: Observed, now: datetime) -> Decision | None:
    return going(o, now, Phase.CANARY, CreateJob(Stage.CANARY)) if is_canary(o) else None


def _shards_are_asked(o: Observed, now: datetime) -> Decision | None:
    plan, job = plan_of(o), o.jobs.get(Stage.SHARD)
    assert plan is not None
    if Stage.FINALIZE in o.jobs or plan.items == 0 or (job is not None and job.is_complete):
        return None
    pods = min(o.spec.parallelism if o.spec is not None else 1, plan.shards)
    decision = going(o, now, Phase.RUNNING, CreateJob(Stage.SHARD, plan.shards, pods))
    if job is None or o.spec is None or job.parallelism == pods:
        return decision
    return with_action(decision, SetParallelism(job.name, pods))


def _is_finalized(o: Observed, now: datetime) -> Decision:
    return going(o, now, Phase.FINALIZING, CreateJob(Stage.FINALIZE))


_RULES: tuple[Callable[[Observed, datetime], Decision | None], ...] = (
    _has_ended,  # only its time to live still counts
    _never_began_and_never_will,  # the spec is wrong in a way that the API server did not see
    _outputs_are_written,  # succeeded, completed with errors, or ended early with partial outputs
    _input_cannot_be_used,  # planning has failed
    _outputs_cannot_be_written,  # finalizing has failed
    _ends_early,  # cancel, deadline, a stopping failure, dying pods: halt, then finalize
    _is_held,  # suspend, endpoint, canary, budget, window: halt
    _pods_are_replaced,  # the endpoint has another URL or key: halt, then go on
    _goes_on_in_one_pod,  # small inline input
    _is_being_planned,
    _canary_is_asked,  # a few items first
    _shards_are_asked,
    _is_finalized,
)


def is_small(o: Observed) -> bool:
    """Whether one pod does everything. A canary is looked at before the rest is asked, so it takes a Job of its own."""
    spec = o.spec
    has_few = spec is not None and spec.input.items is not None and len(spec.input.items) <= SOLO_ITEMS
    return has_few and spec is not None and spec.canary is None


def _done(o: Observed, phase: Phase, fact: Fact) -> Decision:
    facts = {ConditionType.COMPLETE: fact} | NO_LONGER
    if o.condition(ConditionType.STOPPING) is not None:
        facts[ConditionType.STOPPING] = Fact(False, fact.reason, "all was done before the pods could be stopped")
    return Decision(phase, (), facts)


def _delivered(final: FinalCounts) -> dict[ConditionType, Fact]:
    """What became of `spec.deliver`. How the batch has ended does not depend on it."""
    if final.delivered is None:
        return {}
    taken = f"{count(final.delivered, 'result')} delivered"
    if not final.undelivered:
        return {ConditionType.DELIVERED: Fact(True, Reason.DELIVERED, taken)}
    lost = f"{final.undelivered:,} in undelivered.jsonl: {final.delivery_error or 'the receiver did not take them'}"
    return {ConditionType.DELIVERED: Fact(False, Reason.NOT_DELIVERED, f"{taken}, {lost}")}


def _failed(fact: Fact) -> Decision:
    return Decision(Phase.FAILED, (), {ConditionType.FAILED: fact} | NO_LONGER)


def _ended_early(fact: Fact) -> Decision:
    phase = final_phase(fact)
    ended = ConditionType.CANCELLED if phase is Phase.CANCELLED else ConditionType.FAILED
    return Decision(phase, (), {ended: fact} | NO_LONGER)


def _seconds_to_live(o: Observed, now: datetime) -> float | None:
    if o.spec is None or o.spec.ttl_seconds_after_finished is None or o.status is None:
        return None
    if o.status.completion_time is None:
        return None
    return o.spec.ttl_seconds_after_finished - (now - o.status.completion_time).total_seconds()
