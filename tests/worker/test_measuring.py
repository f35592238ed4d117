"""What the engine's events come to as metrics, also while they are asked for."""

import sys
import threading
from typing import Any

import pytest

from builders import batch
from llmbatch_contract.categories import Category
from llmbatch_contract.spec import InputFormat
from llmbatch_contract.usage import Usage
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Attributes, Distribution, Meters
from llmbatch_worker.apis import Answer
from llmbatch_worker.classify import Failure, Success
from llmbatch_worker.events import AttemptFailed, EventStream, ItemDone
from llmbatch_worker.observing.calls import Calls
from llmbatch_worker.observing.measuring import Measuring
from llmbatch_worker.work import Attempt, Work

_MODELS = ("small", "large")


class _Told:
    """Events of items that name their models."""

    def __init__(self) -> None:
        self.now, self.meters = 1000.0, Meters()
        spec = batch(url="https://api.openai.com/v1").spec.model_copy(update={"model": None})
        calls = Calls(spec, InputFormat.OPENAI)
        self.emit = EventStream(Measuring(self.meters, calls, lambda: self.now).heard)

    def answer(self, number: int, usage: Usage, took_s: float = 0.05) -> None:
        work, record = self._work(number), {"id": "a"}
        answered: Any = record
        self.now += took_s
        self.emit(ItemDone(0, answered, work, Success("x", Answer("x", "stop", None, "m", usage), {})))

    def fail(self, number: int) -> None:
        work = self._work(number)
        letter: Any = {"id": "a", "error": {"category": "timeout"}}
        self.emit(AttemptFailed(work, Failure(Category.TIMEOUT, "late")))
        self.emit(ItemDone(0, letter, work))

    def values(self, metric: names.Metric) -> dict[Attributes, float | Distribution]:
        return {point.attributes: point.value for point in self.meters.collect() if point.metric is metric}

    def counts(self, metric: names.Metric) -> dict[Attributes, int]:
        return {k: v.count for k, v in self.values(metric).items() if isinstance(v, Distribution)}

    def _work(self, number: int) -> Work:
        item = {"url": "/v1/chat/completions", "body": {"model": _MODELS[number % len(_MODELS)]}}
        work = Work(0, number, "a", item, attempts=1, first_attempt_at=self.now)
        work.attempt = Attempt(1, self.now, 0.01, latency_s=0.03)
        return work


def test_every_answer_is_counted_once_by_the_model_that_was_asked() -> None:
    told = _Told()
    for number in range(1001):
        told.answer(number, Usage(10, 4))
        if number % 100 == 0:
            told.fail(number)
    for _ in range(2):
        calls = {key[2]: count for key, count in told.counts(names.CALL_DURATION).items() if not key[-1]}
        assert calls == {"small": 501, "large": 500}
        tokens = {
            (key[2], key[-1]): v.sum
            for key, v in told.values(names.TOKEN_USAGE).items()
            if not isinstance(v, int | float)
        }
        assert tokens == {
            ("small", "input"): 5010, ("small", "output"): 2004, ("large", "input"): 5000, ("large", "output"): 2000,
        }  # fmt: skip
        assert told.values(names.WORKER_ITEMS) == {("succeeded", ""): 1001, ("failed", "timeout"): 11}
        assert told.values(names.WORKER_ATTEMPTS) == {("succeeded", "200"): 1001, ("timeout", ""): 11}
        assert told.counts(names.LIMIT_WAIT) == {("api.openai.com", "443"): 1012}


@pytest.mark.parametrize(
    ("usage", "found"),
    [
        pytest.param(Usage(), {}, id="an endpoint that tells of no tokens has no series of them"),
        pytest.param(Usage(7, 0), {"input": 1}, id="an answer without tokens, as of embeddings, counts as none"),
        pytest.param(Usage(0, 7), {"input": 1, "output": 1}, id="a prompt without tokens counts"),
    ],
)
def test_tokens_are_counted_where_there_are_any(usage: Usage, found: dict[str, int]) -> None:
    told = _Told()
    told.answer(0, usage)
    assert {key[-1]: count for key, count in told.counts(names.TOKEN_USAGE).items()} == found


def test_a_clock_that_was_set_back_measures_nothing_below_zero() -> None:
    told = _Told()
    told.answer(0, Usage(), took_s=-5.0)
    told.answer(2, Usage(), took_s=2.0)
    [found] = told.values(names.CALL_DURATION).values()
    assert isinstance(found, Distribution)
    assert (found.count, found.sum) == (2, 2.0)


def test_nothing_is_lost_or_counted_twice_while_another_thread_asks() -> None:
    told, is_over = _Told(), threading.Event()
    seen: list[float] = []

    def ask() -> None:
        while not is_over.is_set():
            found = told.values(names.WORKER_ITEMS).get(("succeeded", ""), 0.0)
            assert not isinstance(found, Distribution)
            seen.append(found)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for number in range(5000):
            told.answer(number, Usage(1, 1))
            if number % 7 == 0:
                told.fail(number)
    finally:
        is_over.set()
        asking.join()
        sys.setswitchinterval(before)
    assert seen == sorted(seen)
    assert told.values(names.WORKER_ITEMS) == {("succeeded", ""): 5000, ("failed", "timeout"): 715}
    assert sum(told.counts(names.REQUEST_DURATION).values()) == 5715
