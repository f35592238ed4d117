"""Plans a batch: reads the input once, checks every item, and writes `plan.json`. Called by the command line and pods.

What is read, and what is learnt of it, is in gathering.
"""

from collections.abc import Callable
from dataclasses import dataclass

from llmbatch_contract import __version__
from llmbatch_contract.errors import ClaimLostError
from llmbatch_contract.layout import PLAN
from llmbatch_contract.plan import Plan, asked_of
from llmbatch_contract.spec import LLMBatch
from llmbatch_contract.trace import TRACEPARENT, BatchTrace, trace_of
from llmbatch_worker.asking import Question
from llmbatch_worker.finalizing.outputs import check_output
from llmbatch_worker.inputs.source import open_source
from llmbatch_worker.planning.apart import check_apart
from llmbatch_worker.planning.gathering import Gathering
from llmbatch_worker.planning.marks import ShardSize, shard_size
from llmbatch_worker.planning.survey import Lack
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.protocol import Store, Stores


@dataclass(frozen=True)
class Planned:
    """A plan, and what a person would want to know of it."""

    plan: Plan
    first_question: Question | None
    misfits: int
    """Items that will be dead letters because a template does not fit them."""
    first_misfit: str | None
    lacks: dict[str, Lack]
    """Fields that templates use and some items do not have."""
    of_items: int | None
    """How many items the input has, of which some were taken; None if it was not read to its end."""


def make_plan(
    batch: LLMBatch,
    store: Store | None,
    *,
    uid: str,
    created_at: str,
    trace: BatchTrace | None = None,
    stores: Stores = LOCAL,
    workers: int = 1,
    size: ShardSize = shard_size,
    on_items: Callable[[int], None] = lambda _items: None,
) -> Planned:
    """Plan a batch whose URIs are absolute, and leave the plan in `store` (None: look only).

    `trace` is the one that the batch is, if somebody has fixed it already.
    `on_items` is told now and then how many items have been read. Raises InputError, InvalidError and StoreError.
    """
    source = open_source(batch.spec.input, stores)
    check_apart((each.uri for each in source.objects), batch.spec)
    found = Gathering(batch, source, lambda items: size(batch.spec.shard_size, items, workers))
    found.read(store, on_items)
    survey = found.survey
    plan = Plan(
        uid=uid,
        trace=trace or trace_of(uid, batch.metadata.annotations.get(TRACEPARENT)),
        created_at=created_at,
        version=__version__,
        asked=asked_of(batch),
        input=found.planned_input(),
        items=found.marks.items,
        shards=found.shards(),
        input_tokens_estimate=survey.input_tokens(),
    )
    check_output(batch, plan.input.fields)
    if store is not None and not store.create(PLAN, plan.dump_json()):
        raise ClaimLostError(f"another run has just planned into {store.where(PLAN)}; run again to continue it")
    return Planned(
        plan, survey.first_question, survey.misfits, survey.first_misfit, survey.lacks, of_items=found.of_items
    )
