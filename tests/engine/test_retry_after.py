"""One worker that was asked to wait makes all of them wait."""

import asyncio
import time
from pathlib import Path

from aiohttp import web

from engine.local_run import Bench, texts
from engine.own_endpoint import chat_answer, serving

_ASKED_S = 4.0
_WORD_GOES_ROUND_S = 2.5
"""Workers talk every half second; the rest is for a busy machine."""


async def test_a_retry_after_that_one_worker_met_holds_back_all_workers(tmp_path: Path) -> None:
    arrivals: list[float] = []

    async def busy_once(_request: web.Request) -> web.Response:
        arrivals.append(time.monotonic())
        if len(arrivals) == 40:
            headers = {"Retry-After": f"{_ASKED_S:.0f}"}
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers=headers)
        await asyncio.sleep(0.1)
        return chat_answer()

    async with serving(busy_once) as url:
        bench = Bench(tmp_path, url)
        bench.batch(items=texts(250), concurrency=2, shardSize=10)
        ended = await bench.run("--workers", "3")
    assert ended.code == 0, str(ended)
    assert len(arrivals) == 251
    met = arrivals[39]
    early = [at - met for at in arrivals[40:] if at < met + _ASKED_S - 0.01]
    assert all(after_s < _WORD_GOES_ROUND_S for after_s in early), early
    assert any(at >= met + _ASKED_S - 0.01 for at in arrivals)
