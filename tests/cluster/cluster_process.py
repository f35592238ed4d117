"""Runs commands, and starts and stops the processes of the test cluster.

Used by all modules that start something. A started process is remembered in a file with its start time and the boot of
the machine, so that `stop` never ends a stranger which has got the number of a process that is long gone.
"""

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster.cluster_places import STATE, ClusterError

_POLL_S = 0.2
_STOP_S = 8
_LOG_LINES = 15


@dataclass(frozen=True)
class Identity:
    """One process in the life of this machine."""

    pid: int
    started_ticks: str
    boot: str


def say(text: str) -> None:
    """One line of progress."""
    print(f"cluster: {text}", flush=True)


def run(*command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return its output. Raises ClusterError with what it printed."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, cwd=cwd, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise ClusterError(f"cannot run {words[0]}: {error}") from error
    if done.returncode:
        raise ClusterError(f"failed with exit code {done.returncode}: {' '.join(words)}\n{_end(done)}")
    return done.stdout


def succeeds(*command: str | Path) -> bool:
    """Whether a command runs and ends with exit code 0."""
    try:
        run(*command)
    except ClusterError:
        return False
    return True


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until no other process does what this lock is for."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def start(name: str, *command: str | Path) -> None:
    """Start a process that outlives this one; its output goes to STATE/NAME.log."""
    with (STATE / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=STATE,
            start_new_session=True,
        )
    identity = identity_of(process.pid)
    if identity is not None:
        _record(name).write_text(json.dumps(asdict(identity)))


def stop(name: str) -> None:
    """End a process that `start` started, if it still runs: first politely, then by force."""
    identity = recorded(name)
    if identity is not None and is_running(identity):
        end(identity)
    _record(name).unlink(missing_ok=True)


def end(identity: Identity, *, politely: bool = True) -> None:
    """End one process and wait until it is gone."""
    for number in (signal.SIGTERM, signal.SIGKILL) if politely else (signal.SIGKILL,):
        try:
            os.kill(identity.pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + _STOP_S
        while time.monotonic() < deadline:
            if not is_running(identity):
                return
            time.sleep(0.05)


def wait_until(what: str, ready: Callable[[], bool], *, name: str = "", timeout_s: float = 90) -> None:
    """Wait for a condition. Gives up at once, showing the log, when the process it depends on has ended."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if name and not runs(name):
            raise ClusterError(f"{name} ended:\n{log_end(name)}")
        if time.monotonic() > deadline:
            raise ClusterError(f"{what} not ready after {timeout_s:g} s:\n{log_end(name) if name else STATE}")
        time.sleep(_POLL_S)


def runs(name: str) -> bool:
    """Whether the process started under this name still runs."""
    identity = recorded(name)
    return identity is not None and is_running(identity)


def recorded(name: str) -> Identity | None:
    """The process started under this name, whether it still runs or not."""
    try:
        return Identity(**json.loads(_record(name).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def is_running(identity: Identity) -> bool:
    """Whether exactly this process runs; a zombie does not."""
    return identity_of(identity.pid) == identity


def identity_of(pid: int) -> Identity | None:
    """The process that has this number now."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Field 3 of stat is the state, field 22 the start time; the name, field 2, may hold spaces.
    return None if after_name[0] in "ZX" else Identity(pid, after_name[19], boot)


def log_end(name: str) -> str:
    """The last lines that a process wrote."""
    path = STATE / f"{name}.log"
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join([*lines[-_LOG_LINES:], f"(all of it: {path})"])


def _record(name: str) -> Path:
    return STATE / f"{name}.process"


def _end(done: subprocess.CompletedProcess[str]) -> str:
    return "\n".join((done.stdout + done.stderr).splitlines()[-_LOG_LINES:])
