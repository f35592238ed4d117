"""A collector that is away, slow or broken costs a local run nothing but a bounded wait at its end."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.local_run import Bench, environment, texts, until
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from otlp_receiver import Behaviour, OtlpReceiver

_CLOSE_S = 5.0
_SLACK_S = 10.0
"""For the run itself, on a busy machine; requests to a collector take 10 s until they are given up."""
_OFF = """
import sys, threading
from llmbatch_cli.main import app
app(sys.argv[1:], standalone_mode=False)
loaded = [name for name in sys.modules if name.split(".")[0] in ("opentelemetry", "grpc", "google", "requests")]
print("loaded:", loaded, [thread.name for thread in threading.enumerate() if thread.name.startswith("llmbatch")])
"""


@pytest.mark.parametrize(
    ("behaviour", "protocol", "workers"),
    [
        ("refuses", "http/protobuf", "1"),
        ("refuses", "grpc", "1"),
        (Behaviour.ERROR, "http/protobuf", "2"),
        (Behaviour.ERROR, "grpc", "1"),
        (Behaviour.HANG, "http/protobuf", "1"),
        (Behaviour.HANG, "grpc", "2"),
    ],
)
async def test_outputs_and_display_are_as_ever_and_the_wait_is_bounded(
    tmp_path: Path, behaviour: str, protocol: str, workers: str
) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        with _collector(behaviour) as receiver:
            bench = Bench(tmp_path, sim.url, env=receiver.environment(protocol) | {"OTEL_BSP_SCHEDULE_DELAY": "100"})
            bench.batch(items=[*texts(200), {"text": "[[simulate: refusal]]"}])
            ended = await bench.run("--output", "json", "--workers", workers)
    assert (ended.code, ended.err) == (3, ""), str(ended)
    assert ended.summary == bench.summary()
    assert bench.indexes() == list(range(201))
    # Workers and the process that started them end one after the other.
    assert ended.seconds < 2 * _CLOSE_S + _SLACK_S
    warnings = [line["message"] for line in ended.lines if "warning" in line.get("message", "")]
    assert len(warnings) == len(set(warnings)) <= 4


@contextmanager
def _collector(behaviour: str) -> Iterator[OtlpReceiver]:
    """One that behaves like this; with `refuses`, there is none any more."""
    if behaviour == "refuses":
        with OtlpReceiver() as receiver:
            pass
        yield receiver
        return
    with OtlpReceiver(behaviour=Behaviour(behaviour)) as receiver:
        yield receiver


async def test_an_interrupted_run_does_not_wait_for_a_collector_that_hangs(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "20ms"})) as sim:
        with OtlpReceiver(behaviour=Behaviour.HANG) as receiver:
            bench = Bench(tmp_path, sim.url, env=receiver.environment())
            bench.batch(items=texts(5000))
            async with bench.started() as process:
                await until(lambda: sim.stats.answered_ok >= 50)
                started = time.monotonic()
                process.signal(signal.SIGINT)
                ended = await process.ended()
    assert (ended.code, ended.err) == (130, "")
    assert time.monotonic() - started < 2.5
    assert ended.out.splitlines()[-1].endswith("Run the same command again to go on")


async def test_when_it_is_off_nothing_is_imported_or_started(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(3))
        words = [sys.executable, "-c", _OFF, "run", str(bench.manifest)]
        process = await asyncio.to_thread(
            subprocess.run, words, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1] == "loaded: [] []"
    assert "  trace " not in process.stdout
