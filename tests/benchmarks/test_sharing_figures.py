"""The benchmark of many workers on one limit: what it makes of counts, and the clock that it runs on."""

import asyncio
import time

import pytest

from benchmarks.shared.figures import back_after_s, evenness, used
from benchmarks.shared.scene import BATCHES, scene
from benchmarks.shared.simulated_time import run_simulated


def test_the_share_of_a_limit_that_was_used() -> None:
    assert used({0: 500, 1: 10, 2: 5, 3: 500}, range(1, 3), 600) == 0.75


@pytest.mark.parametrize(
    ("amounts", "even"),
    [
        pytest.param([5, 5, 5], 1.0, id="all have the same"),
        pytest.param([9, 0, 0], 1 / 3, id="one has everything"),
        pytest.param([0, 0], 0.0, id="nobody has anything"),
    ],
)
def test_evenness(amounts: list[float], even: float) -> None:
    assert evenness(amounts) == pytest.approx(even)


@pytest.mark.parametrize(
    ("counts", "after_s"),
    [
        pytest.param(dict.fromkeys(range(100, 120), 10), 0, id="at once"),
        pytest.param(dict.fromkeys(range(103, 120), 10), 3, id="after 3 s"),
        pytest.param(dict.fromkeys(range(100, 120), 5), None, id="never"),
        pytest.param({100: 300}, None, id="not by a burst"),
    ],
)
def test_when_a_limit_is_used_again(counts: dict[int, int], after_s: int | None) -> None:
    assert back_after_s(counts, range(100, 120), 600) == after_s


def test_a_smaller_scene_has_all_batches_and_less_of_everything_else() -> None:
    assert scene().workers == 200
    small = scene(0.1)
    assert [batch.name for batch in small.batches] == [batch.name for batch in BATCHES]
    assert (small.workers, small.requests_per_minute) == (21, 600)


def test_simulated_time_takes_no_time() -> None:
    async def _sleeper() -> float:
        await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(1800))
        return asyncio.get_running_loop().time()

    started = time.monotonic()
    assert run_simulated(_sleeper()) == pytest.approx(3600)
    assert time.monotonic() - started < 10


def test_simulated_time_does_not_wait_for_what_never_comes() -> None:
    async def _waiter() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="everybody waits"):
        run_simulated(_waiter())
