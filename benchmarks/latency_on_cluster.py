"""How soon a batch on a cluster begins to ask, and how soon it stops when it is deleted.

Requests are seen by the simulated endpoint, by its clock; the start of the worker's process by the kernel's, where the
node is this machine.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.deployed import Deployed, Manifest, deployed
from benchmarks.on_cluster import namespaces
from benchmarks.rounds import Spread
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from e2e.batches import batch
from e2e.simulator_pod import SimulatorPod

_WITHIN_S = 60.0
_POLL_S = 0.02
_QUIET_S = 1.5
_LATENCY = "500ms"
_MANY = 20_000
_START_S = 1.5
_END_S = 5
_WORKER = b"llmbatch-worker"


@dataclass(frozen=True)
class _Round:
    """One batch that begins, and one that is deleted; in seconds."""

    apply_to_request: float
    start_to_request: float | None
    """From the start of the worker's process."""
    delete_to_end: float


def measure(sizes: Sizes) -> Section:
    """Several batches, one after the other."""
    with deployed() as system, namespaces(system.cluster, 1) as (namespace,):
        simulator = system.simulator(namespace)
        items = system.put_items(namespace, "items", _MANY)
        taken = [_round(system, namespace, simulator, items, number) for number in range(sizes.latency_rounds)]
    return Section("cluster", (_table(taken),))


def _round(system: Deployed, namespace: str, simulator: SimulatorPod, items: Manifest, number: int) -> _Round:
    apply_s, start_s = _begin(system, namespace, simulator, f"small-{number}")
    delete_s = _end(system, namespace, simulator, f"large-{number}", items)
    return _Round(apply_s, start_s, delete_s)


def _begin(system: Deployed, namespace: str, simulator: SimulatorPod, name: str) -> tuple[float, float | None]:
    """From apply, and from the start of the process, to the first request of a small batch."""
    simulator.reset()
    applied_at = time.time()
    system.create(namespace, batch(simulator.url, 3, name=name))
    first_at = _first_request(simulator)
    started_at = _worker_started_at(applied_at) if system.cluster.is_ours else None
    system.batches(namespace).wait_succeeded(name)
    return first_at - applied_at, first_at - started_at if started_at is not None else None


def _end(system: Deployed, namespace: str, simulator: SimulatorPod, name: str, items: Manifest) -> float:
    """From delete to the end of the last request in flight, of a batch in full flight."""
    simulator.reset()
    simulator.update(latency=_LATENCY)
    manifest = batch(simulator.url, 0, name=name, concurrency=32, parallelism=2)
    manifest["spec"]["input"] = items
    system.create(namespace, manifest)
    _wait(lambda: simulator.stats()["answered_ok"] > 64, "the batch is in full flight")
    deleted_at = time.time()
    system.delete(namespace, name)
    last_at = _last_in_flight(simulator)
    simulator.update(latency="0ms")
    return last_at - deleted_at


def _first_request(simulator: SimulatorPod) -> float:
    _wait(lambda: simulator.stats()["first_request_at"], "a request has come")
    return float(simulator.stats()["first_request_at"])


def _last_in_flight(simulator: SimulatorPod) -> float:
    """When something was in flight last: nothing is for a while after."""
    give_up_at, last_at = time.time() + _WITHIN_S, time.time()
    while time.time() < min(give_up_at, last_at + _QUIET_S):
        if simulator.stats()["in_flight"]:
            last_at = time.time()
        time.sleep(_POLL_S)
    if time.time() >= give_up_at:
        raise RuntimeError("requests go on after the batch was deleted")
    return last_at


def _worker_started_at(after: float) -> float | None:
    """When the newest worker process of this machine began, Unix time; None if there is none since then."""
    starts = [_started_at(each) for each in Path("/proc").iterdir() if each.name.isdecimal() and _is_worker(each)]
    return max((start for start in starts if start >= after), default=None)


def _is_worker(process: Path) -> bool:
    try:
        return any(word.endswith(_WORKER) for word in (process / "cmdline").read_bytes().split(b"\0"))
    except OSError:  # it has ended meanwhile
        return False


def _started_at(process: Path) -> float:
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    up_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time() - up_s + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _wait(holds: Callable[[], object], what: str) -> None:
    give_up_at = time.monotonic() + _WITHIN_S
    while not holds():
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"after {_WITHIN_S:g} s still not: {what}")
        time.sleep(_POLL_S)


def _table(taken: list[_Round]) -> Table:
    table = Table(f"Seconds, median (least–most) of {len(taken)}:", ("from", "to", "seconds", "target"))
    starts = [r.start_to_request for r in taken if r.start_to_request is not None]
    rows = (
        ("apply", "first request of a small batch", [r.apply_to_request for r in taken], ""),
        ("start of the worker's process", "its first request", starts, f"≤ {_START_S:g}"),
        ("delete, 64 requests in flight", "end of the last one", [r.delete_to_end for r in taken], f"≤ {_END_S}"),
    )
    table.rows.extend((a, b, Spread.of(s).text(".2f") if s else "not measured", target) for a, b, s, target in rows)
    return table
