"""Runs `llmbatch` as real processes in a folder, for the tests of engine and command line.

    bench = Bench(tmp_path, sim.url)
    bench.batch(items=texts(3), concurrency=4)     writes batch.yaml
    ended = await bench.run()                      exit code, stdout, stderr
    bench.results(), bench.errors(), bench.summary()

Every process has a deadline and is gone when the test is.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from builders import Document, manifest

DEADLINE_S = 60.0
FAST_RETRY = {"initialSeconds": 0.01, "maxSeconds": 0.05}
_UNCONCERNED = ("LLMBATCH", "OTEL", "HTTP_PROXY", "http_proxy", "PYTHONDONTWRITEBYTECODE")
_BYTECODE = Path(__file__).parents[2] / ".pytest_cache" / "bytecode"


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str
    seconds: float

    def __str__(self) -> str:
        return f"exit code {self.code} after {self.seconds:.1f} s\n{self.out}\n{self.err}"

    @property
    def summary(self) -> Document:
        """The last line of `--output json`."""
        return dict(json.loads(self.out.splitlines()[-1])["summary"])

    @property
    def lines(self) -> list[Document]:
        """All lines of `--output json`."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Process:
    """A command that runs, and all that it writes."""

    process: asyncio.subprocess.Process
    started: float = field(default_factory=time.monotonic)

    async def ended(self, deadline_s: float = DEADLINE_S) -> Ended:
        """Wait for the end."""
        async with asyncio.timeout(deadline_s):
            out, err = await self.process.communicate()
        code = self.process.returncode
        assert code is not None
        return Ended(code, out.decode(), err.decode(), time.monotonic() - self.started)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def kill_group(self) -> None:
        """End it and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def children(self) -> list[int]:
        """Ids of its child processes."""
        listing = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in listing.read_text().split()] if listing.exists() else []


@dataclass
class Bench:
    """A folder with a manifest, its input and its output."""

    folder: Path
    url: str
    env: dict[str, str] = field(default_factory=dict)

    @property
    def manifest(self) -> Path:
        return self.folder / "batch.yaml"

    @property
    def output(self) -> Path:
        return self.folder / "out"

    @property
    def state(self) -> Path:
        return self.output / ".llmbatch"

    def batch(self, **fields: Any) -> Document:
        """Write the manifest; keywords as for `builders.manifest`."""
        defaults: Document = {"prompt": "{{ text }}", "retry": FAST_RETRY, "output": {"uri": "out"}}
        document = manifest(url=self.url, **defaults | fields)
        self.write(document)
        return document

    def write(self, document: Document) -> None:
        """Write a manifest as it is."""
        self.manifest.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False))

    @asynccontextmanager
    async def started(
        self, *arguments: str, command: str = "run", prefix: tuple[str, ...] = ()
    ) -> AsyncIterator[Process]:
        """A command on the manifest; killed at the end of the block if it still runs."""
        process = await asyncio.create_subprocess_exec(
            *prefix, sys.executable, "-m", "llmbatch_cli.main", command, str(self.manifest), *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=self.folder, env=environment() | self.env, start_new_session=True, limit=16 << 20,
        )  # fmt: skip
        running = Process(process)
        try:
            yield running
        finally:
            running.kill_group()
            await process.communicate()

    async def run(self, *arguments: str, command: str = "run", deadline_s: float = DEADLINE_S) -> Ended:
        """Run a command to its end."""
        async with self.started(*arguments, command=command) as process:
            return await process.ended(deadline_s)

    def results(self, name: str = "results.jsonl") -> list[Document]:
        return list(read_lines(self.output / name))

    def errors(self) -> list[Document]:
        return list(read_lines(self.output / "errors.jsonl"))

    def summary(self) -> Document:
        return dict(json.loads((self.output / "summary.json").read_text()))

    def indexes(self) -> list[int]:
        """Numbers of all items in results and errors, sorted."""
        return sorted(record["index"] for record in self.results() + self.errors())

    def parts(self) -> list[Document]:
        """All records in the working store."""
        return [record for part in sorted(self.state.glob("shards/*/part-*")) for record in read_lines(part)]


def read_lines(path: Path) -> Iterator[Document]:
    """The objects of a JSON lines file."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def texts(count: int, word: str = "item") -> list[Document]:
    """Items with one text each, all different."""
    return [{"text": f"{word} {number}"} for number in range(count)]


def write_jsonl(path: Path, items: list[Document]) -> Path:
    """Items as a JSON lines file."""
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


async def until(condition: Callable[[], bool], deadline_s: float = 20.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110  # what is waited for is another process
            await asyncio.sleep(0.005)  # what is waited for is another process


def environment() -> dict[str, str]:
    """The environment without what concerns LLMBatch, and with compiled modules kept: that halves the start."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_UNCONCERNED)}
    return kept | {"PYTHONPYCACHEPREFIX": str(_BYTECODE)}
