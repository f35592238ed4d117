"""report.json has the course of a batch in few numbers that add up, however many items and shards there are."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import Document
from llmbatch_contract import layout
from llmbatch_contract.categories import Category
from llmbatch_contract.endpoint import Limits
from llmbatch_contract.plan import Plan, PlannedInput
from llmbatch_contract.progress import Totals
from llmbatch_contract.reports import StopReason
from llmbatch_contract.spec import InputFormat
from llmbatch_contract.trace import trace_of
from llmbatch_worker.finalizing.finalizer import REPORT_NAME, finalize
from llmbatch_worker.finalizing.histories import MOST_ATTEMPTS, MOST_SHARDS, Attempt, AttemptEnd, Histories
from llmbatch_worker.finalizing.report import Report
from llmbatch_worker.finalizing.timeline import MOST_BUCKETS, MOST_LATENCIES, Timeline
from llmbatch_worker.shardlog import Claim, ShardLog, open_shard
from llmbatch_worker.work import count_record, utc
from sharded import CREATED_AT, Sharded, as_record, letter, put, result, sharded

_START = datetime.fromisoformat(CREATED_AT)
_CANCEL = StopReason(category=Category.CANCELLED, message="spec.cancel is set")


def at(second: float) -> str:
    return utc((_START + timedelta(seconds=second)).timestamp())


def timeline(records: Iterable[Document], end: float = 1e7) -> Document:
    """The timeline of records in a batch that ended so many seconds after its start."""
    found = Timeline(CREATED_AT, at(end))
    for record in records:
        count_record(found.bucket(as_record(record)), as_record(record))
    return found.document()


def reported(made: Sharded, stop: StopReason | None = None, end: float = 3600) -> Document:
    finalize(made.job, made.plan, stop=stop, now=at(end))
    document: Document = orjson.loads((made.output / REPORT_NAME).read_bytes())
    return document


# Over time


def test_records_count_when_their_items_ended() -> None:
    found = timeline([
        result(0, completed_at=at(0.05), latency_ms=100.0),
        result(1, completed_at=at(0.31), attempts=2, latency_ms=200.0),
        letter(2, failed_at=at(0.32)),
    ])  # fmt: skip
    assert found["bucket_seconds"] == 0.1
    assert found["succeeded"] == [1, 0, 0, 1]
    assert found["failed"] == [0, 0, 0, 1]
    assert found["attempts"] == [1, 0, 0, 4]
    assert found["input_tokens"] == [2, 0, 0, 2]
    assert found["latency_ms"]["p50"][0] == pytest.approx(100, rel=0.05)
    assert found["latency_ms"]["p50"][1] is None


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_however_long_it_takes_the_buckets_are_few_and_hold_every_record(seconds: list[float]) -> None:
    found = timeline(result(n, completed_at=at(second)) for n, second in enumerate(seconds))
    width = found["bucket_seconds"]
    assert len(found["succeeded"]) <= MOST_BUCKETS
    assert len(found["latency_ms"]["p50"]) <= MOST_LATENCIES
    assert sum(found["succeeded"]) == len(seconds)
    expected = [0] * len(found["succeeded"])
    for second in seconds:
        tenths = int(timedelta(seconds=second) / timedelta(milliseconds=1) + 0.5) // 100
        expected[tenths * 100 // round(width * 1000)] += 1
    assert found["succeeded"] == expected


def test_a_wrong_clock_puts_nothing_outside_the_batch() -> None:
    found = timeline([result(0, completed_at=at(-500)), result(1, completed_at=at(9e6))], end=20)
    assert (found["succeeded"][0], found["succeeded"][-1]) == (1, 1)
    assert len(found["succeeded"]) * found["bucket_seconds"] <= 20.2


def test_records_that_do_not_say_when_are_counted_apart() -> None:
    found = timeline([result(0), letter(1, failed_at=at(1))])
    assert (found["undated"], sum(found["succeeded"]), sum(found["failed"])) == (1, 0, 1)


def test_what_was_not_asked_is_no_failure() -> None:
    found = timeline([letter(0, "cancelled", failed_at=at(1), attempts=0), letter(1, "refusal", failed_at=at(1))])
    assert (found["cancelled"][-1], found["failed"][-1]) == (1, 1)


def test_the_sums_of_all_buckets_are_the_summary(tmp_path: Path) -> None:
    made = sharded(tmp_path, items=30, shard_size=10)
    for shard in made.plan.shards:
        numbers = range(shard.first_item, shard.first_item + shard.items)
        made.write(
            shard.number,
            [letter(n, failed_at=at(n)) if n % 7 == 3 else result(n, completed_at=at(n * 90)) for n in numbers],
        )
    summary, found = finalize(made.job, made.plan, stop=None, now=at(3600)), reported(made)["timeline"]
    assert sum(found["succeeded"]) == summary["items"]["succeeded"]
    assert sum(found["failed"]) == summary["items"]["failed"]
    assert sum(found["attempts"]) == summary["attempts"]
    assert sum(found["input_tokens"]) == summary["usage"]["input_tokens"]


# Errors and slow items


def test_a_category_has_up_to_three_samples_without_long_messages(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    error = {"category": "timeout", "message": "m" * 999, "status": None, "code": None}
    made.write(0, [letter(0, error=error), letter(1), letter(2)])
    made.write(1, [letter(3), letter(4), 5])
    made.write(2, [6])
    errors = reported(made)["errors"]
    assert [(e["category"], e["count"]) for e in errors] == [("refusal", 4), ("timeout", 1)]
    assert errors[0]["samples"] == [{"id": f"id-{n}", "message": f"no, {n}"} for n in (1, 2, 3)]
    assert errors[1]["samples"][0]["message"] == "m" * 200


def _report() -> Report:
    planned = PlannedInput(uri="x", unpacked=False, size=0, sha256="", format=InputFormat.JSONL, fields=[])
    plan = Plan(
        uid="u", trace=trace_of("u"), created_at=CREATED_AT, version="", asked={}, input=planned, items=0, shards=[],
        input_tokens_estimate=0,
    )  # fmt: skip
    return Report(plan, at(60))


@given(st.lists(st.integers(1, 50), max_size=80))
def test_the_slowest_items_are_kept_the_first_of_equals(latencies: list[int]) -> None:
    report = _report()
    for n, ms in enumerate(latencies):
        report.count(as_record(result(n, latency_ms=float(ms), completed_at=at(1), output="secret")))
    document = report.document(Limits())
    expected = sorted(enumerate(latencies), key=lambda e: (-e[1], e[0]))[:20]
    assert [(row["index"], row["latency_ms"]) for row in document["slowest"]] == expected
    assert b"secret" not in orjson.dumps(document)


def test_the_report_does_not_grow_with_the_items() -> None:
    report, totals = _report(), Totals()
    for n in range(5000):
        record = as_record(letter(n, failed_at=at(n / 90), latency_ms=float(n), error={
            "category": list(Category)[n % len(Category)].value, "message": "x" * 500, "status": 500, "code": None,
        }))  # fmt: skip
        report.count(record)
        count_record(totals, record)
    assert report.totals() == totals
    assert len(orjson.dumps(report.document(Limits()))) < 60_000


# Shards


def test_attempts_tell_who_worked_when_and_how_it_ended(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    for worker, second, number in (("pod-a", 1, 0), ("pod-b", 10, 1)):
        log = open_shard(made.store, made.shard(0), worker, at(second))
        assert isinstance(log, ShardLog)
        put(log, result(number, completed_at=at(second + 2)))
        if worker == "pod-b":
            log.stop(2)
    made.write(0, [result(2, completed_at=at(30))])
    made.write(1, [3, 4, 5])
    shards = reported(made, _CANCEL)["shards"]
    assert (shards["total"], shards["attempts"], shards["lost"]) == (3, 4, 1)
    first, second, third = shards["shown"][0]["attempts"]
    assert first == {
        "attempt": 1, "worker": "pod-a", "claimed_at": at(1), "first_record_at": at(3), "last_record_at": at(3),
        "records": 1, "ended": "lost",
    }  # fmt: skip
    assert (second["worker"], second["ended"]) == ("pod-b", "stopped")
    assert (third["ended"], third["last_record_at"]) == ("done", at(30))
    assert shards["shown"][2] == {"shard": 2, "items": 1, "attempt_count": 0, "attempts": []}


def test_a_claim_that_is_damaged_costs_no_outputs(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    made.write_all()
    made.store.put(layout.claim(1, 1), b"{")
    shown = reported(made)["shards"]["shown"][1]["attempts"][0]
    assert (shown["worker"], shown["claimed_at"], shown["ended"]) == (None, None, "done")


def _history(shards: int, attempts: int) -> tuple[Document, list[int]]:
    """Shards of which every third took so many attempts, and the claims that were read."""
    histories, read = Histories(shards), list[int]()

    def claim(shard: int, _attempt: int) -> Claim:
        read.append(shard)
        return Claim(worker="w", claimed_at=CREATED_AT)

    for number in range(shards):
        count = attempts if number % 3 == 0 else 1
        made = [Attempt(n + 1, AttemptEnd.LOST) for n in range(count - 1)] + [Attempt(count, AttemptEnd.DONE)]
        histories.add(number, 10, made, claim)
    return histories.document(), read


@pytest.mark.parametrize("shards", [1, MOST_SHARDS])
def test_all_shards_are_shown_while_they_are_few(shards: int) -> None:
    assert len(_history(shards, 1)[0]["shown"]) == shards


@pytest.mark.parametrize("shards", [MOST_SHARDS + 1, 1999, 20_000])
def test_of_many_shards_some_are_shown_and_only_their_claims_are_read(shards: int) -> None:
    document, read = _history(shards, 2)
    numbers = [row["shard"] for row in document["shown"]]
    assert MOST_SHARDS // 4 < len(numbers) <= MOST_SHARDS
    assert numbers == sorted(numbers)
    assert numbers[-1] > shards * 0.95
    assert set(read) == set(numbers)
    assert document["total"] == shards
    assert document["lost"] == len(range(0, shards, 3))


def test_of_many_attempts_at_a_shard_the_last_are_shown() -> None:
    row = _history(1, 40)[0]["shown"][0]
    assert row["attempt_count"] == 40
    assert [a["attempt"] for a in row["attempts"]] == list(range(41 - MOST_ATTEMPTS, 41))


# The file


def test_the_fields_are_those_of_the_reference(tmp_path: Path) -> None:
    made = sharded(tmp_path, limits={"requestsPerMinute": 60})
    made.write_all()
    report = reported(made)
    page = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
    section = page.split("\n### `report.json`")[1].split("\n##")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(report)
    assert report["limits"] == {"requestsPerMinute": 60}
    assert report["uid"] == made.plan.uid


def test_it_is_written_before_the_summary(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    made.write_all()
    made.finalize()
    times = [(made.output / name).stat().st_mtime_ns for name in (REPORT_NAME, "summary.json")]
    assert times == sorted(times)
