"""`python -m benchmarks [NAME...]`: runs benchmarks, prints their tables and rewrites their sections of the page."""

import argparse
import dataclasses
import datetime
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks import (
    api_calls,
    finalize,
    growth,
    latency_on_cluster,
    limits,
    memory,
    operator_load,
    planning,
    sharing,
    sinks,
    sources,
    store_requests,
    telemetry,
    throughput,
    whole_job,
)
from benchmarks.machine import ran_on
from benchmarks.object_store import lacks_server
from benchmarks.on_cluster import HOW_TO_GET_ONE, find_cluster
from benchmarks.page import PAGE, write_section
from benchmarks.sizes import FULL, QUICK, SMALLEST, Sizes
from benchmarks.tables import Section

BENCHMARKS: dict[str, Callable[[Sizes], Section]] = {
    "throughput": throughput.measure,
    "telemetry": telemetry.measure,
    "memory": memory.measure,
    "planning": planning.measure,
    "limits": limits.measure,
    "sharing": sharing.measure,
    "finalize": finalize.measure,
    "sources": sources.measure,
    "sinks": sinks.measure,
    "growth": growth.measure,
    "requests": store_requests.measure,
    "job": whole_job.measure,
    "cluster": latency_on_cluster.measure,
    "calls": api_calls.measure,
    "operator": operator_load.measure,  # the last: the cluster is busy for minutes with clearing away its pods
}
_IN_STORE = ("sources", "sinks", "growth", "requests", "job")
_ON_CLUSTER = ("cluster", "calls", "operator")
_SIZES = {"full": FULL, "quick": QUICK, "smallest": SMALLEST}


def main() -> None:
    """Run what was asked for."""
    parser = _parser()
    asked = parser.parse_args()
    if unknown := sorted(set(asked.names) - BENCHMARKS.keys()):
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    signal.signal(signal.SIGTERM, _stop)
    sizes = _SIZES[asked.size]
    if asked.items is not None:
        sizes = dataclasses.replace(sizes, memory_items=asked.items)
    where = ran_on(f"{asked.size} sizes", datetime.datetime.now(datetime.UTC).date())
    for name in asked.names or _all_that_can_run():
        _run(name, sizes, where, asked.page)


def _all_that_can_run() -> list[str]:
    left_out: tuple[str, ...] = ()
    if find_cluster() is None:
        left_out += _without(_ON_CLUSTER, HOW_TO_GET_ONE)
    if (lack := lacks_server()) is not None:
        left_out += _without(_IN_STORE, lack)
    return [name for name in BENCHMARKS if name not in left_out]


def _without(names: tuple[str, ...], reason: str) -> tuple[str, ...]:
    print(f"# {', '.join(names)}: left out; {reason}\n", flush=True)
    return names


def _run(name: str, sizes: Sizes, where: str, page: Path) -> None:
    started = time.monotonic()
    print(f"# {name}", flush=True)
    content = BENCHMARKS[name](sizes).markdown(where)
    print(f"{content}\n\n({time.monotonic() - started:.0f} s)\n", flush=True)
    write_section(page, name, content)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const="quick", help="about 6 minutes in all")
    size.add_argument(
        "--smallest", dest="size", action="store_const", const="smallest", help="only shows that it works"
    )
    parser.add_argument("--items", type=int, help="items of the larger run of memory")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to rewrite sections of")
    parser.set_defaults(size="full")
    return parser


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    """So that SIGTERM, too, ends the processes and removes the files."""
    sys.exit(143)


if __name__ == "__main__":
    main()
