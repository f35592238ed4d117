"""How much each benchmark does: in full, in a quick look, and at the least that shows that it works."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Sizes of all benchmarks."""

    repeats: int
    throughput_items: int
    latencies_ms: tuple[int, ...]
    telemetry_items: int
    telemetry_repeats: int
    memory_items: int
    memory_few_items: int
    planning_items: int
    limits_s: float
    limit_window_s: float
    """Pacing is made for windows of a minute; one of less than 10 s leaves it no room to catch up."""
    workers: tuple[int, ...]
    sharing_share: float
    """Of all workers, and of their limit."""
    finalize_items: int
    source_items: int
    """Of 1 KB, planned in a store."""
    sink_items: int
    """Results of 1 KB, written to a store."""
    growth_items: tuple[int, ...]
    growth_asked: int
    """Runs with more items are not asked of the simulator."""
    request_items: int
    job_items: int
    load_batches: int
    load_s: float
    calls_items: tuple[int, ...]
    latency_rounds: int


FULL = Sizes(
    repeats=3,
    throughput_items=6_000,
    latencies_ms=(0, 10),
    telemetry_items=40_000,
    telemetry_repeats=9,
    memory_items=1_000_000,
    memory_few_items=10_000,
    planning_items=100_000,
    limits_s=75,
    limit_window_s=60,
    workers=(1, 3),
    sharing_share=1.0,
    finalize_items=200_000,
    source_items=1_000_000,
    sink_items=1_000_000,
    growth_items=(10_000, 100_000, 1_000_000, 5_000_000),
    growth_asked=100_000,
    request_items=20_000,
    job_items=20_000,
    load_batches=500,
    load_s=90,
    calls_items=(100, 100_000),
    latency_rounds=5,
)

QUICK = Sizes(
    repeats=3,
    throughput_items=1_000,
    latencies_ms=(0,),
    telemetry_items=5_000,
    telemetry_repeats=3,
    memory_items=50_000,
    memory_few_items=10_000,
    planning_items=20_000,
    limits_s=22,
    limit_window_s=20,
    workers=(1, 3),
    sharing_share=0.5,
    finalize_items=20_000,
    source_items=50_000,
    sink_items=20_000,
    growth_items=(1_000, 10_000, 50_000),
    growth_asked=10_000,
    request_items=5_000,
    job_items=8_000,
    load_batches=50,
    load_s=20,
    calls_items=(100, 10_000),
    latency_rounds=3,
)

SMALLEST = Sizes(
    repeats=1,
    throughput_items=64,
    latencies_ms=(0,),
    telemetry_items=64,
    telemetry_repeats=1,
    memory_items=40,
    memory_few_items=20,
    planning_items=200,
    limits_s=1.5,
    limit_window_s=1,
    workers=(1,),
    sharing_share=0.1,
    finalize_items=50,
    source_items=64,
    sink_items=50,
    growth_items=(20, 40),
    growth_asked=40,
    request_items=40,
    job_items=40,
    load_batches=3,
    load_s=4,
    calls_items=(20,),
    latency_rounds=1,
)
