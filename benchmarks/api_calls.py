"""How often the operator writes to the API server from apply to the end of a batch, with few and with many items.

Counted in the API server's audit log, so it needs a cluster of the project's own.
"""

import time
from dataclasses import dataclass

from benchmarks.deployed import Deployed, Manifest, deployed
from benchmarks.load.calls import WRITES, Calls, Event, count, events_of, log_size
from benchmarks.on_cluster import namespaces
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from cluster.cluster_places import AUDIT_LOG
from e2e.batches import batch
from e2e.deploying import NAMESPACE

_OPERATOR = f"system:serviceaccount:{NAMESPACE}:llmbatch-operator"
_FIXED_WRITES = 30
_STATUS_EVERY_S = 2
_LONGEST_S = 900
_SETTLE_S = 2
_CONTROLLERS = "system:serviceaccount:kube-system:"
_STATUS = ("patch", "llmbatches/status")
_REVIEW = ("create", "tokenreviews")


@dataclass(frozen=True)
class _Taken:
    """One batch from apply to its end."""

    items: int
    source: str
    seconds: float
    own: Calls
    reviews: int
    others: int
    """Writes of Kubernetes itself in the namespace: its controllers, the scheduler, the kubelet."""

    @property
    def allowed(self) -> int:
        """Writes that the operator may make."""
        return _FIXED_WRITES + int(self.seconds / _STATUS_EVERY_S)


def measure(sizes: Sizes) -> Section:
    """Batches one after the other."""
    with deployed() as system:
        if not system.cluster.has_audit_log:
            raise RuntimeError("calls are counted in the audit log of the project's own cluster")
        taken = [_with_items(system, items, inline=False) for items in sizes.calls_items]
        taken.insert(0, _with_items(system, min(sizes.calls_items), inline=True))
    return Section("calls", (_totals(taken), _kinds(taken)))


def _with_items(system: Deployed, items: int, *, inline: bool) -> _Taken:
    with namespaces(system.cluster, 1) as (namespace,):
        url = system.simulator(namespace).url
        manifest = batch(url, items if inline else 0, concurrency=64)
        if not inline:
            manifest["spec"]["input"] = system.put_items(namespace, "items", items)
        return _run(system, namespace, manifest, items, "inline" if inline else "ConfigMap")


def _run(system: Deployed, namespace: str, manifest: Manifest, items: int, source: str) -> _Taken:
    batches = system.batches(namespace)
    start, began = log_size(AUDIT_LOG), time.monotonic()
    system.create(namespace, manifest)
    batches.wait_succeeded(manifest["metadata"]["name"], timeout_s=_LONGEST_S)
    seconds = time.monotonic() - began
    time.sleep(_SETTLE_S)  # for Events, and for what it might still write
    events = list(events_of(AUDIT_LOG, start, log_size(AUDIT_LOG)))
    return _Taken(
        items=items,
        source=source,
        seconds=seconds,
        own=count(events, lambda event: _is_own_write(event, namespace)),
        reviews=count(events, _is_operator)[_REVIEW],
        others=count(events, lambda event: _is_write_of_kubernetes(event, namespace)).total(),
    )


def _is_operator(event: Event) -> bool:
    return bool(event["user"]["username"] == _OPERATOR)


def _is_own_write(event: Event, namespace: str) -> bool:
    """A review of a token is a create by name only: it leaves nothing."""
    return _is_operator(event) and _is_write_in(event, namespace)


def _is_write_of_kubernetes(event: Event, namespace: str) -> bool:
    user = event["user"]["username"]
    is_of_kubernetes = user.startswith(("system:node:", "system:kube-", _CONTROLLERS)) or user == "admin"
    return is_of_kubernetes and _is_write_in(event, namespace)


def _is_write_in(event: Event, namespace: str) -> bool:
    return event["verb"] in WRITES and (event.get("objectRef") or {}).get("namespace") == namespace


def _totals(taken: list[_Taken]) -> Table:
    table = Table(
        f"Writes of the operator from apply to the end; allowed are {_FIXED_WRITES} and one status write per "
        f"{_STATUS_EVERY_S} s:",
        ("items", "from", "seconds", "writes", "target", "of them status", "token reviews", "Kubernetes' own writes"),
    )
    for each in taken:
        own = each.own.total()
        cells = (f"{each.items:,}", each.source, f"{each.seconds:.1f}", str(own), f"≤ {each.allowed}")
        table.rows.append((*cells, str(each.own[_STATUS]), str(each.reviews), str(each.others)))
    return table


def _kinds(taken: list[_Taken]) -> Table:
    columns = [f"{each.items:,} {each.source}" for each in taken]
    table = Table("The same by kind:", ("call", *columns))
    kinds = sorted({kind for each in taken for kind in each.own})
    for kind in kinds:
        table.rows.append((" ".join(kind), *(str(each.own[kind]) for each in taken)))
    return table
