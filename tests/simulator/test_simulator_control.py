import time

import pytest

from llmbatch_cli.simulator import SettingsError, Simulator
from simulator.asking import PATHS, ask, running


async def test_the_simulator_is_healthy() -> None:
    async with running() as client:
        assert (await client.control("GET", "/healthz")).status == 200


async def test_stats_tell_what_happened() -> None:
    before = time.time()
    async with running(fail={"server_error": 1.0}) as client:
        _, reply = [await client.chat("Hello") for _ in range(2)]
        stats = (await client.control("GET", "/stats")).body
    assert (stats["requests"], stats["answered_ok"], stats["in_flight"], stats["max_in_flight"]) == (2, 1, 0, 1)
    assert stats["by_status"] == {"500": 1, "200": 1}
    assert stats["by_category"] == {"server_error": 1}
    assert stats["violations"] == {"requests": 0, "tokens": 0, "concurrency": 0}
    assert stats["input_tokens"] == 2 * reply.body["usage"]["prompt_tokens"]
    assert stats["output_tokens"] == reply.body["usage"]["completion_tokens"]
    assert before <= stats["first_request_at"] <= stats["last_request_at"] <= time.time()
    assert stats["aborted"] == 0
    assert "keys" not in stats


async def test_stats_count_idempotency_keys_when_asked() -> None:
    async with running() as client:
        for key, parent in [("a", "00-1"), ("a", "00-2"), ("b", None)]:
            headers = {"Idempotency-Key": key, **({"traceparent": parent} if parent else {})}
            await client.send("POST", client.sim.url + PATHS["chat"], json=ask("chat"), headers=headers)
        stats = (await client.control("GET", "/stats?keys=1")).body
    assert stats["keys"] == {"a": 2, "b": 1}
    assert stats["traceparents"] == {"a": "00-2"}


async def test_a_reset_starts_anew_and_the_same_items_fail_again() -> None:
    async with running(fail={"server_error": 1.0}) as client:
        first = [(await client.chat()).status for _ in range(2)]
        await client.control("POST", "/stats/reset")
        assert client.sim.stats.requests == 0
        assert first == [(await client.chat()).status for _ in range(2)] == [500, 200]


async def test_settings_can_be_changed_while_it_runs() -> None:
    async with running(requests_per_minute=100) as client:
        await client.chat("a")
        outage = {"fail": {"unavailable": 1.0}, "fail_attempts": 0, "latency": "1ms"}
        shown = await client.control("PATCH", "/settings", json=outage)
        during = [(await client.chat("a")).status for _ in range(2)]
        await client.control("PATCH", "/settings", json={"fail": {}, "requests_per_minute": None})
        after = await client.chat("a")
        settings = (await client.control("GET", "/settings")).body
    assert shown.body["fail"] == {"unavailable": 1.0}
    assert (during, after.status) == ([503, 503], 200)
    assert "x-ratelimit-limit-requests" not in after.headers
    assert (settings["latency"], settings["fail_attempts"], settings["fail"]) == (0.001, 0, {})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param('{"latencie": 1}', "known: host, port, api_key", id="unknown name"),
        pytest.param('{"fail": {"hang": 7}}', "must be a number from 0 to 1", id="bad value"),
        pytest.param('{"port": 1}', "cannot change", id="fixed"),
        pytest.param("[]", "JSON object", id="no object"),
        pytest.param("{", "", id="no JSON"),
    ],
)
async def test_nonsense_changes_nothing_and_gets_a_400(body: str, message: str) -> None:
    async with running() as client:
        before = client.sim.settings
        reply = await client.control("PATCH", "/settings", data=body)
        assert client.sim.settings is before
    assert reply.status == 400
    assert message in reply.body["error"]["message"]


async def test_a_test_can_update_and_reset_without_http() -> None:
    async with running() as client:
        client.sim.update(fail={"auth": 1.0})
        assert (await client.chat()).status == 401
        client.sim.reset()
        assert client.sim.stats.requests == 0
        with pytest.raises(SettingsError, match="unknown setting"):
            client.sim.update(nothing=1)


def test_a_simulator_that_does_not_run_has_no_url() -> None:
    with pytest.raises(RuntimeError, match="does not run"):
        _ = Simulator().url


async def test_a_simulator_on_all_interfaces_has_a_url_to_connect_to() -> None:
    async with Simulator() as sim:
        assert sim.url.startswith("http://127.0.0.1:")
        assert sim.url.endswith("/v1")
