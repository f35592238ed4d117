"""From a batch and its LLMEndpoint to what its pods ask, or to what is in the way. Pure.

A batch that runs goes on with what the LLMEndpoint was, should that be gone or broken by now; it is held where it may
not use it any more, and where nobody knows what it was, as after a restart.
"""

from dataclasses import dataclass

from llmbatch_contract.endpoint import Endpoint
from llmbatch_contract.spec import LLMBatch
from llmbatch_contract.status import Reason
from llmbatch_operator.endpoints.known import KnownEndpoint
from llmbatch_operator.observed import Fact


@dataclass(frozen=True)
class Resolution:
    """What came of looking up a batch's endpoint."""

    batch: LLMBatch | None
    """The batch with the endpoint in place of the reference; None: it cannot be asked about."""
    problem: Fact | None = None
    must_hold: bool = False
    """Nothing may be started or asked."""


def resolve(batch: LLMBatch, known: KnownEndpoint | None, last: Endpoint | None) -> Resolution:
    """Put the endpoint into a batch. `last` is what the batch was given before, if it was."""
    name = batch.spec.endpoint.ref
    if name is None:
        return Resolution(batch)
    if known is not None and known.spec is not None and not known.spec.allows(batch.metadata.namespace):
        return Resolution(_with(batch, last), _forbidden(name, batch.metadata.namespace), must_hold=True)
    problem = _problem(batch, name, known)
    if problem is None and known is not None and known.spec is not None:
        return Resolution(_with(batch, known.spec.endpoint_of(batch.spec.model)))
    if last is None or _lacks_prices(batch, last):
        return Resolution(None, problem, must_hold=True)
    return Resolution(_with(batch, last), problem)


def _problem(batch: LLMBatch, name: str, known: KnownEndpoint | None) -> Fact | None:
    if known is None:
        message = f"there is no LLMEndpoint {name}; create it, and the batch goes on by itself"
        return Fact(True, Reason.ENDPOINT_MISSING, message)
    if known.spec is None:
        message = (
            f"the LLMEndpoint {name} cannot be used: {known.problems}; correct it, and the batch goes on by itself"
        )
        return Fact(True, Reason.ENDPOINT_INVALID, message)
    if _lacks_prices(batch, known.spec.endpoint_of(batch.spec.model)):
        message = (
            f"budget.maxCost needs prices, and the LLMEndpoint {name} has none for {batch.spec.model or 'all models'}; "
            "add them to its spec.pricing, or give budget.maxTokens instead"
        )
        return Fact(True, Reason.ENDPOINT_INVALID, message)
    return None


def _forbidden(name: str, namespace: str) -> Fact:
    message = (
        f"the LLMEndpoint {name} allows no batches of namespace {namespace}; once {namespace} is among its "
        "spec.allowedNamespaces, the batch goes on by itself"
    )
    return Fact(True, Reason.ENDPOINT_FORBIDDEN, message)


def _lacks_prices(batch: LLMBatch, endpoint: Endpoint) -> bool:
    budget = batch.spec.budget
    return budget is not None and budget.max_cost is not None and endpoint.pricing is None


def _with(batch: LLMBatch, endpoint: Endpoint | None) -> LLMBatch | None:
    if endpoint is None:
        return None
    return batch.model_copy(update={"spec": batch.spec.model_copy(update={"endpoint": endpoint})})
