"""What the runs of a batch have spent, kept in the working store: a budget holds over all of them.

Written while shards are worked on, as often as progress is shown; a run that is killed loses that much of its count.
"""

import contextlib

import pydantic

from llmbatch_contract.coordination import Coordinator
from llmbatch_contract.errors import StoreError
from llmbatch_contract.job import Job
from llmbatch_contract.model import Model
from llmbatch_contract.plan import Plan
from llmbatch_contract.reports import Spent
from llmbatch_worker.stores.local import LOCAL

NAME = "spent.json"


class _Kept(Model):
    """The object in the store."""

    uid: str
    tokens: int
    cost: float


class Spending:
    """Of one batch. Does nothing where there is no budget."""

    def __init__(self, job: Job, plan: Plan) -> None:
        self._store = LOCAL.open(job.store_uri)
        self._spec, self._uid = job.batch.spec, plan.uid
        self._last: _Kept | None = None

    def before(self) -> Spent:
        """By earlier runs."""
        if self._spec.budget is None:
            return Spent()
        with contextlib.suppress(StoreError, pydantic.ValidationError):
            kept = _Kept.load(self._store.read(NAME))
            if kept.uid == self._uid:
                return Spent(tokens=kept.tokens, cost=kept.cost)
        return Spent()

    def keep(self, coordinator: Coordinator) -> None:
        """Note what is spent by now; requests in flight will be."""
        if self._spec.budget is None:
            return
        spent = coordinator.spent
        tokens, cost = spent.tokens + round(spent.in_flight_tokens), spent.cost + spent.in_flight_cost
        kept = _Kept(uid=self._uid, tokens=tokens, cost=cost)
        if kept != self._last:
            self._last = kept
            with contextlib.suppress(StoreError):
                self._store.put(NAME, kept.dump_json())

    def sentence(self, coordinator: Coordinator) -> str:
        """That the budget is spent, and what to do."""
        spent, pricing = coordinator.spent, self._spec.endpoint.pricing
        cost = "" if pricing is None else f" for {spent.cost:,.4f} {pricing.currency}"
        return (
            f"the budget is spent: {spent.tokens:,} tokens{cost}; what was answered is kept. "
            "Raise spec.budget and run the same command again to go on"
        )
