"""The report says when nothing was answered, and whether anybody was at work then."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llmbatch_cli.report.over_time import throughput
from llmbatch_cli.report.pauses import Pause, find_pauses, pauses_told
from llmbatch_cli.report.series import Timeline

_START = datetime(2026, 11, 22, 6, tzinfo=UTC)


def _timeline(*attempts: int, width_s: float = 30.0) -> Timeline:
    nothing = [0] * len(attempts)
    latency: dict[str, Any] = {"p50": nothing, "p95": nothing, "p99": nothing}
    return Timeline(_START, width_s, attempts, nothing, attempts, nothing, nothing, latency, width_s)


def _at(second: float) -> str:
    return (_START + timedelta(seconds=second)).isoformat()


def _shards(*spans: tuple[float, float | None]) -> dict[str, Any]:
    """A shard with these attempts; None: one that wrote nothing."""
    attempts = [{"claimed_at": _at(begin), "last_record_at": None if end is None else _at(end)} for begin, end in spans]
    return {"shown": [{"attempts": attempts}]}


@pytest.mark.parametrize(
    ("timeline", "shards", "pauses"),
    [
        pytest.param(_timeline(5, 5, 5), _shards((0, 90)), [], id="none when something is answered all the time"),
        pytest.param(_timeline(5, 0, 5), _shards((0, 90)), [], id="not a short one"),
        pytest.param(
            _timeline(5, 0, 0, 5),
            _shards((0, 25), (95, 120)),
            [Pause(30, 90, has_workers=False)],
            id="without workers: it was held",
        ),
        pytest.param(
            _timeline(5, *[0] * 10, 5),
            _shards((0, 25), (0, 360), (331, None)),
            [Pause(30, 330, has_workers=True)],
            id="with workers: the endpoint was away",
        ),
        pytest.param(_timeline(5, 0, 0, 5), _shards((0, 120)), [], id="not with workers, which may wait for an answer"),
        pytest.param(
            _timeline(0, 0, 5, 0, 0, 0, 5),
            _shards((60, 89), (180, 210)),
            [Pause(0, 60, has_workers=False), Pause(90, 180, has_workers=False)],
            id="before the first answer, too",
        ),
    ],
)
def test_pauses_are_found(timeline: Timeline, shards: dict[str, Any], pauses: list[Pause]) -> None:
    assert find_pauses(timeline, shards) == pauses


def test_pauses_are_told_with_their_time_and_the_longest_of_many() -> None:
    timeline = _timeline(*[1] * 4000)
    told = str(pauses_told([Pause(60, 57_660, has_workers=False), Pause(60_000, 60_600, has_workers=True)], timeline))
    assert "Nothing was answered for 16 h 10 min of 1 d 9 h" in told
    assert "16 h from 1 min on (Nov 22, 06:01:00 – Nov 22, 22:01:00 UTC): it was held, or had no workers" in told
    assert "10 min from 16 h 40 min on" in told
    many = [Pause(n * 1000, n * 1000 + 100 + n, has_workers=False) for n in range(8)]
    assert "and 3 shorter pauses" in str(pauses_told(many, timeline))
    assert str(pauses_told([], timeline)) == ""


def test_the_share_of_a_limit_is_that_of_the_time_without_pauses() -> None:
    timeline = _timeline(*[50] * 10, *[0] * 100, *[50] * 10)
    [requests, _] = throughput(timeline, {"requestsPerMinute": 125}, 3000.0)
    assert "100 on average, without pauses, 100 at most; 80 % of the limit of 125 was used on average" in str(requests)
