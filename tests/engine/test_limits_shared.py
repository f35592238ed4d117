"""Limits of an endpoint hold over all workers of a batch."""

from pathlib import Path
from typing import Any

import pytest

from engine.local_run import Bench, texts
from llmbatch_cli.simulator import Simulator, SimulatorSettings


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("limit", [1, 2])
async def test_a_concurrency_limit_below_the_number_of_workers_still_lets_the_batch_end(
    tmp_path: Path, workers: int, limit: int
) -> None:
    settings = SimulatorSettings.parse({"latency": "20ms", "max_concurrency": limit})
    async with Simulator(settings) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(60), shard_size=5, limits={"concurrency": limit})
        ended = await bench.run("--workers", str(workers), deadline_s=20)
        assert (ended.code, sim.stats.violations["concurrency"]) == (0, 0), str(ended)
        assert sim.stats.max_in_flight <= limit


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    ("simulated", "limits"),
    [
        pytest.param({"requests_per_minute": 3000}, {"requestsPerMinute": 2700}, id="requests"),
        pytest.param({"tokens_per_minute": 90_000}, {"tokensPerMinute": 81_000}, id="tokens"),
        pytest.param({"max_concurrency": 6}, {"concurrency": 6}, id="concurrency"),
    ],
)
async def test_a_batch_that_knows_the_limits_of_its_endpoint_never_violates_them(
    tmp_path: Path, workers: int, simulated: dict[str, Any], limits: dict[str, Any]
) -> None:
    """The limit given is a tenth lower: a window of 3 s leaves less room to catch up than the minute it is made for."""
    settings = SimulatorSettings.parse({"latency": "20ms", "latency_spread": 0.5, "limit_window": "3s", **simulated})
    async with Simulator(settings) as sim:
        bench = Bench(tmp_path, sim.url)
        parameters = {"prompt": "{{ text }}", "parameters": {"max_tokens": 20}}
        bench.batch(items=texts(220), shard_size=20, limits=limits, request=parameters)
        ended = await bench.run("--workers", str(workers))
        assert (ended.code, sim.stats.violations) == (0, {"requests": 0, "tokens": 0, "concurrency": 0}), str(ended)
        assert sim.stats.answered_ok == sim.stats.requests == 220
