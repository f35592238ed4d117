"""Workers that only report: each with its own connection and token, as often as it is told, counts that grow.

A real one reports the same; everything else that it does happens elsewhere and costs the operator nothing.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from llmbatch_contract.categories import Category
from llmbatch_contract.progress import Sample, ShardProgress
from llmbatch_contract.reports import Demand, Report
from llmbatch_contract.usage import Usage
from llmbatch_contract.wire import REPORT

SHARD_ITEMS = 10_000_000
"""More than is ever done."""
_ITEMS_PER_S = 10
_ONE_FAILS_OF = 50
_LATENCY_BUCKETS = range(60, 100)
_AGAIN_S = 0.5


@dataclass(frozen=True)
class Coordinator:
    """Where to report."""

    port: int
    trust: ssl.SSLContext


@dataclass
class Worker:
    """One shard's worker."""

    coordinator: Coordinator
    pod: str
    token: str
    shard: int
    on_told: Callable[[int, float], None]
    """Told what was reported as done, and when, once that is answered."""
    reply_s: list[float]
    """How long each answer took, of all workers."""
    _done: int = 0
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None
    _report: dict[str, Any] = field(default_factory=dict)

    async def run(self, phase: float) -> None:
        """Report until cancelled; `phase`, 0 to 1, keeps workers from all reporting at once."""
        self._report = _first_report(self.pod, self.shard)
        started = self._now()
        wait_s = phase
        while True:
            await asyncio.sleep(wait_s)
            self._done = max(self._done, int((self._now() - started) * _ITEMS_PER_S) + 1)
            wait_s = await self.report()

    async def report(self) -> float:
        """Say what is done; the seconds until the next report."""
        body = self._body()
        sent_at = self._now()
        try:
            status, reply = await self._post(body)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return _AGAIN_S
        except asyncio.CancelledError:
            self.close()  # the answer to this report must not be taken for that to the next
            raise
        if status != 200:
            return _AGAIN_S
        self.reply_s.append(self._now() - sent_at)
        self._report["holds"] = reply["grant"]["number"]
        self.on_told(self._done, sent_at)
        return float(reply["nextReportSeconds"])

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    def _body(self) -> bytes:
        done, failed = self._done, self._done // _ONE_FAILS_OF
        shard = self._report["shards"][0]
        shard["succeeded"], shard["failed"], shard["errors"]["timeout"] = done - failed, failed, failed
        shard["usage"] = {"input": 300 * done, "output": 100 * done}
        shard["latency"] = dict.fromkeys(shard["latency"], done // len(_LATENCY_BUCKETS))
        return orjson.dumps(self._report)

    async def _post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                "localhost", self.coordinator.port, ssl=self.coordinator.trust
            )
        assert self._reader is not None
        head = f"POST {REPORT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.token}\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        first, *fields = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        size = next(int(f.partition(":")[2]) for f in fields if f.startswith("content-length:"))
        said = await self._reader.readexactly(size)
        status = int(first.split()[1])
        return status, orjson.loads(said) if status == 200 else {}

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _first_report(pod: str, shard: int) -> dict[str, Any]:
    """A report as the contract has it, to be filled with counts."""
    progress = ShardProgress(
        shard=shard,
        attempt=1,
        items=SHARD_ITEMS,
        usage=Usage(input=0, output=0),
        latency=dict.fromkeys(_LATENCY_BUCKETS, 0),
        errors={Category.TIMEOUT: 0},
        samples={Category.TIMEOUT: Sample(item_id=f"item-{shard}", message="no answer within 60 s")},
    )
    demand = Demand(requests_per_minute=600, concurrency=16)
    return Report(worker=pod, shards=[progress], in_flight=16, largest_tokens=900, demand=demand).dump()
