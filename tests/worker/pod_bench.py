"""Runs `llmbatch-worker STAGE` as a pod would: a configuration file, a token, a coordinator, and last words.

bench = PodBench(tmp_path, server, sim.url)
bench.batch(items=texts(3))
ended = await bench.run("plan")
bench.words.plan, bench.lines("results.jsonl")
"""

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builders import Document, batch
from engine.local_run import FAST_RETRY, Ended, Process, environment
from llmbatch_contract.job import Job
from llmbatch_contract.layout import work_folder
from llmbatch_contract.plan import Plan
from llmbatch_contract.pods import OUTPUT_URI, POD_NAME_VARIABLE, WORK_URI, LastWords, PodConfig, Stage
from llmbatch_contract.trace import trace_of
from llmbatch_contract.wire import OBJECTS, REPORT
from llmbatch_worker.channel import Channel
from llmbatch_worker.planning.marks import pod_shard_size
from llmbatch_worker.planning.planner import make_plan
from llmbatch_worker.pods.places import PodStores
from llmbatch_worker.pods.setting import read_setting
from worker.object_server import TOKEN, ObjectServer


@dataclass
class PodBench:
    """The batch of one namespace, and its pods one after another."""

    folder: Path
    server: ObjectServer
    url: str
    """Of the endpoint."""
    env: dict[str, str] = field(default_factory=dict)

    def batch(self, *, uid: str = "the-uid", pods: int = 1, place: str | None = None, **fields: Any) -> PodConfig:
        """Write the configuration; `place` is the URI of outputs elsewhere, other keywords as for `builders.batch`."""
        defaults: Document = {"prompt": "{{ text }}", "retry": FAST_RETRY}
        config = PodConfig(
            uid=uid,
            trace=trace_of(uid),
            job=Job(
                batch=batch(url=self.url, **defaults | fields),
                store_uri=WORK_URI if place is None else work_folder(place, uid),
                output_uri=place or OUTPUT_URI,
            ),
            workers=pods,
            coordinator_url=self.server.url,
            coordinator_ca="",
        )
        self.config.write_bytes(gzip.compress(config.dump_json()))
        (self.folder / "token").write_text(TOKEN)
        (self.folder / "input").mkdir(exist_ok=True)
        return config

    def planned(self, **fields: Any) -> Plan:
        """The configuration and its plan, without a pod."""
        config = self.batch(**fields)
        channel = Channel(self.server.url, "", self.folder / "token")
        stores = PodStores(channel, config, read_setting(Stage.PLAN, self.config, None, self.variables()))
        made = make_plan(
            config.job.batch, stores.open(WORK_URI), uid=config.uid, created_at="2026-01-01T00:00:00.000Z",
            stores=stores, workers=config.workers, size=pod_shard_size,
        )  # fmt: skip
        channel.close()
        return made.plan

    def variables(self) -> dict[str, str]:
        """Where a pod finds what Kubernetes mounts."""
        return {
            "_LLMBATCH_TOKEN": str(self.folder / "token"),
            "_LLMBATCH_INPUT_FOLDER": str(self.folder / "input"),
            "_LLMBATCH_VOLUMES": str(self.folder / "volumes"),
            "_LLMBATCH_CREDENTIALS": str(self.folder / "credentials"),
            "_LLMBATCH_CA": str(self.folder / "ca"),
            "_LLMBATCH_LAST_WORDS": str(self.folder / "words"),
        }

    @property
    def config(self) -> Path:
        return self.folder / "config.json.gz"

    @property
    def words(self) -> LastWords:
        """What the last pod left behind."""
        return LastWords.load((self.folder / "words").read_bytes())

    @asynccontextmanager
    async def started(
        self, stage: str, *arguments: str, pod: str = "pod-0", program: tuple[str, str] = ("-m", "llmbatch_worker")
    ) -> AsyncIterator[Process]:
        """A pod; killed at the end of the block if it still runs."""
        (self.folder / "words").unlink(missing_ok=True)
        own = self.variables() | {POD_NAME_VARIABLE: pod, "JOB_COMPLETION_INDEX": "0"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *program, stage, "--config", str(self.config), *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=environment() | own | self.env, start_new_session=True,
        )  # fmt: skip
        running = Process(process)
        try:
            yield running
        finally:
            running.kill_group()
            await process.communicate()

    async def run(self, stage: str, *arguments: str, pod: str = "pod-0") -> Ended:
        """Run a pod to its end."""
        async with self.started(stage, *arguments, pod=pod) as process:
            return await process.ended(30)

    def lines(self, name: str, area: str = "output") -> list[Document]:
        """The objects of a JSON lines file at the coordinator."""
        return [json.loads(line) for line in self.server.objects[f"{area}/{name}"].splitlines()]

    def records(self) -> list[Document]:
        """All records that are written down, in the order of parts."""
        parts = [name for name in self.server.names() if "/part-" in name]
        return [record for part in parts for record in self.lines(part, "work")]

    def written(self) -> list[str]:
        """Paths of all objects that were written, in order."""
        return [path.removeprefix(f"{OBJECTS}/") for method, path in self.server.requests if method == "PUT"]

    def reported(self) -> int:
        """Reports that came."""
        return sum(path == REPORT for _, path in self.server.requests)
