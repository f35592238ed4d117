"""One operator with many batches and workers: what it costs, how late the status is, and whether it loses an update.

The API server, the Jobs, pods and tokens are real; the pods are played (see `load/`), so that one machine has room.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.load.api import connected
from benchmarks.load.calls import WRITES, Calls, by_agent, count, events_of, log_size
from benchmarks.load.crowd import Crowd
from benchmarks.load.freshness import Seen
from benchmarks.load.own_operator import OwnOperator, own_operator
from benchmarks.on_cluster import CRD_FILE, namespaces, the_cluster
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from cluster.cluster_places import AUDIT_LOG

_PODS_EACH = 4
_NAMESPACES = 5
_SETUP_S = 1200.0
_SETTLE_S = 15.0
_CATCH_UP_S = 20.0
_LOOK_EVERY_S = 0.5
_LATEST_S = 5.0
_AGENTS = ("kopf/", "OpenAPI-Generator/")
"""kopf watches and posts Events; the other is the client of kube.py."""


@dataclass(frozen=True)
class _Taken:
    """What was measured."""

    seconds: float
    cpu_s: float
    resident_mb: float
    peak_mb: float
    reports: int
    statuses: int
    ages_s: list[float]
    reply_s: list[float]
    calls: Calls | None
    wrong: int
    complaints: int


def measure(sizes: Sizes) -> Section:
    """All workers at once, for a while."""
    cluster = the_cluster()
    cluster.kubectl("apply", "--server-side", "-f", str(CRD_FILE))
    with (
        namespaces(cluster, 1 + min(_NAMESPACES, sizes.load_batches)) as (own, *theirs),
        own_operator(cluster, own) as operator,
    ):
        log = AUDIT_LOG if cluster.has_audit_log else None
        taken = asyncio.run(_measure(cluster.kubeconfig, operator, theirs, log, sizes))
    return Section("operator", (_load(taken, sizes), *_calls(taken)))


async def _measure(
    kubeconfig: Path, operator: OwnOperator, names: list[str], log: Path | None, sizes: Sizes
) -> _Taken:  # fmt: skip
    async with connected(kubeconfig) as api:
        crowd = Crowd(api, operator.coordinator, names[0], _PODS_EACH)
        try:
            await crowd.fill(names, sizes.load_batches)
            await _until_all_report(crowd, operator, _PODS_EACH * sizes.load_batches)
            await asyncio.sleep(min(_SETTLE_S, sizes.load_s))
            return await _steadily(crowd, operator, log, sizes.load_s)
        finally:
            await crowd.end()


async def _until_all_report(crowd: Crowd, operator: OwnOperator, workers: int) -> None:
    give_up_at = time.monotonic() + _SETUP_S
    while crowd.freshness.workers < workers or crowd.freshness.batches_shown * _PODS_EACH < workers:
        crowd.check()
        operator.check()
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"only {crowd.freshness.workers} of {workers} workers report after {_SETUP_S:g} s")
        await asyncio.sleep(_LOOK_EVERY_S)


async def _steadily(crowd: Crowd, operator: OwnOperator, log: Path | None, seconds: float) -> _Taken:
    """Measure for so long, then let all say their last word and see whether it arrives."""
    began, cpu_s = time.monotonic(), processes.cpu_s(operator.pid)
    logged = log_size(log)
    seen = crowd.freshness.seen = Seen()
    crowd.reply_s.clear()
    await asyncio.sleep(seconds)
    crowd.check()
    operator.check()
    lasted, cpu_s = time.monotonic() - began, processes.cpu_s(operator.pid) - cpu_s
    crowd.freshness.seen, replies = Seen(), list(crowd.reply_s)
    resident_mb, peak_mb = processes.memory_mb(operator.pid)
    logged_until = log_size(log)
    wrong = await _wrong_at_the_end(crowd)
    return _Taken(
        seconds=lasted,
        cpu_s=cpu_s,
        resident_mb=resident_mb,
        peak_mb=peak_mb,
        reports=seen.reports,
        statuses=seen.statuses,
        ages_s=seen.ages_s,
        reply_s=replies,
        calls=count(events_of(log, logged, logged_until), by_agent(*_AGENTS)) if log is not None else None,
        wrong=wrong,
        complaints=len(operator.problems()),
    )


async def _wrong_at_the_end(crowd: Crowd) -> int:
    """Batches whose status never says what their workers said last."""
    await crowd.say_last()
    give_up_at = time.monotonic() + _CATCH_UP_S
    while crowd.freshness.wrong and time.monotonic() < give_up_at:  # noqa: ASYNC110 - the watch rings no bell
        await asyncio.sleep(_LOOK_EVERY_S)
    return len(crowd.freshness.wrong)


def _load(taken: _Taken, sizes: Sizes) -> Table:
    workers = _PODS_EACH * sizes.load_batches
    table = Table(
        f"{sizes.load_batches:,} running batches with {workers:,} workers that report, {taken.seconds:.0f} s:",
        ("what", "measured", "target"),
    )
    per_s = f"{taken.reports / taken.seconds:.0f}"
    p50, p95, p99 = (_percentile(taken.ages_s, share) for share in (0.5, 0.95, 0.99))
    slow, slowest = (1000 * _percentile(taken.reply_s, share) for share in (0.5, 0.99))
    rows = [
        ("status behind a report, p50", f"{p50:.1f} s", ""),
        ("status behind a report, p95", f"{p95:.1f} s", ""),
        ("status behind a report, p99", f"{p99:.1f} s", f"≤ {_LATEST_S:g} s"),
        ("batches with a wrong status at the end", str(taken.wrong), "0"),
        ("errors and warnings in the operator's log", str(taken.complaints), "0"),
        ("reports", f"{per_s} /s", ""),
        ("answer to a report, p50 and p99", f"{slow:.0f} ms, {slowest:.0f} ms", ""),
        ("status writes", f"{taken.statuses / taken.seconds:.0f} /s", ""),
        ("operator's CPU", f"{100 * taken.cpu_s / taken.seconds:.0f} % of a core", "< 100 %"),
        ("operator's resident memory", f"{taken.resident_mb:.0f} MB, peak {taken.peak_mb:.0f} MB", ""),
    ]
    table.rows.extend(rows)
    return table


def _calls(taken: _Taken) -> tuple[Table, ...]:
    if taken.calls is None:
        return ()
    table = Table("The operator's calls of the API server meanwhile:", ("call", "a second", "writes"))
    for (verb, resource), calls in taken.calls.most_common():
        is_write = verb in WRITES and not resource.startswith("tokenreviews")
        table.rows.append((f"{verb} {resource}", f"{calls / taken.seconds:.1f}", "yes" if is_write else ""))
    return (table,)


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
