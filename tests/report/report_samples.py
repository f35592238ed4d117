"""Batches that ended in different ways, as finalize reports them, for the tests of the page.

summary, report = busy(tmp_path)      1,200 items in 12 shards, some failed, two pods lost, limits and prices
"""

import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from builders import Document
from llmbatch_contract.categories import Category
from llmbatch_contract.plan import Shard
from llmbatch_contract.reports import StopReason
from llmbatch_worker.finalizing.finalizer import REPORT_NAME, finalize
from llmbatch_worker.shardlog import ShardLog, open_shard
from llmbatch_worker.work import utc
from sharded import CREATED_AT, Sharded, letter, put, result, sharded

Reported = tuple[Document, Document]
"""summary.json and report.json."""
Sample = Callable[[Path], Reported]

_START = datetime.fromisoformat(CREATED_AT)
_ENDPOINT = {
    "limits": {"requestsPerMinute": 120, "tokensPerMinute": 150_000},
    "pricing": {"inputPerMillion": 0.4, "cachedInputPerMillion": 0.1, "outputPerMillion": 1.6, "currency": "USD"},
}
_MESSAGES = {
    "content_filter": "The response was filtered due to the prompt triggering the content management policy.",
    "invalid_output": "the answer does not fit the schema at /category: 'shipping' is not one of billing, bug, other",
    "timeout": "no answer within 300 s",
    "context_length": "This model's maximum context length is 128000 tokens. Your messages have 131402 tokens.",
}


def at(second: float) -> str:
    """A moment so many seconds after the start."""
    return utc((_START + timedelta(seconds=second)).timestamp())


def reported(made: Sharded, end: float, stop: StopReason | None = None) -> Reported:
    """Finalize, and read what it wrote."""
    summary = finalize(made.job, made.plan, stop=stop, now=at(end))
    return orjson.loads(orjson.dumps(summary)), orjson.loads((made.output / REPORT_NAME).read_bytes())


def claimed(made: Sharded, shard: int, worker: str, second: float) -> ShardLog:
    """Claim a shard at a moment."""
    log = open_shard(made.store, made.shard(shard), worker, at(second))
    assert isinstance(log, ShardLog)
    return log


def busy(folder: Path) -> Reported:
    """Twelve pods, four at once; errors of several kinds; two pods are killed, one is told to stop."""
    made = sharded(
        folder, items=1200, shard_size=100, endpoint={"url": "https://api.example.com/v1", **_ENDPOINT},
        request={"system": "You are a support agent.", "prompt": "Ticket {{ id }}\n\n{{ text }}", "api": "chat",
                 "parameters": {"temperature": 0, "max_tokens": 200}},
    )  # fmt: skip
    draws, ends = random.Random(7), [0.0, 0.0, 0.0, 0.0]
    for shard in made.plan.shards:
        lane = ends.index(min(ends))
        ends[lane] = _work(made, shard, ends[lane] + 2, draws)
    return reported(made, max(ends) + 3)


def _work(made: Sharded, shard: Shard, second: float, draws: random.Random) -> float:
    """Work on a shard, in attempts; when it was done."""
    records: list[Document] = []
    for number in range(shard.first_item, shard.first_item + shard.items):
        second += draws.expovariate(1 / 2.9)
        records.append(_record(number, second, draws))
    breaks = {3: 40, 7: 65, 9: 30}.get(shard.number)
    start = _seconds(records[0]) - 2
    pod = f"triage-shards-{shard.number}"
    log = claimed(made, shard.number, f"{pod}-x7k2p", start)
    if breaks is not None:
        put(log, *records[:breaks])
        if shard.number == 9:
            log.stop(breaks)
        records = [_later(r, 45) for r in records[breaks:]]
        log = claimed(made, shard.number, f"{pod}-m9q4w", _seconds(records[0]) - 3)
    for i in range(0, len(records), 10):
        put(log, *records[i : i + 10])
    log.finish(log.progress)
    return _seconds(records[-1])


def _record(number: int, second: float, draws: random.Random) -> Document:
    slow = 3.0 if 200 < second < 320 else 1.0
    latency_ms = round(slow * draws.lognormvariate(math.log(900), 0.45), 1)
    tokens = {"input_tokens": draws.randint(220, 460), "output_tokens": draws.randint(30, 190)}
    usage = {**tokens, "total_tokens": sum(tokens.values()), "cached_tokens": 128}
    attempts = 1 + (draws.random() < 0.08 * slow)
    if draws.random() < 0.045 * slow:
        category = draws.choices(list(_MESSAGES), (6, 3, 2, 1))[0]
        error = {"category": category, "message": _MESSAGES[category], "status": 400, "code": None}
        return letter(
            number, error=error, attempts=attempts + 1, failed_at=at(second), usage=usage, latency_ms=latency_ms
        )
    return result(number, attempts=attempts, completed_at=at(second), usage=usage, latency_ms=latency_ms)


def _seconds(record: Document) -> float:
    when = record.get("completed_at") or record["failed_at"]
    return (datetime.fromisoformat(when) - _START).total_seconds()


def _later(record: Document, seconds: float) -> Document:
    name = "completed_at" if "completed_at" in record else "failed_at"
    return record | {name: at(_seconds(record) + seconds)}


def one_item(folder: Path) -> Reported:
    """A batch of one item."""
    made = sharded(folder, items=1)
    put(log := claimed(made, 0, "w", 0.1), result(0, completed_at=at(0.8)))
    log.finish(log.progress)
    return reported(made, 0.9)


def all_failed(folder: Path) -> Reported:
    """Every item failed, before an answer."""
    made = sharded(folder)
    for shard in made.plan.shards:
        log = claimed(made, shard.number, "w", 0)
        numbers = range(shard.first_item, shard.first_item + shard.items)
        put(log, *(letter(n, "connection", failed_at=at(1 + n)) for n in numbers))
        log.finish(log.progress)
    return reported(made, 9)


def cancelled(folder: Path) -> Reported:
    """Stopped after the first shard."""
    made = sharded(folder, endpoint={"url": "http://127.0.0.1:8000/v1", **_ENDPOINT})
    put(log := claimed(made, 0, "w", 0), *(result(n, completed_at=at(n)) for n in range(3)))
    log.finish(log.progress)
    log = claimed(made, 1, "w", 3)
    put(log, result(3, completed_at=at(4)))
    log.stop(4)
    return reported(made, 30, StopReason(category=Category.CANCELLED, message="spec.cancel is set"))


def never_started(folder: Path) -> Reported:
    """Stopped before any shard was begun."""
    return reported(sharded(folder), 3600, StopReason(category=Category.AUTH, message="the key is wrong"))


def hostile(folder: Path) -> Reported:
    """Ids, messages and the manifest try to be markup."""
    request = {"prompt": f"{EVIL} {{{{ text }}}}", "system": EVIL, "parameters": {"user": EVIL}}
    made = sharded(folder, request=request)
    evil: dict[str, Any] = {"id": EVIL, "completed_at": at(3), "latency_ms": 900.0}
    for shard in made.plan.shards:
        log = claimed(made, shard.number, EVIL, 1)
        numbers = range(shard.first_item, shard.first_item + shard.items)
        error = {"category": "refusal", "message": EVIL, "status": 200, "code": EVIL}
        put(log, *(letter(n, failed_at=at(n), error=error, id=EVIL) if n % 2 else result(n, **evil) for n in numbers))
        log.finish(log.progress)
    return reported(made, 9)


EVIL = "</script></style><img src=x onerror=alert(1)>\"'\u202e&amp;<!--"

SAMPLES: dict[str, Sample] = {
    "busy": busy,
    "one item": one_item,
    "all failed": all_failed,
    "cancelled": cancelled,
    "never started": never_started,
    "hostile": hostile,
}
