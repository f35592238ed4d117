"""Spans of the engine's events: which items are kept, what is held meanwhile, and what a shard's end says."""

import weakref
from dataclasses import dataclass, field
from typing import Any

import pytest

from builders import batch
from llmbatch_contract.categories import Category
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan, PlannedInput, Shard
from llmbatch_contract.progress import ShardProgress
from llmbatch_contract.records import Record
from llmbatch_contract.spec import InputFormat
from llmbatch_contract.trace import trace_of
from llmbatch_contract.usage import Usage
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Meters
from llmbatch_telemetry.spans import Span
from llmbatch_telemetry.telemetry import Telemetry
from llmbatch_worker.apis import Answer
from llmbatch_worker.asking import Asker
from llmbatch_worker.classify import Failure, Success
from llmbatch_worker.events import AttemptFailed, EventStream, ItemDone, ShardDone, ShardOpened
from llmbatch_worker.observing.calls import Calls
from llmbatch_worker.observing.measuring import Measuring
from llmbatch_worker.observing.observer import Observer
from llmbatch_worker.observing.span_keeper import SpanKeeper
from llmbatch_worker.observing.stage_spans import stages_of
from llmbatch_worker.work import Attempt, Work

ANSWER = Answer("x", "stop", None, "gpt-x-2026", Usage(10, 20, cached=4))
SUCCESS = Success("x", ANSWER, {"id": "resp-1"})


@dataclass
class _Exporting:
    spans: list[Span] = field(default_factory=list)
    wants_spans: bool = True

    def span(self, span: Span) -> None:
        self.spans.append(span)

    def flush(self, timeout_s: float) -> bool:
        return True

    def close(self, timeout_s: float) -> None:
        pass


class _Exploding(_Exporting):
    def span(self, span: Span) -> None:
        raise RuntimeError("secret")


def _plan(items: int, shards: int) -> Plan:
    size = items // shards
    given = PlannedInput(uri="file:///a", unpacked=False, size=1, sha256="", format=InputFormat.JSONL, fields=["text"])
    return Plan(
        uid="uid", trace=trace_of("uid"), created_at="", version="1", asked={}, input=given, items=items,
        shards=[Shard(n, n * size, size, 0, 1) for n in range(shards)], input_tokens_estimate=0,
    )  # fmt: skip


class _World:
    """Items come and go by a clock of their own."""

    def __init__(self, items: int = 1000, shards: int = 1, budget: int = 0, **spec: Any) -> None:
        self.now = 1000.0
        self.success: Success | None = None
        """Of the last attempt."""
        self.exporting = _Exporting()
        self.meters = Meters()
        manifest = batch(url="https://api.openai.com/v1", **spec)
        self.calls = Calls(manifest.spec, InputFormat.JSONL)
        plan = _plan(items, shards)
        self.keeper = SpanKeeper(
            Telemetry(self.meters, self.exporting), plan, stages_of(plan, manifest.metadata, "pod-0"), self.calls,
            budget, lambda _item: {}, lambda: self.now,
        )  # fmt: skip
        measuring = Measuring(self.meters, self.calls, lambda: self.now)
        self.emit = EventStream(self.keeper.heard, measuring.heard)

    def open(self, shard: int = 0, items: int = 1000) -> None:
        self.emit(ShardOpened(ShardProgress(shard=shard, attempt=2, items=items)))

    def attempt(self, work: Work, verdict: Success | Failure, took_s: float = 0.1, **more: Any) -> None:
        work.attempts += 1
        work.attempt = Attempt(work.attempts, self.now, 0.01, f"{work.number:08x}{work.attempts:08x}", took_s)
        work.first_attempt_at = work.first_attempt_at or self.now
        work.usage += verdict.answer.usage if verdict.answer is not None else Usage()
        self.now += took_s
        self.success = verdict if isinstance(verdict, Success) else None
        if isinstance(verdict, Failure):
            self.emit(AttemptFailed(work, verdict, **more))

    def done(self, work: Work, error: str | None = None) -> None:
        record: Any = {"id": work.item_id}
        if error is not None:
            record["error"] = {"category": error}
        done: Record = record
        self.emit(ItemDone(work.shard, done, work, self.success if error is None else None))

    def answer(self, number: int, took_s: float = 0.1, shard: int = 0) -> None:
        work = Work(shard, number, f"id-{number}", {})
        self.attempt(work, SUCCESS, took_s)
        self.done(work)

    def kept(self, why: str | None = None) -> list[int]:
        spans = [s for s in self.exporting.spans if names.ITEM_INDEX in s.attributes]
        return [
            int(str(s.attributes[names.ITEM_INDEX]))
            for s in spans
            if why is None or s.attributes[names.ITEM_KEPT_FOR] == why
        ]


def test_the_slowest_are_kept_at_the_end_of_their_shard() -> None:
    world = _World(budget=20)
    world.open()
    for number in range(1000):
        world.answer(number, 5.0 if number in (123, 777) else 0.1)
    assert len(world.kept("sampled")) == 20
    assert world.kept("slow") == []
    world.emit(ShardDone(0, 2))
    assert world.kept("slow") == [123, 777]
    assert not world.keeper._open


def test_what_is_held_does_not_grow_with_the_items() -> None:
    world = _World(items=100_000, budget=0)
    world.open()
    for number in range(5000):
        world.answer(number, 0.1 + number / 1e6)
    assert world.exporting.spans == []
    assert len(world.keeper._open[0].slowest._heap) == 1


def test_what_is_held_of_a_slow_item_is_not_the_item() -> None:
    class Prompt(dict[str, Any]):
        """May be referred to weakly."""

    world = _World(budget=0)
    world.open()
    prompt = Prompt(text="a long prompt")
    work = Work(0, 5, "id-5", prompt)
    world.attempt(work, SUCCESS, 9.0)
    world.done(work)
    held = weakref.ref(prompt)
    del prompt, work
    world.answer(6)
    assert held() is None
    world.emit(ShardDone(0, 2))
    assert world.kept("slow") == [5]


def test_an_item_has_the_attributes_of_the_conventions() -> None:
    world = _World(budget=1000, model="gpt-x")
    world.open()
    work = Work(0, 3, "id-3", {})
    world.attempt(work, Failure(Category.RATE_LIMITED, "secret", 429), again_after_s=1.5)
    world.attempt(work, SUCCESS)
    world.done(work)
    first, second, item = world.exporting.spans
    assert item.name == "chat gpt-x"
    assert item.is_client
    assert (item.error, item.start, round(item.end, 3)) == (None, 1000.0, 1000.2)
    assert dict(item.attributes) == {
        "llmbatch.item.id": "id-3",
        "llmbatch.item.index": 3,
        "llmbatch.item.kept_for": "sampled",
        "llmbatch.attempts": 2,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.response.model": "gpt-x-2026",
        "gen_ai.response.id": "resp-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "server.address": "api.openai.com",
        "server.port": 443,
    }
    assert (first.parent_id, second.parent_id) == (item.span_id, item.span_id)
    assert first.error == "rate_limited (HTTP 429)"
    assert dict(first.attributes) == {
        "http.request.method": "POST",
        "http.response.status_code": 429,
        "url.full": "https://api.openai.com/v1/chat/completions",
        "server.address": "api.openai.com",
        "server.port": 443,
        "error.type": "rate_limited",
        "llmbatch.attempt": 1,
        "llmbatch.limit.wait": 0.01,
        "llmbatch.retry_after": 1.5,
    }
    assert second.attributes["http.request.resend_count"] == 1


def test_of_very_many_attempts_the_first_and_the_last_have_spans() -> None:
    world = _World()
    world.open()
    work = Work(0, 3, "id-3", {})
    for _ in range(99):
        world.attempt(work, Failure(Category.OVERLOADED, "", 503), again_after_s=1.0)
    world.attempt(work, Failure(Category.OVERLOADED, "", 503))
    world.done(work, "overloaded")
    numbers = [s.attributes["llmbatch.attempt"] for s in world.exporting.spans if s.name == "POST"]
    assert numbers == [*range(1, 9), *range(93, 101)]
    assert world.exporting.spans[-1].attributes["llmbatch.attempts"] == 100


@pytest.mark.parametrize("field", ["model", "finish_reason"])
def test_an_endpoint_may_answer_anything(field: str) -> None:
    world = _World(budget=1000)
    world.open()
    odd: dict[str, Any] = {"model": None, "finish_reason": "stop", field: {"a": 1}}
    work = Work(0, 1, "a", {})
    world.attempt(work, Success("x", Answer("x", odd["finish_reason"], None, odd["model"], Usage()), {"id": 7}))
    world.done(work)
    item = world.exporting.spans[-1]
    assert all(isinstance(value, str | int | float | tuple) for value in item.attributes.values())


def test_an_item_that_never_was_asked_about_has_a_span_without_attempts() -> None:
    world = _World()
    world.open()
    world.done(Work(0, 5, "id-5", {}), "template_error")
    (item,) = world.exporting.spans
    assert (item.error, item.attributes["llmbatch.attempts"]) == ("template_error", 0)


def test_a_shard_left_early_says_why_and_what_it_has_done() -> None:
    world = _World(items=1000, shards=10)
    world.open(3, items=100)
    world.answer(300, shard=3)
    world.keeper.leave("StoreError")
    shard = world.exporting.spans[-1]
    assert shard.error == "the attempt ended early: StoreError"
    found = {name: shard.attributes[name] for name in ("llmbatch.shard", "llmbatch.shard.attempt", "error.type")}
    assert found == {"llmbatch.shard": 3, "llmbatch.shard.attempt": 2, "error.type": "StoreError"}
    assert shard.attributes["llmbatch.items.succeeded"] == 1


def test_series_of_a_large_batch_are_few_and_name_no_items() -> None:
    world = _World(items=10_000, shards=50, budget=1000)
    failures = [Failure(category, "x", status) for category in Category for status in (None, 400, 429, 500, 503)]
    for shard in range(50):
        world.open(shard, items=200)
        for number in range(shard * 200, shard * 200 + 200):
            work = Work(shard, number, f"id-{number}", {})
            failure = failures[number % len(failures)]
            world.attempt(work, failure)
            if number % 3:
                world.attempt(work, SUCCESS)
            world.done(work, None if number % 3 else failure.category.value)
        world.emit(ShardDone(shard, 2))
    points = world.meters.collect()
    assert len(points) <= 300
    assert "id-" not in repr([point.attributes for point in points])
    ended = sum(p.value for p in points if p.metric is names.WORKER_ITEMS and isinstance(p.value, int | float))
    assert ended == 10_000


def test_a_fault_in_telemetry_costs_nothing_but_telemetry(caplog: pytest.LogCaptureFixture) -> None:
    job = Job(batch=batch(), store_uri="file:///s", output_uri="file:///o")
    plan = _plan(10, 1)
    asker = Asker(job.batch.spec, InputFormat.JSONL)
    observer = Observer(job, plan, asker, Telemetry(Meters(), _Exploding()), "pod-0")
    emit = EventStream(*observer.listeners)
    emit(ShardOpened(ShardProgress(shard=0, attempt=1, items=10)))
    for number in range(3):
        letter: Any = {"id": "a", "error": {"category": "unknown"}}
        emit(ItemDone(0, letter, Work(0, number, "a", {})))
    observer._leave("interrupted")
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
