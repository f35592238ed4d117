"""What rules of the state machine have in common: let a stage go on, or let all pods end. Pure.

Called by `decide`.
"""

from dataclasses import replace
from datetime import datetime

from llmbatch_contract.pods import Stage
from llmbatch_contract.reports import Command, PlanFacts
from llmbatch_contract.status import ConditionType, Phase, Reason
from llmbatch_operator.blocked import seconds_in_doubt, what_blocks
from llmbatch_operator.budget import budget_is_raised
from llmbatch_operator.canary import canary_verdict, is_canary
from llmbatch_operator.down import endpoint_is_down
from llmbatch_operator.ending import seconds_to_deadline
from llmbatch_operator.observed import Action, CreateJob, Decision, DeleteJob, Fact, Observed, SetSuspend
from llmbatch_operator.planned import plan_of
from llmbatch_operator.replacing import wants_another_job
from llmbatch_operator.shown import count, readable_bytes
from llmbatch_operator.window import closes_at

DRAIN_S = 20.0
"""How long requests in flight may take to end when a batch is held or ended."""
SOON_S = 1.0
_ASKING = (Stage.CANARY, Stage.SHARD, Stage.RUN)
_MOST_S = 600.0
NO_LONGER = {ConditionType.BLOCKED: Fact(False, Reason.NOT_BLOCKED, "nothing is in the way any more")}

Facts = dict[ConditionType, Fact]


def going(o: Observed, now: datetime, phase: Phase, create: CreateJob) -> Decision:
    """Let a stage go on, and say so."""
    facts = not_suspended(o) | no_longer_in_the_way(o) | endpoint_is_down(o) | in_the_way(o, now)
    if (plan := plan_of(o)) is not None:
        told = f"{count(plan.items, 'item')} in {count(plan.shards, 'shard')}{_found(plan)}"
        misfits = f"; the templates do not fit {plan.misfits:,} or more: {plan.first_misfit}" if plan.misfits else ""
        if o.condition(ConditionType.PLANNED) is None:
            facts[ConditionType.PLANNED] = Fact(True, Reason.PLANNED, told + misfits)
    return Decision(phase, started(o, create), facts, Command.RUN, _seconds_to_change(o, now))


def started(o: Observed, create: CreateJob) -> tuple[Action, ...]:
    """What makes a stage's Job run: create it, or wake it; or nothing, and it is waited for.

    One that is complete has left nothing to wait for, if its pod was gone before it was heard: it is run again, and
    finds in the store what it did. Nothing is started by a spec that is not valid.
    """
    job = o.jobs.get(create.stage)
    if o.spec is None:
        return ()
    if job is None:
        return (create,)
    if job.is_complete or wants_another_job(o, job):
        return (DeleteJob(job.name),) if o.is_at_rest(create.stage) else ()
    return (SetSuspend(job.name, False),) if job.is_suspended and not job.is_finished else ()


def halt(o: Observed, facts: Facts, now: datetime) -> Decision | None:
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
    return Decision(_working_phase(o), actions, facts | in_the_way(o, now), Command.PAUSE, SOON_S)


def in_the_way(o: Observed, now: datetime) -> Facts:
    """What blocks it, or that nothing does any more."""
    if (fact := what_blocks(o, now)) is not None:
        return {ConditionType.BLOCKED: fact}
    if o.condition(ConditionType.BLOCKED) is not None:
        return NO_LONGER
    return {}


def no_longer_in_the_way(o: Observed) -> Facts:
    """What has come right, though something else may hold it still: its budget is raised, its canary approved."""
    return budget_is_raised(o) | _canary_is_well(o)


def not_suspended(o: Observed) -> Facts:
    """That it is not held any more."""
    if o.condition(ConditionType.SUSPENDED) is None:
        return {}
    return {ConditionType.SUSPENDED: Fact(False, Reason.RESUMED, "pods may run again")}


def with_action(decision: Decision, action: Action) -> Decision:
    """The decision, and one more thing to do."""
    return replace(decision, actions=(*decision.actions, action))


def soonest(*seconds: float | None) -> float | None:
    """The least of those that are known."""
    return min((s for s in seconds if s is not None), default=None)


def _found(plan: PlanFacts) -> str:
    """What the input turned out to be."""
    if not plan.format:
        return ""
    packed = f", {plan.packing}" if plan.packing not in ("", "none") else ""
    objects = f", {count(plan.objects, 'object')}, {readable_bytes(plan.bytes)}" if plan.objects else ""
    return f" ({plan.format}{packed}{objects})"


def _working_phase(o: Observed) -> Phase:
    if plan_of(o) is None:
        return Phase.PLANNING
    return Phase.CANARY if is_canary(o) else Phase.RUNNING


def _canary_is_well(o: Observed) -> Facts:
    verdict = canary_verdict(o)
    return {ConditionType.CANARY_PASSED: verdict} if verdict is not None and verdict.holds else {}


def _seconds_to_change(o: Observed, now: datetime) -> float | None:
    """Until the deadline comes, the window closes, or a new try has not failed as the one before."""
    window = o.spec.window if o.spec is not None else None
    closes = closes_at(window, now) if window is not None else None
    left_s = None if closes is None else min(_MOST_S, (closes - now).total_seconds())
    return soonest(seconds_to_deadline(o, now), left_s, seconds_in_doubt(o, now))
