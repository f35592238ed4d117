"""What is known of a batch's plan, and whether there is anything left to ask. Pure."""

from llmbatch_contract.pods import Stage
from llmbatch_contract.reports import PlanFacts
from llmbatch_contract.status import ConditionType
from llmbatch_operator.observed import Observed


def plan_of(o: Observed) -> PlanFacts | None:
    """What was planned, by a pod or, after that is gone, by the status."""
    if o.talk.plan is not None:
        return o.talk.plan
    if o.condition(ConditionType.PLANNED) is None or o.status is None or o.status.items is None:
        return None
    shards = o.status.shards.total if o.status.shards is not None else 1
    found = {} if o.status.input is None else o.status.input.model_dump()
    return PlanFacts(items=o.status.items.total, shards=shards, **found)


def all_is_asked(o: Observed) -> bool:
    """Nothing more will be asked: what is left is to write the outputs."""
    plan, jobs = plan_of(o), [o.jobs[stage] for stage in (Stage.SHARD, Stage.RUN) if stage in o.jobs]
    is_empty = plan is not None and plan.items == 0
    return is_empty or Stage.FINALIZE in o.jobs or any(job.is_complete for job in jobs)
