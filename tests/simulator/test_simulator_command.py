"""The command as a real process."""

import asyncio
import errno
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from simulator.asking import ask

_COMMAND = (sys.executable, "-m", "llmbatch_cli.simulator")


@asynccontextmanager
async def _started(*options: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(*_COMMAND, *options, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _url(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        line = (await process.stdout.readline()).decode()
    assert line.startswith("listening on http://127.0.0.1:")
    assert line.endswith("/v1\n")
    return line.split()[-1]


async def _ended(*options: str) -> tuple[int | None, str]:
    async with _started(*options) as process, asyncio.timeout(30):
        _, errors = await process.communicate()
        return process.returncode, errors.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_with_exit_code_0_even_with_a_hanging_request(number: signal.Signals) -> None:
    async with _started("--port", "0", "--fail", "hang=1") as process, aiohttp.ClientSession() as session:
        url = await _url(process)
        hanging = asyncio.create_task(session.post(url + "/chat/completions", json=ask("chat")))
        await _until_in_flight(session, url.removesuffix("/v1"))
        process.send_signal(number)
        async with asyncio.timeout(5):
            assert await process.wait() == 0
        with pytest.raises(aiohttp.ClientError):
            await hanging
        assert process.stderr is not None
        assert await process.stderr.read() == b""


async def _until_in_flight(session: aiohttp.ClientSession, root: str) -> None:
    async with asyncio.timeout(10):
        while True:
            async with session.get(root + "/stats") as response:
                if (await response.json())["in_flight"]:
                    return


async def test_every_option_becomes_its_setting() -> None:
    options = {
        "host": "127.0.0.1",
        "seed": 7,
        "latency": 0.08,
        "latency-spread": 0.5,
        "tokens-per-second": 30.0,
        "output-tokens": 9.0,
        "requests-per-minute": 600,
        "tokens-per-minute": 9000,
        "max-concurrency": 5,
        "limit-window": 2.0,
        "overloaded-concurrency": 4,
        "retry-after-format": "date",
        "fail-attempts": 2,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    repeated = ["--model", "a", "--model", "b", "--fail", "hang=0.1", "--fail", "slow=0.2"]
    async with (
        _started("--port", "0", *words, *repeated, "--api-key", "k") as process,
        aiohttp.ClientSession() as session,
        session.get((await _url(process)).removesuffix("/v1") + "/settings") as response,
    ):
        shown = await response.json()
    expected = {name.replace("-", "_"): value for name, value in options.items()}
    assert shown == {
        **expected,
        "port": 0,
        "models": ["a", "b"],
        "fail": {"hang": 0.1, "slow": 0.2},
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fail", "hang=0.7", "--fail", "slow=0.7"], "error: fail: the rates add up to 1.4"),
        (["--latency", "soon"], "error: latency: not a duration: 'soon'"),
        (["--fail", "boom=1"], "known: server_error"),
    ],
)
async def test_settings_that_are_nonsense_end_it_with_exit_code_2(options: list[str], message: str) -> None:
    code, errors = await _ended("--port", "0", *options)
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors


async def test_a_port_in_use_is_named() -> None:
    async with _started("--port", "0") as process:
        port = (await _url(process)).removesuffix("/v1").rpartition(":")[2]
        code, errors = await _ended("--port", port)
    assert code == 1
    assert errors == f"error: cannot listen on 127.0.0.1:{port}: {os.strerror(errno.EADDRINUSE)}\n"
