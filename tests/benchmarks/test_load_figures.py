"""What the benchmark of the operator reckons with: how late a status is, and which calls were made."""

import json
from pathlib import Path

import pytest

from benchmarks.load.calls import by_agent, count, events_of, log_size
from benchmarks.load.freshness import Freshness


def test_a_report_is_as_old_as_the_status_that_shows_it_is_late() -> None:
    freshness = Freshness()
    freshness.told("a", shard=0, done=5, sent_at=10.0)
    freshness.told("a", shard=1, done=2, sent_at=11.0)
    freshness.shown("a", done=6, at=12.0)
    assert freshness.seen.ages_s == [2.0]
    freshness.shown("a", done=7, at=14.0)
    assert freshness.seen.ages_s == [2.0, 3.0]
    assert freshness.wrong == []


@pytest.mark.parametrize(
    ("shown", "wrong"),
    [
        pytest.param(6, ["a"], id="too little: an update is missing"),
        pytest.param(7, [], id="what was told"),
        pytest.param(8, ["a"], id="too much"),
    ],
)
def test_a_status_that_says_something_else_is_wrong(shown: int, wrong: list[str]) -> None:
    freshness = Freshness()
    freshness.told("a", shard=0, done=3, sent_at=1.0)
    freshness.told("a", shard=0, done=7, sent_at=2.0)
    freshness.shown("a", done=shown, at=3.0)
    assert freshness.wrong == wrong


def test_a_status_that_comes_before_the_answer_to_the_report_was_not_late() -> None:
    freshness = Freshness()
    freshness.shown("a", done=3, at=1.0)
    freshness.told("a", shard=0, done=3, sent_at=0.9)
    assert freshness.seen.ages_s == []
    assert freshness.wrong == []
    assert (freshness.workers, freshness.batches_shown) == (1, 1)


def test_only_answered_calls_between_two_moments_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(_event("kopf/1", "watch", "pods") + "\n")
    start = log_size(log)
    began = {**json.loads(_event("kopf/1", "watch", "jobs")), "stage": "ResponseStarted"}
    with log.open("a") as file:
        file.write(_event("OpenAPI-Generator/1", "patch", "llmbatches", "status") + "\n")
        file.write(_event("kubelet/1", "patch", "pods", "status") + "\n")
        file.write(json.dumps(began) + "\n")
        file.write(_event("kopf/1", "create", "events")[:40])
    calls = count(events_of(log, start, log_size(log)), by_agent("kopf/", "OpenAPI-Generator/"))
    assert calls == {("patch", "llmbatches/status"): 1}


def _event(agent: str, verb: str, resource: str, subresource: str = "") -> str:
    target = {"resource": resource} | ({"subresource": subresource} if subresource else {})
    return json.dumps({"stage": "ResponseComplete", "verb": verb, "userAgent": agent, "objectRef": target})
