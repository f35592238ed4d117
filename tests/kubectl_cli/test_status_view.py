"""What `status` and `watch` show of a batch."""

from typing import Any

import pytest

from kubectl_cli.batch_documents import NOW, Document, batch, condition, outputs, status, tally
from llmbatch_cli.kubectl.status_view import moment, page, table

RUNNING = status(
    "Running",
    total=1_000,
    succeeded=417,
    failed=3,
    startTime="2026-11-22T08:01:40Z",
    itemsPerMinute=120,
    timeLeft="4m50s",
    estimatedCompletionTime="2026-11-22T08:09:50Z",
    shards={"total": 10, "active": 4, "succeeded": 3, "failed": 0},
    usage={"inputTokens": 100_000, "outputTokens": 23_000, "totalTokens": 123_000},
    cost={"amount": 1.23, "currency": "USD", "display": "1.23 USD"},
    latency={"p50": 812.4, "p95": 1_900, "p99": None},
    errors=[tally("rate_limited", 3, "item-7", "Too many\nrequests")],
    retries=12,
    resentItems=2,
    traceId="4bf92f3577b34da6a3ce929d0e0e4736",
)


def text(given: Document | None, **spec: Any) -> str:
    return "\n".join(line.text for line in page(batch(given, **spec), NOW))


def test_the_page_of_a_running_batch() -> None:
    assert text(RUNNING) == (
        "tickets: Running\n"
        "  ━━━━━━━━━━━━━━━━━━━━━━━━━───────────────────────────────────  42 %\n"
        "  items      1,000: 417 succeeded, 3 failed, 580 pending\n"
        "  shards     10: 4 active, 3 succeeded, 0 failed\n"
        "  time       for 3m20s, since 2026-11-22 08:01:40 UTC\n"
        "  rate       120/min\n"
        "  left       4m50s, until about 2026-11-22 08:09:50 UTC\n"
        "  tokens     100,000 in, 23,000 out\n"
        "  cost       1.23 USD\n"
        "  latency    p50 812 ms, p95 1,900 ms\n"
        "  retries    12; items sent again after a pod ended: 2\n"
        "  error      rate_limited: 3, as item-7: Too many requests\n"
        "  namespace  shop\n"
        "  model      small\n"
        "  trace      4bf92f3577b34da6a3ce929d0e0e4736"
    )


@pytest.mark.parametrize(
    ("found", "line"),
    [
        pytest.param(
            {"format": "jsonl", "packing": "none", "objects": 1, "bytes": 700}, "jsonl, 700 bytes", id="a file"
        ),
        pytest.param(
            {"format": "csv", "packing": "gzip", "objects": 1_200, "bytes": 3 << 29},
            "csv, packed with gzip, 1,200 objects, 1.5 GiB",
            id="many packed ones",
        ),
        pytest.param({"format": "jsonl"}, "jsonl", id="inline items"),
    ],
)
def test_the_input_is_shown_as_it_was_found(found: Document, line: str) -> None:
    assert f"  input      {line}" in text(RUNNING | {"input": found}).splitlines()


def test_with_a_template_the_page_links_to_the_trace() -> None:
    shown = [line.text for line in page(batch(RUNNING), NOW, "http://jaeger/trace/{trace_id}?uiFind={item}")]
    assert shown[-1] == "  trace at   http://jaeger/trace/4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_batch_that_has_no_trace_yet_has_no_link() -> None:
    assert "trace" not in "".join(line.text for line in page(batch(), NOW, "http://jaeger/trace/{trace_id}"))


def test_the_page_of_a_finished_batch_says_how_to_get_its_outputs() -> None:
    ended: Document = {
        "startTime": "2026-11-22T08:01:40Z",
        "completionTime": "2026-11-22T08:04:00Z",
        "itemsPerMinute": 4.3,
    }
    output = outputs(results="results.csv")
    assert text(status("CompletedWithErrors", total=10, succeeded=8, failed=2, **ended) | {"output": output}) == (
        "tickets: CompletedWithErrors\n"
        "  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━  100 %\n"
        "  items      10: 8 succeeded, 2 failed\n"
        "  time       took 2m20s, since 2026-11-22 08:01:40 UTC\n"
        "  rate       4.3/min on average\n"
        "  namespace  shop\n"
        "  model      small\n"
        "  results    kubectl llmbatch results tickets -n shop -o results.csv\n"
        "  errors     kubectl llmbatch errors tickets -n shop -o errors.jsonl\n"
        "  retry      kubectl llmbatch retry tickets -n shop"
    )


@pytest.mark.parametrize(
    ("given", "wanted", "unwanted"),
    [
        pytest.param(None, "no operator has seen it yet", "items", id="a batch without a status says what is missing"),
        pytest.param(
            status("Running", total=4, succeeded=4),
            "4 succeeded, 0 failed",
            "retry",
            id="a running batch cannot be retried",
        ),
        pytest.param(
            status("Succeeded", total=4, succeeded=4), "results tickets", "retry", id="nor one without dead letters"
        ),
        pytest.param(
            status("Cancelled", total=4, succeeded=1, cancelled=3),
            "4: 1 succeeded, 0 failed, 3 cancelled",
            "pending",
            id="what was cancelled is told",
        ),
        pytest.param(
            status("Failed") | {"output": {}}, "tickets: Failed", "results", id="without outputs no way to them is told"
        ),
        pytest.param(
            status("Succeeded") | {"output": {"results": "s3://bucket/out/results.jsonl"}},
            "results    s3://bucket/out/results.jsonl",
            "kubectl llmbatch results",
            id="outputs in a store of the user's are told by their place",
        ),
    ],
)
def test_what_the_page_says_and_does_not(given: Document | None, wanted: str, unwanted: str) -> None:
    assert wanted in text(given)
    assert f"  {unwanted} " not in text(given)


def test_what_blocks_comes_first_and_what_the_phase_says_not_at_all() -> None:
    held = [
        condition("Planned", "Planned"),
        condition("Suspended", "Suspended", "by spec.suspend"),
        condition("SomethingNew", "Unheard", "of"),
        condition("Blocked", "SecretMissing", "Secret openai is not there; create it"),
    ]
    lines = text(status("Running", conditions=held)).splitlines()
    assert lines[1:4] == [
        "  blocked    SecretMissing: Secret openai is not there; create it",
        "  suspended  by spec.suspend",
        "  somethingnew Unheard: of",
    ]
    assert "planned" not in "\n".join(lines)


def test_a_sample_cannot_command_the_terminal() -> None:
    spoiled = tally("unknown", 1, "a\x1b[2J", "b\r\x1b]0;title\x07" + "x" * 500)
    shown = text(status("Running", total=1, errors=[spoiled]))
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) < 200


def test_a_reason_of_two_conditions_is_told_once() -> None:
    why = ("StoppedByFailure", "auth: the key is wrong")
    ended = status("Failed", total=2, conditions=[condition("Stopping", *why), condition("Failed", *why)])
    assert text(ended).splitlines()[1] == "  failed     StoppedByFailure: auth: the key is wrong"
    assert text(ended).count("the key is wrong") == 1


@pytest.mark.parametrize(
    ("given", "line"),
    [
        pytest.param(None, "Pending", id="not seen"),
        pytest.param(
            RUNNING, "Running: 420 of 1,000 (42 %) · 417 succeeded, 3 failed · 120/min · 4m50s left", id="running"
        ),
        pytest.param(
            status("Pending", conditions=[condition("Blocked", "InputMissing", "no ConfigMap items")]),
            "Pending · Blocked: InputMissing: no ConfigMap items",
            id="blocked",
        ),
        pytest.param(
            status("Suspended", conditions=[condition("Suspended", "Suspended", "by spec.suspend")]),
            "Suspended · by spec.suspend",
            id="a condition that is the phase",
        ),
    ],
)
def test_a_moment_on_one_line(given: Document | None, line: str) -> None:
    assert moment(batch(given)) == line


def test_the_table_has_a_line_for_each_batch_and_notes_what_blocks() -> None:
    blocked = status("Running", total=1_000, conditions=[condition("Blocked", "SecretMissing")])
    cancelled = status("Cancelled", total=5, cancelled=5, conditions=[condition("Cancelled", "Cancelled")])
    rows = table([batch(RUNNING), batch(blocked, "b"), batch(cancelled, "c"), batch(name="d")], NOW, False)
    assert [row.text for row in rows] == [
        "NAME      PHASE       PROGRESS   SUCCEEDED   FAILED   TOTAL   RATE      LEFT    AGE   NOTE",
        "tickets   Running     42%        417         3        1,000   120/min   4m50s   5m",
        "b         Running     0%         0           0        1,000   -         -       5m    SecretMissing",
        "c         Cancelled   0%         0           0        5       -         -       5m",
        "d         Pending     -          -           -        -       -         -       5m",
    ]


def test_the_table_of_all_namespaces_begins_with_the_namespace() -> None:
    assert [row.text.split()[:2] for row in table([batch()], NOW, with_namespace=True)] == [
        ["NAMESPACE", "NAME"],
        ["shop", "tickets"],
    ]


_FAILED = "4 of 50 items failed; more than 5 % are too many"


def test_a_batch_that_waits_for_approval_shows_its_canary_and_what_to_do() -> None:
    shown = text(
        status(
            "AwaitingApproval",
            total=1_000,
            succeeded=46,
            failed=4,
            conditions=[
                condition("CanaryPassed", "CanaryFailed", _FAILED, holds=False),
                condition("Suspended", "CanaryFailed", _FAILED),
            ],
            waitingFor="approval",
            canary={
                "items": 50,
                "succeeded": 46,
                "failed": 4,
                "failurePercent": 8,
                "projectedCost": {"amount": 31.2, "currency": "USD", "display": "31.20 USD"},
                "projectedTokens": 4_000_000,
                "projectedDuration": "3h20m",
            },
        )
    )
    assert shown == (
        "tickets: AwaitingApproval\n"
        f"  suspended  CanaryFailed: {_FAILED}\n"
        "  ━━━─────────────────────────────────────────────────────────  5 %\n"
        "  items      1,000: 46 succeeded, 4 failed, 950 pending\n"
        "  waits for  approval\n"
        "  canary     50: 46 succeeded, 4 failed (8 %)\n"
        "  all of it  31.20 USD, 4,000,000 tokens, about 3h20m\n"
        "  namespace  shop\n"
        "  model      small\n"
        "  go on      kubectl llmbatch approve tickets -n shop\n"
        "  or end     kubectl llmbatch cancel tickets -n shop"
    )


def test_a_batch_whose_window_is_closed_shows_when_it_opens() -> None:
    shown = text(
        status(
            "Suspended",
            conditions=[condition("Suspended", "OutsideWindow", "the window is closed")],
            waitingFor="its window",
            nextStartTime="2026-11-22T22:00:00Z",
        )
    )
    assert "  suspended  OutsideWindow: the window is closed\n" in shown
    assert "  waits for  its window\n  opens      in 13h55m, at 2026-11-22 22:00:00 UTC\n" in shown


def test_a_spent_budget_is_told_once() -> None:
    spent = "the budget of 1,000 tokens is spent"
    conditions = [condition("BudgetExceeded", "BudgetExceeded", spent), condition("Suspended", "BudgetExceeded", spent)]
    assert text(status("Suspended", conditions=conditions)).count(spent) == 1
    assert f"  budget     {spent}\n" in text(status("Running", conditions=conditions[:1]))
