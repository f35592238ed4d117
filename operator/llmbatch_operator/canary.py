"""The canary: a few items that are asked before all others, what they show, and whether the batch may go on. Pure."""

from llmbatch_contract.pods import CanaryCounts, Stage
from llmbatch_contract.reports import PlanFacts
from llmbatch_contract.spec import Approval, LLMBatchSpec
from llmbatch_contract.status import CanaryResult, ConditionType, Reason
from llmbatch_contract.usage import Usage
from llmbatch_operator.observed import Fact, Observed
from llmbatch_operator.planned import plan_of
from llmbatch_operator.shown import cost_of, count, duration, rounded


def is_canary(o: Observed) -> bool:
    """Whether the canary is what comes next, or is at work."""
    if Stage.SHARD in o.jobs or Stage.FINALIZE in o.jobs or Stage.RUN in o.jobs:
        return False
    if not o.is_at_rest(Stage.CANARY):  # its shards are no other pod's until it has left them
        return True
    if o.spec is None:
        return Stage.CANARY in o.jobs and canary_result(o) is None
    plan = plan_of(o)
    return o.spec.canary is not None and plan is not None and plan.items > 0 and canary_result(o) is None


def canary_result(o: Observed) -> CanaryResult | None:
    """What it has shown, once it is over. What the status says stands."""
    if o.status is not None and o.status.canary is not None:
        return o.status.canary
    plan = plan_of(o)
    if o.canary is None or o.spec is None or plan is None:
        return None
    return projected(o.canary, plan, o.spec)


def canary_verdict(o: Observed) -> Fact | None:
    """Whether the batch may go on; None where there is nothing to say: no canary, not over yet, or known to be well."""
    result = canary_result(o)
    if o.spec is None or o.spec.canary is None or result is None or o.condition(ConditionType.CANARY_PASSED):
        return None
    canary, told = o.spec.canary, f"{result.failed:,} of {count(result.items, 'item')} failed{_in_all(result)}"
    how = f"`kubectl llmbatch approve {o.ref.name} -n {o.ref.namespace}` lets it go on"
    if canary.approved:
        return Fact(True, Reason.APPROVED, f"spec.canary.approved is set; {told}")
    if result.failure_percent > canary.max_failure_percent:
        return Fact(
            False, Reason.CANARY_FAILED, f"{told}; more than {canary.max_failure_percent:g} % are too many; {how}"
        )
    if canary.approve is Approval.MANUAL:
        return Fact(False, Reason.APPROVAL_NEEDED, f"{told}; {how}")
    return Fact(True, Reason.CANARY_PASSED, told)


def projected(counts: CanaryCounts, plan: PlanFacts, spec: LLMBatchSpec) -> CanaryResult:
    """What the whole batch would cost, and how long it would take, if all items were as these."""
    share = plan.items / counts.items if counts.items else 0.0
    per_minute = _items_per_minute(counts, plan, spec)
    return CanaryResult(
        items=counts.items,
        succeeded=counts.succeeded,
        failed=counts.failed,
        failure_percent=round(100 * counts.failed / counts.items, 1) if counts.items else 0,
        items_per_minute=None if counts.items_per_minute is None else rounded(counts.items_per_minute),
        projected_cost=cost_of(_scaled(counts.usage, share), spec.endpoint.pricing) if counts.items else None,
        projected_tokens=round(counts.usage.total * share) if counts.items else None,
        projected_duration=None if per_minute is None else duration(60 * plan.items / per_minute),
        projected_items_per_minute=None if per_minute is None else rounded(per_minute),
    )


def _items_per_minute(counts: CanaryCounts, plan: PlanFacts, spec: LLMBatchSpec) -> float | None:
    """Speed of all pods together: as fast as one, times their number, and no faster than the limits let them be."""
    if not counts.items_per_minute or not counts.items:
        return None
    limits = spec.endpoint.limits
    needs = (
        (limits.requests_per_minute, counts.attempts / counts.items),
        (limits.tokens_per_minute, counts.usage.total / counts.items),
        (limits.input_tokens_per_minute, counts.usage.input / counts.items),
        (limits.concurrency, (counts.latency_ms or 0) / 60_000),
    )
    pods = min(spec.parallelism, max(1, plan.shards))
    most = [limit / each for limit, each in needs if limit is not None and each > 0]
    return min([counts.items_per_minute * pods, *most])


def _scaled(usage: Usage, share: float) -> Usage:
    return Usage(*(round(n * share) for n in (usage.input, usage.output, usage.cached, usage.reasoning)))


def _in_all(result: CanaryResult) -> str:
    """What is to be expected of the whole batch."""
    cost, takes = result.projected_cost, result.projected_duration
    told = [f"cost {cost.display}"] if cost is not None else []
    told += [f"take about {takes}"] if takes is not None else []
    return f"; all of them would {' and '.join(told)}" if told else ""
