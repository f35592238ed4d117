import asyncio
import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from llmbatch_cli.simulator import SimulatorSettings
from llmbatch_cli.simulator.delivery import retry_after
from llmbatch_cli.simulator.limits import Limits
from simulator.asking import PATHS, running, until

_NEARLY_A_MINUTE = r"1m0s|59(\.\d+)?s"


async def test_requests_over_the_limit_get_a_429_that_is_counted_and_not_charged() -> None:
    async with running(requests_per_minute=3) as client:
        replies = [await client.chat(str(index)) for index in range(5)]
        stats = client.sim.stats
    assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
    assert replies[3].body["error"]["type"] == "requests"
    assert replies[3].code == "rate_limit_exceeded"
    assert 58 <= int(replies[3].headers["retry-after"]) <= 60
    assert stats.violations == {"requests": 2, "tokens": 0, "concurrency": 0}
    assert stats.by_status == {"200": 3, "429": 2}
    assert (stats.requests, stats.answered_ok) == (5, 3)


async def test_tokens_over_the_limit_get_a_429_of_type_tokens() -> None:
    async with running(tokens_per_minute=30, output_tokens=4) as client:
        first, second = await client.chat("x" * 80), await client.chat("y" * 80)
        small = await client.chat("hey", max_tokens=1)
        stats = client.sim.stats
    assert [first.status, second.status, small.status] == [200, 429, 200]
    assert (second.body["error"]["type"], second.code) == ("tokens", "rate_limit_exceeded")
    assert "retry-after" in second.headers
    assert stats.violations["tokens"] == 1
    assert stats.input_tokens + stats.output_tokens <= 30


async def test_tokens_are_charged_as_the_usage_says() -> None:
    async with running(tokens_per_minute=1000) as client:
        reply = await client.chat("Hello")
    left = int(reply.headers["x-ratelimit-remaining-tokens"])
    assert left == 1000 - reply.body["usage"]["total_tokens"]


async def test_a_request_larger_than_the_whole_limit_says_so() -> None:
    async with running(tokens_per_minute=100) as client:
        reply = await client.chat("x" * 4000)
    assert reply.status == 429
    assert "Request too large" in reply.body["error"]["message"]


async def test_more_at_once_than_allowed_get_a_429() -> None:
    async with running(max_concurrency=2, fail={"hang": 1.0}, fail_attempts=0) as client:
        hanging = [asyncio.create_task(client.chat(str(index))) for index in range(2)]
        await until(lambda: client.sim.stats.in_flight == 2)
        reply = await client.chat("third")
        for task in hanging:
            task.cancel()
        await until(lambda: client.sim.stats.in_flight == 0)
        assert (reply.status, reply.code) == (429, "rate_limit_exceeded")
        assert reply.headers["retry-after"] == "1"
        assert client.sim.stats.violations["concurrency"] == 1
        assert client.sim.stats.max_in_flight == 2


async def test_clients_that_keep_to_the_concurrency_never_violate_it() -> None:
    async with running(max_concurrency=4) as client:

        async def one_after_another(name: int) -> None:
            for index in range(50):
                await client.chat(f"{name} {index}")

        await asyncio.gather(*map(one_after_another, range(4)))
        assert client.sim.stats.violations["concurrency"] == 0
        assert client.sim.stats.answered_ok == 200


async def test_no_window_over_http_admits_more_than_the_limit() -> None:
    admitted: list[tuple[float, float]] = []
    async with running(requests_per_minute=1200, limit_window="250ms") as client:

        async def hammer(name: int) -> None:
            while len(admitted) < 15:
                sent = time.monotonic()
                if (await client.chat(f"{name} {sent}")).status == 200:
                    admitted.append((sent, time.monotonic()))

        await asyncio.gather(*map(hammer, range(4)))
        assert client.sim.stats.violations["requests"] > 0
    # 5 in each 250 ms: the 15th cannot be answered before the third window begins.
    assert max(received for _, received in admitted) - min(sent for sent, _ in admitted) >= 0.5


async def test_after_the_retry_after_a_request_is_admitted() -> None:
    async with running(requests_per_minute=60, limit_window="1s") as client:
        assert (await client.chat("one")).status == 200
        rejected = await client.chat("two")
        assert rejected.headers["retry-after"] == "1"
        await asyncio.sleep(1)
        assert (await client.chat("two")).status == 200


@pytest.mark.parametrize("api", PATHS)
@pytest.mark.parametrize("fail", [{}, {"server_error": 1.0}, {"html": 1.0}, {"truncated_json": 1.0}])
async def test_every_answer_carries_the_limits_while_they_are_set(api: str, fail: dict[str, float]) -> None:
    async with running(requests_per_minute=100, tokens_per_minute=5000, fail=fail) as client:
        headers = (await client.post(api)).headers
        client.sim.update(tokens_per_minute=None)
        later = (await client.post(api)).headers
    assert headers["x-ratelimit-limit-requests"] == "100"
    assert headers["x-ratelimit-remaining-requests"] == "99"
    assert re.fullmatch(_NEARLY_A_MINUTE, headers["x-ratelimit-reset-requests"])
    assert headers["x-ratelimit-limit-tokens"] == "5000"
    assert re.fullmatch(_NEARLY_A_MINUTE, headers["x-ratelimit-reset-tokens"])
    assert later["x-ratelimit-remaining-requests"] == "98"
    assert "x-ratelimit-limit-tokens" not in later


async def test_a_bad_request_carries_the_limits_and_is_not_charged() -> None:
    async with running(requests_per_minute=100) as client:
        reply = await client.chat(max_tokens=0)
    assert reply.status == 400
    assert reply.headers["x-ratelimit-remaining-requests"] == "100"


@pytest.mark.parametrize(
    ("form", "wait_s", "expected"),
    [
        pytest.param("seconds", 0.2, {"Retry-After": "1"}, id="part of a second is a second"),
        pytest.param("seconds", 6.01, {"Retry-After": "7"}, id="rounded up"),
        pytest.param("date", 1.0, {"Retry-After": "Sun, 01 Mar 2026 00:00:02 GMT"}, id="date rounded up"),
        pytest.param("none", 5.0, {}, id="none"),
    ],
)
def test_retry_after_is_never_too_early(form: str, wait_s: float, expected: dict[str, str]) -> None:
    now = datetime(2026, 3, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert retry_after(form, wait_s, now) == expected


async def test_retry_after_can_be_a_date() -> None:
    async with running(requests_per_minute=1, retry_after_format="date") as client:
        await client.chat()
        reply = await client.chat()
    wait_s = (parsedate_to_datetime(reply.headers["retry-after"]) - datetime.now(UTC)).total_seconds()
    assert 55 <= wait_s <= 61


def test_a_rejected_request_is_charged_to_no_limit() -> None:
    limits = Limits(SimulatorSettings(requests_per_minute=10, tokens_per_minute=100))
    assert limits.admit(90, in_flight=0, now=0.0) is None
    violation = limits.admit(20, in_flight=0, now=1.0)
    assert violation is not None
    assert (violation.limit, violation.wait_s) == ("tokens", 59.0)
    assert limits.headers(1.0)["x-ratelimit-remaining-requests"] == "9"
    assert limits.admit(20, in_flight=0, now=60.0) is None


def test_a_limit_changed_while_running_keeps_what_was_charged() -> None:
    limits = Limits(SimulatorSettings(requests_per_minute=10))
    for second in range(5):
        assert limits.admit(1, in_flight=0, now=float(second)) is None
    limits.change(SimulatorSettings(requests_per_minute=5))
    assert limits.admit(1, in_flight=0, now=5.0) is not None
    limits.change(SimulatorSettings(requests_per_minute=6))
    assert limits.admit(1, in_flight=0, now=5.0) is None
