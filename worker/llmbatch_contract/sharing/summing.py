"""Sums up how an endpoint is used, for status and metrics. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from llmbatch_contract.sharing.amounts import ALL, UNBOUNDED, Vector, limits_of
from llmbatch_contract.sharing.facts import Amounts, BatchShare, EndpointFacts, Key
from llmbatch_contract.sharing.found_limits import FoundLimits
from llmbatch_contract.sharing.outages import Outages
from llmbatch_contract.spec import Limits


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker that reports."""

    batch: str
    may_use: Vector
    used: Vector
    waits: bool


@dataclass(frozen=True, slots=True)
class LastError:
    """What the endpoint said when it pushed back or failed last."""

    message: str
    at: float


def facts_of(
    seen: Mapping[Key, Seen],
    *,
    limits: Limits,
    effective: Vector,
    granted: Vector,
    found: FoundLimits,
    outages: Outages,
    backoff_s: float,
    backoff_since: float | None,
    last_error: LastError | None,
    now: float,
) -> EndpointFacts:
    """The facts at `now`."""
    by_batch = _by_batch(seen)
    throttled_since = [since for since in (found.since, backoff_since if backoff_s > 0 else None) if since is not None]
    return EndpointFacts(
        batches=len(by_batch),
        pods=len(seen),
        waiting_pods=sum(batch.waiting_pods for batch in by_batch.values()),
        granted=_amounts(granted),
        used=sum((batch.used for batch in by_batch.values()), Amounts()),
        limits=limits,
        effective=limits_of(effective),
        by_batch=by_batch,
        is_down=outages.since is not None,
        down_since_s=None if outages.since is None else now - outages.since,
        trouble=outages.trouble,
        throttled_since_s=now - min(throttled_since) if throttled_since else None,
        backoff_s=backoff_s,
        push_backs=dict(found.push_backs),
        slowdowns=found.slowdowns,
        last_error=None if last_error is None else last_error.message,
        last_error_ago_s=None if last_error is None else now - last_error.at,
        has_answered=outages.answered_at is not None,
    )


def _by_batch(seen: Mapping[Key, Seen]) -> dict[str, BatchShare]:
    workers: dict[str, list[Seen]] = {}
    for worker in seen.values():
        workers.setdefault(worker.batch, []).append(worker)
    return {batch: _batch_share(of_batch) for batch, of_batch in workers.items()}


def _batch_share(workers: list[Seen]) -> BatchShare:
    return BatchShare(
        granted=_amounts(_sums([worker.may_use for worker in workers])),
        used=_amounts(_sums([worker.used for worker in workers])),
        pods=len(workers),
        waiting_pods=sum(worker.waits for worker in workers),
    )


def _sums(vectors: list[Vector]) -> Vector:
    return tuple(sum(vector[d] for vector in vectors) for d in ALL)


def _amounts(vector: Vector) -> Amounts:
    return Amounts(*(0.0 if amount == UNBOUNDED else amount for amount in vector))
