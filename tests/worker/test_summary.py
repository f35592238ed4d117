"""The record of the job says what was asked and what came of it, and its numbers are those of the files."""

import hashlib
from pathlib import Path

import orjson
import pytest

from builders import Document, batch
from llmbatch_contract.categories import Category
from llmbatch_contract.job import Job
from llmbatch_contract.progress import Totals
from llmbatch_contract.reports import StopReason
from llmbatch_worker.finalizing.summary import Outcome, Written, summarize
from sharded import CREATED_AT, NOW, letter, result, sharded

STOP = StopReason(category=Category.AUTH, message="the key is wrong")
CANCEL = StopReason(category=Category.CANCELLED, message="spec.cancel is set")
LATE = StopReason(category=Category.DEADLINE, message="not done within 60 s")


def test_digests_sizes_and_counts_are_those_of_the_files(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    made.write(0, [0, letter(1), 2])
    made.write(1, [3, 4, 5])
    made.write(2, [letter(6)])
    summary = made.finalize()
    for kind, name, records in [("results", "results.jsonl", 5), ("errors", "errors.jsonl", 2)]:
        data = (made.output / name).read_bytes()
        assert summary["output"][kind] == {
            "uri": str(made.output / name),
            "name": name,
            "records": records,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "compression": "none",
        }
    data = (tmp_path / "in.jsonl").read_bytes()
    assert summary["input"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert (summary["input"]["items"], summary["input"]["bytes"]) == (7, len(data))


@pytest.mark.parametrize(
    ("last", "stop", "phase"),
    [
        pytest.param(result(6), None, "Succeeded", id="every item succeeded"),
        pytest.param(letter(6), None, "CompletedWithErrors", id="one failed"),
        pytest.param(result(6), STOP, "Failed", id="stopped, though the last item was answered"),
        pytest.param(letter(6), STOP, "Failed", id="stopped"),
        pytest.param(result(6), CANCEL, "Cancelled", id="cancelled by the user"),
        pytest.param(result(6), LATE, "Failed", id="too late"),
    ],
)
def test_the_phase_follows_from_failures_and_stop(
    tmp_path: Path, last: Document, stop: StopReason | None, phase: str
) -> None:
    made = sharded(tmp_path)
    made.write(0, [0, 1, 2])
    made.write(1, [3, 4, 5])
    made.write(2, [last])
    summary = made.finalize(stop)
    assert summary["phase"] == phase
    assert summary["reason"] == (None if stop is None else {"category": stop.category, "message": stop.message})


def test_errors_are_listed_by_category_with_an_example_the_commonest_first(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    made.write(0, [letter(0, "timeout"), letter(1), letter(2)])
    made.write(1, [3, 4, letter(5)])
    made.write(2, [6])
    assert made.finalize()["errors"] == [
        {"category": "refusal", "count": 3, "sample_id": "id-1", "sample_message": "no, 1"},
        {"category": "timeout", "count": 1, "sample_id": "id-0", "sample_message": "no, 0"},
    ]


def test_usage_cost_and_retries_are_sums_over_all_records(tmp_path: Path) -> None:
    pricing = {"inputPerMillion": 1000.0, "outputPerMillion": 3000.0}
    made = sharded(tmp_path, pricing=pricing)
    spent = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    made.write(0, [result(0, attempts=3), letter(1, usage=spent), 2])
    made.write(1, [3, 4, 5])
    made.write(2, [6])
    summary = made.finalize()
    assert summary["usage"]["input_tokens"] == 6 * 2 + 10
    assert summary["usage"]["output_tokens"] == 6 * 1 + 5
    assert summary["cost"] == {"amount": 0.055, "currency": "USD"}
    assert summary["retries"] == 3


def test_what_may_be_a_secret_in_a_url_is_not_in_the_configuration(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    spec = {
        "input": {"uri": "https://a.example/items.jsonl?sig=secret"},
        "endpoint": {"url": "https://b.example/v1?key=secret"},
        "deliver": {"url": "https://c.example/hooks/secret?token=secret"},
        "notify": [{"url": "https://d.example/hooks/secret"}],
    }
    nothing = Written("", 0, 0, "", "")
    outcome = Outcome(Totals(), nothing, nothing, None, NOW)
    summary = summarize(
        Job(batch=batch(**spec), store_uri="file:///s", output_uri="file:///o"), made.plan, outcome, 1.0
    )
    assert b"secret" not in orjson.dumps(summary["configuration"])
    assert b"https://d.example" in orjson.dumps(summary["configuration"])


def test_the_configuration_is_the_manifest_and_times_are_those_given(tmp_path: Path) -> None:
    made = sharded(tmp_path, retry={"maxAttempts": 7})
    made.write_all()
    summary = made.finalize()
    assert summary["configuration"]["retry"]["maxAttempts"] == 7
    assert summary["configuration"]["model"] == "gpt-4.1-mini"
    assert (summary["started_at"], summary["completed_at"], summary["duration_seconds"]) == (CREATED_AT, NOW, 60.0)
    assert (summary["name"], summary["uid"]) == ("triage", "u")
