"""Starts what is measured in processes of its own, pinned to one core, and sees each to its end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).resolve().parents[1]
_END_S = 10.0
_LONGEST_S = 2400.0
_LOOK_EVERY_S = 0.01


def client_core() -> int:
    """The core of what is measured."""
    return min(os.sched_getaffinity(0))


def simulator_core() -> int:
    """The core of the simulator: another one, where there is one."""
    return max(os.sched_getaffinity(0))


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Processes started inside inherit this one core. None: all cores."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def process(
    arguments: list[str],
    core: int | None,
    stdout: int = subprocess.PIPE,
    *,
    stderr: IO[str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Iterator["subprocess.Popen[str]"]:
    """A Python process, ended when the block ends, and killed when it takes much too long."""
    with pinned(core):
        started = subprocess.Popen(
            [sys.executable, *arguments], cwd=_ROOT, stdout=stdout, stderr=stderr, env=dict(environment), text=True
        )
    watchdog = threading.Timer(_LONGEST_S, started.kill)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield started
    finally:
        watchdog.cancel()
        end(started)


def end(started: "subprocess.Popen[str]") -> None:
    """Ask a process to end; kill it if it does not."""
    if started.poll() is None:
        started.send_signal(signal.SIGTERM)
    try:
        started.wait(_END_S)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()
    if started.stdout is not None:
        started.stdout.close()


def measure(module: str, *, environment: Mapping[str, str] = os.environ, **parameters: Any) -> dict[str, Any]:
    """Run `measure` of a module of `inside/` in a process of its own."""
    arguments = ["-m", "benchmarks.child", module, json.dumps(parameters)]
    with process(arguments, client_core(), environment=environment) as child:
        out, _ = child.communicate()
    if child.returncode != 0:
        raise RuntimeError(f"the measurement {module} ended with exit code {child.returncode}")
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    return answer


@dataclass(frozen=True)
class Whole:
    """A whole run of a process, from its start to its exit."""

    seconds: float
    cpu_s: float
    peak_mb: float


def time_command(arguments: list[str], environment: Mapping[str, str] = os.environ) -> Whole:
    """Run `llmbatch ARGUMENTS` to its end, on the client core."""
    return time_process(["-m", "llmbatch_cli.main", *arguments], environment)


def time_process(arguments: list[str], environment: Mapping[str, str] = os.environ) -> Whole:
    """Run a Python process to its end, on the client core."""
    started, peak_mb = time.perf_counter(), 0.0
    with process(arguments, client_core(), subprocess.DEVNULL, environment=environment) as child:
        while not (ended := os.wait4(child.pid, os.WNOHANG))[0]:
            peak_mb = max(peak_mb, memory_mb(child.pid)[1])
            time.sleep(_LOOK_EVERY_S)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(ended[1])
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments[:3])} ended with exit code {child.returncode}")
    return Whole(seconds, ended[2].ru_utime + ended[2].ru_stime, peak_mb)


@dataclass(frozen=True)
class SimulatorProcess:
    """A running simulator."""

    url: str
    pid: int

    def stats(self) -> dict[str, Any]:
        """What it has seen."""
        with urllib.request.urlopen(f"{self.url.removesuffix('/v1')}/stats", timeout=30) as response:
            stats: dict[str, Any] = json.load(response)
        return stats

    def cpu_s(self) -> float:
        """CPU time it has used."""
        return cpu_s(self.pid)


@contextlib.contextmanager
def simulator(*options: str) -> Iterator[SimulatorProcess]:
    """`llmbatch simulate` on a free port, on its own core."""
    arguments = ["-m", "llmbatch_cli.main", "simulate", "--port", "0", *options]
    with process(arguments, simulator_core()) as started:
        assert started.stdout is not None
        said = started.stdout.readline()
        if "listening on " not in said:
            raise RuntimeError(f"the simulator did not start: {said!r}")
        yield SimulatorProcess(said.split()[-1], started.pid)


@contextlib.contextmanager
def collector() -> Iterator[str]:
    """A collector that takes all telemetry; its URL. On the simulator's core."""
    with process(["-m", "benchmarks.collector"], simulator_core()) as started:
        assert started.stdout is not None
        said = started.stdout.readline()
        if "listening on " not in said:
            raise RuntimeError(f"the collector did not start: {said!r}")
        yield said.split()[-1]


def cpu_s(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int | str = "self") -> tuple[float, float]:
    """Resident memory of a process now, and at its peak, in MB (10^6 bytes); zeros when it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        kb = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        return kb.get("VmRSS", 0) * 1024 / 1e6, kb.get("VmHWM", 0) * 1024 / 1e6
    return 0.0, 0.0
