"""Batches that share one endpoint: its limits, its waits and its outages are those of all of them."""

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from engine.local_run import texts, until
from engine.own_endpoint import chat_answer, serving
from engine.own_engines import OwnBatch
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_contract.reports import Command
from llmbatch_contract.sharing import EndpointShares
from llmbatch_contract.spec import Limits

NONE = {"requests": 0, "tokens": 0, "concurrency": 0}
ASKED = {"prompt": "{{ text }}", "parameters": {"max_tokens": 20}}


def shares(**limits: Any) -> EndpointShares:
    return EndpointShares(Limits(**limits), time.monotonic())


def simulated(**settings: Any) -> Simulator:
    return Simulator(SimulatorSettings.parse({"latency": "30ms", **settings}))


@pytest.fixture
def soon_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint counts as down after one second, not five."""
    for module in ("llmbatch_worker.limits.troubles", "llmbatch_contract.sharing.outages"):
        monkeypatch.setattr(f"{module}._LEAST_S", 1.0)


async def when(condition: Any, deadline_s: float = 30) -> None:
    await until(condition, deadline_s)


@pytest.mark.parametrize(
    ("enforced", "limits", "least_used"),
    [
        pytest.param(
            {"requests_per_minute": 6000, "limit_window": "3s"}, {"requests_per_minute": 5400}, 0.7, id="requests"
        ),
        pytest.param(
            {"tokens_per_minute": 120_000, "limit_window": "3s"}, {"tokens_per_minute": 108_000}, 0.6, id="tokens"
        ),
        pytest.param({"max_concurrency": 5}, {"concurrency": 5}, None, id="concurrency"),
    ],
)
async def test_two_batches_use_a_limit_up_and_never_exceed_it(
    tmp_path: Path, enforced: dict[str, Any], limits: dict[str, Any], least_used: float | None
) -> None:
    """The limit given is a tenth lower: a window of 3 s leaves less room to catch up than the minute it is made for.

    How much of it is used depends on what else the machine does; on a clock of its own tests/contract measures it.
    """
    endpoint = shares(**limits)
    async with simulated(**enforced) as sim:
        one, two = (
            OwnBatch(tmp_path / name, endpoint, items=texts(250), url=sim.url, request=ASKED, shardSize=50)
            for name in ("one", "two")
        )
        running = [asyncio.create_task(b.run(w)) for b in (one, two) for w in ("pod-0", "pod-1")]
        await when(lambda: sim.stats.requests > 120)
        began, before = time.monotonic(), (sim.stats.requests, sim.stats.input_tokens + sim.stats.output_tokens)
        await when(lambda: sim.stats.requests > 420)
        took_s = time.monotonic() - began
        counts = (sim.stats.requests, sim.stats.input_tokens + sim.stats.output_tokens)
        await asyncio.gather(*running)
        assert sim.stats.violations == NONE
        assert sim.stats.requests == 500
    if least_used is not None:
        limit = next(iter(limits.values()))
        used = [now - then for now, then in zip(counts, before, strict=True)]["tokens_per_minute" in limits]
        assert used >= least_used * limit * took_s / 60
    assert all(len(b.records()) == 250 for b in (one, two))


async def test_a_retry_after_that_one_batch_met_holds_the_other(tmp_path: Path) -> None:
    arrivals: list[float] = []

    async def busy_once(_request: web.Request) -> web.Response:
        arrivals.append(time.monotonic())
        if len(arrivals) == 20:
            return web.json_response({"error": {"message": "wait"}}, status=429, headers={"Retry-After": "2"})
        await asyncio.sleep(0.05)
        return chat_answer()

    endpoint = shares()
    async with serving(busy_once) as url:
        one, two = (
            OwnBatch(tmp_path / name, endpoint, items=texts(40), url=url, concurrency=2) for name in ("one", "two")
        )
        await asyncio.gather(one.run(), two.run())
    met = arrivals[19]
    early = [at - met for at in arrivals[20:] if at < met + 1.9]
    assert all(after_s < 1.0 for after_s in early), early
    assert len(arrivals) == 81
    assert max(two.records().values(), key=lambda r: r["completed_at"])["attempts"] == 1


@pytest.mark.usefixtures("soon_down")
async def test_an_outage_burns_no_attempt_and_one_worker_probes(tmp_path: Path) -> None:
    """With the connection refused and, once it is there again, with 503 for a while."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = shares()
    retry = {"maxAttempts": 2, "initialSeconds": 0.2, "maxSeconds": 1}
    batches = [
        OwnBatch(
            tmp_path / name, endpoint, items=texts(100), url=f"http://127.0.0.1:{port}/v1", concurrency=3, retry=retry
        )
        for name in ("one", "two")
    ]
    async with simulated(port=port, latency="100ms") as sim:
        running = [asyncio.create_task(b.run(w)) for b in batches for w in ("pod-0", "pod-1")]
        await when(lambda: sim.stats.answered_ok > 40)
    told = [link for each in batches for link in each.links.values()]
    await when(lambda: all(link.reply is not None and link.reply.outage is not None for link in told), 15)
    async with simulated(port=port, latency="100ms", fail={"unavailable": 1.0}, fail_attempts=0) as sim:
        await when(lambda: sim.stats.requests > 0)
        await asyncio.sleep(1)
        assert endpoint.facts(time.monotonic()).is_down
        assert sim.stats.requests <= 2, "one of four workers asks now and then"
        sim.update(fail={})
        await asyncio.gather(*running)
    assert not endpoint.facts(time.monotonic()).is_down
    for each in batches:
        assert len(each.records()) == 100
        assert not [record for record in each.records().values() if "error" in record]


@pytest.mark.usefixtures("soon_down")
async def test_an_endpoint_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = shares()
    retry = {"maxAttempts": 1, "initialSeconds": 0.1, "maxSeconds": 0.2}
    batch = OwnBatch(tmp_path / "early", endpoint, items=texts(20), url=f"http://127.0.0.1:{port}/v1", retry=retry)
    running = asyncio.create_task(batch.run())
    await when(lambda: endpoint.facts(time.monotonic()).is_down, 15)
    async with simulated(port=port):
        ended = await running
    assert (ended.stop, len(batch.records())) == (None, 20)


async def test_items_that_alone_break_the_connection_end_as_dead_letters(tmp_path: Path) -> None:
    """Only they are left in the end, and nothing else is answered: that is no outage."""
    endpoint = shares()
    broken = [{"text": f"[[simulate: {what}]] {n}"} for n in range(4) for what in ("reset", "server_error")]
    retry = {"maxAttempts": 4, "initialSeconds": 0.5, "maxSeconds": 4}
    async with simulated() as sim:
        batch = OwnBatch(tmp_path / "broken", endpoint, items=[*broken, *texts(60)], url=sim.url, retry=retry)
        async with asyncio.timeout(40):
            await batch.run()
    letters = [r for r in batch.records().values() if "error" in r]
    assert sorted({(r["error"]["category"], r["attempts"]) for r in letters}) == [
        ("connection", 4),
        ("server_error", 4),
    ]
    assert len(batch.records()) == 68


async def test_a_budget_is_kept_by_all_workers_together(tmp_path: Path) -> None:
    endpoint = shares()
    async with simulated(latency="60ms") as sim:
        batch = OwnBatch(
            tmp_path / "spender", endpoint, items=texts(400), url=sim.url, request=ASKED, concurrency=4,
            budget={"maxTokens": 4000},
        )  # fmt: skip
        running = [asyncio.create_task(batch.run(worker)) for worker in ("pod-0", "pod-1")]
        await when(lambda: batch.coordinator.budget_is_spent)
        await asyncio.sleep(1)
        spent = sim.stats.input_tokens + sim.stats.output_tokens
        assert 0.8 * 4000 <= spent <= 4000 + 8 * 60
        assert all(link.report is not None and link.report.waits_for_budget for link in batch.links.values())
        for engine in batch.engines.values():
            engine.interrupt()
        await asyncio.gather(*running)
        assert spent == sim.stats.input_tokens + sim.stats.output_tokens


async def test_a_request_larger_than_the_limit_is_an_error_of_its_item(tmp_path: Path) -> None:
    endpoint = shares(tokens_per_minute=30_000)
    async with simulated() as sim:
        items = [*texts(3), {"text": "long " * 30_000}, *texts(3)]
        batch = OwnBatch(
            tmp_path / "long", endpoint, items=items, url=sim.url, request=ASKED, limits={"tokensPerMinute": 30_000}
        )
        async with asyncio.timeout(20):
            await batch.run()
        assert sim.stats.requests == 6
    (letter,) = [r for r in batch.records().values() if "error" in r]
    assert letter["error"]["category"] == "invalid_request"
    assert letter["error"]["message"].startswith("the request needs about 3")
    assert letter["error"]["message"].endswith("limits.tokensPerMinute of 30,000 allows in a minute")


@pytest.mark.parametrize("share", [0.4, 0.6, 0.9])
async def test_a_request_nearly_as_large_as_the_limit_is_sent(tmp_path: Path, share: float) -> None:
    limit = 60_000
    endpoint = shares(tokens_per_minute=limit)
    async with simulated() as sim:
        items = [*texts(3), {"text": "long " * int(share * limit * 4 / 5)}, *texts(3)]
        batch = OwnBatch(
            tmp_path / "large", endpoint, items=items, url=sim.url, request=ASKED, limits={"tokensPerMinute": limit}
        )
        running = asyncio.create_task(batch.run())
        await when(lambda: sim.stats.input_tokens > 0.8 * share * limit, 20)
        batch.engines["pod-0"].interrupt()
        await running


async def test_a_worker_that_hears_nothing_for_a_lease_sends_nothing_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("llmbatch_worker.limits.lease.LEASE_S", 1.5)
    endpoint = shares(requests_per_minute=1200)
    async with simulated() as sim:
        batch = OwnBatch(tmp_path / "leased", endpoint, items=texts(400), url=sim.url)
        running = asyncio.create_task(batch.run())
        await when(lambda: sim.stats.requests > 5)
        link = batch.links["pod-0"]
        link.is_cut = True
        await asyncio.sleep(2.0)
        asked = sim.stats.requests
        await asyncio.sleep(1.2)
        assert sim.stats.requests == asked
        link.is_cut = False
        await when(lambda: sim.stats.requests > asked)
        batch.engines["pod-0"].interrupt()
        await running
    assert caplog.text.count("nothing is sent until there is one") == 1
    assert link.reply is not None
    assert link.reply.command is Command.RUN
