"""Whether a batch has spent its budget. Pure.

Workers are let spend what is left in ever smaller pieces, and the last that is left may be too little for one request.
So a budget that was found spent stays so until it is changed: the condition says which it was.
"""

from llmbatch_contract.pods import Stage
from llmbatch_contract.spec import Budget
from llmbatch_contract.status import Condition, ConditionType, LLMBatchStatus, Reason
from llmbatch_operator.observed import Fact, Observed
from llmbatch_operator.shown import exact_money, money

_ASKING = (Stage.CANARY, Stage.SHARD, Stage.RUN)
_ENOUGH_ITEMS = 20
"""So many have to be answered before it is said that a budget will not do for all."""


def budget_fact(o: Observed) -> Fact | None:
    """What to say of a budget that is spent; None if there is something left of it."""
    budget = o.spec.budget if o.spec is not None else None
    if budget is None:
        return None
    known = o.condition(ConditionType.BUDGET_EXCEEDED)
    if known is not None and known.message.startswith(f"{_of(o, budget)} is spent"):
        return Fact(True, known.reason, known.message)
    if o.talk.budget_is_spent or _is_spent(o, budget, known):
        told = f"{_of(o, budget)} is spent: {_used(o, budget)}; raise spec.budget and the batch goes on"
        return Fact(True, Reason.BUDGET_EXCEEDED, told)
    return None


def budget_is_raised(o: Observed) -> dict[ConditionType, Fact]:
    """That there is something left again, of a budget that was spent."""
    if o.spec is None or o.condition(ConditionType.BUDGET_EXCEEDED) is None or budget_fact(o) is not None:
        return {}
    return {ConditionType.BUDGET_EXCEEDED: Fact(False, Reason.BUDGET_RAISED, "there is something left of the budget")}


def will_not_do(budget: Budget | None, status: LLMBatchStatus) -> bool:
    """Whether the budget is too small for the rest, if its items are as those that were answered."""
    items = status.items
    if budget is None or items is None or items.succeeded + items.failed < _ENOUGH_ITEMS:
        return False
    rest = (items.pending + items.running) / (items.succeeded + items.failed)
    return any(used * (1 + rest) > limit for used, limit in _amounts(status, budget))


def _is_spent(o: Observed, budget: Budget, known: Condition | None) -> bool:
    """By what is written down. After a hold, something has to be left for one item more."""
    if o.status is None:
        return False
    items = o.status.items
    answered = items.succeeded + items.failed if items is not None else 0
    each = 1 / answered if known is not None and answered and _nobody_asks(o) else 0.0
    return any(used > 0 and used * (1 + each) >= limit for used, limit in _amounts(o.status, budget))


def _nobody_asks(o: Observed) -> bool:
    return all(o.is_at_rest(stage) for stage in _ASKING)


def _amounts(status: LLMBatchStatus, budget: Budget) -> list[tuple[float, float]]:
    """What is used, and what may be."""
    cost = status.cost.amount if status.cost is not None else 0.0
    tokens = status.usage.total_tokens if status.usage is not None else 0
    both = ((cost, budget.max_cost), (tokens, budget.max_tokens))
    return [(used, limit) for used, limit in both if limit is not None]


def _of(o: Observed, budget: Budget) -> str:
    """The budget in words: another one is another question."""
    tokens = [f"{budget.max_tokens:,} tokens"] if budget.max_tokens is not None else []
    cost = [exact_money(budget.max_cost, _currency(o))] if budget.max_cost is not None else []
    return f"the budget of {' and '.join([*cost, *tokens])}"


def _used(o: Observed, budget: Budget) -> str:
    spent = o.talk.spent
    cost = max(spent.cost, o.status.cost.amount if o.status is not None and o.status.cost is not None else 0.0)
    usage = o.status.usage.total_tokens if o.status is not None and o.status.usage is not None else 0
    tokens = [f"{max(spent.tokens, usage):,} tokens"] if budget.max_tokens is not None else []
    told = [money(cost, _currency(o))] if budget.max_cost is not None else []
    return f"{' and '.join([*told, *tokens])} so far"


def _currency(o: Observed) -> str:
    pricing = o.spec.endpoint.pricing if o.spec is not None else None
    return pricing.currency if pricing is not None else ""
