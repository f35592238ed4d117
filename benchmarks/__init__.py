"""Benchmarks of the engine: `python -m benchmarks [NAME...]`, from the root of the repository.

throughput.py  telemetry.py  memory.py  planning.py  limits.py  finalize.py   one each: sizes in, a Section out
sources.py  sinks.py  growth.py  store_requests.py  whole_job.py   the same, in an S3 server: object_store.py
sharing.py, with shared/: many workers on one limit, in simulated time
inside/        what is measured, run in processes of its own by child.py
processes.py   starts, pins, watches and ends processes       workload.py  inputs and manifests; parquet_items.py
rounds.py      A B A B …, median and range (pure)             tables.py    Markdown tables (pure)
page.py        the sections of docs/benchmarks.md             machine.py   what it ran on
collector.py   takes telemetry, and does nothing with it

operator_load.py, with load/, is about the operator; it needs a cluster, which on_cluster.py finds.
"""

import sys
from pathlib import Path

# The cluster, and what is deployed on it, are those of the tests.
sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
