"""Whole processes: off costs nothing, and the end of a process never hangs, whatever state telemetry is in."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from otlp_receiver import Behaviour, OtlpReceiver

_OFF = """
import sys, threading
from llmbatch_telemetry.starting import start_telemetry
started = start_telemetry("llmbatch-worker", {}, keep_meters=True)
assert not started.has_spans
print(sorted(name for name in sys.modules if name.split(".")[0] in ("opentelemetry", "grpc", "requests", "google")))
print(threading.active_count())
"""
_ON = """
import sys, time
from llmbatch_telemetry import names
from llmbatch_telemetry.spans import Span
from llmbatch_telemetry.starting import start_telemetry
started = start_telemetry("llmbatch-worker", {})
for number in range(1, 100):
    started.span(Span("shard", "a" * 32, f"{number:016x}", None, time.time() - 1, time.time()))
started.meters.add(names.WORKER_ITEMS, 3, "succeeded", "")
"""
_ENDS = {
    "closed": "started.close(5)",
    "not closed": "",
    "in the middle of a flush": "started.flush(0.05)",
    "by SystemExit": "sys.exit(0)",
}


def run(code: str, environment: dict[str, str] | None = None) -> tuple[subprocess.CompletedProcess[str], float]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    before = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | (environment or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended, time.monotonic() - before


def test_off_imports_nothing_and_starts_no_thread() -> None:
    ended, _ = run(_OFF)
    assert (ended.stdout, ended.stderr) == ("[]\n1\n", "")


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("end", _ENDS)
def test_a_process_ends_cleanly(protocol: str, end: str) -> None:
    with OtlpReceiver() as receiver:
        ended, _ = run(_ON + _ENDS[end], receiver.environment(protocol))
        assert (ended.returncode, ended.stderr) == (0, "")
        if end == "closed":
            assert (len(receiver.spans), receiver.total("llmbatch.worker.items")) == (99, 3)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_process_ends_while_the_collector_hangs(protocol: str) -> None:
    with OtlpReceiver(behaviour=Behaviour.HANG) as receiver:
        code = _ON + "started.close(0.5)\nprint('closed')"
        with ThreadPoolExecutor(2) as pool:
            for ended, took_s in pool.map(lambda _: run(code, receiver.environment(protocol)), range(4)):
                assert (ended.returncode, ended.stdout) == (0, "closed\n")
                lines = ended.stderr.splitlines()
                assert [line for line in lines if not line.startswith("telemetry: ")] == []
                assert took_s < 20
