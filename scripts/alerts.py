"""Writes the alert rules of deploy/observability, as a plain file of Prometheus and as a PrometheusRule.

Run by `make docs`; a test compares the files with what this writes to another folder, given as its argument.
docs/telemetry.md lists the rules, too (scripts/telemetry.py).
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from llmbatch_contract.status import Reason
from llmbatch_telemetry import names
from promql import TARGET_LABELS, grouped, growth_of_batches, of_batch, of_batches, of_endpoint, quantile, series

FOLDER = Path(__file__).resolve().parents[1] / "deploy" / "observability"
_HEADER = "# Written by `make docs` from scripts/alerts.py. Change that.\n"

_IN_BATCH = "{{ $labels.k8s_namespace_name }}/{{ $labels.llmbatch_batch_name }}"
_PERCENT = "{{ $value | humanizePercentage }}"
_DURATION = "{{ $value | humanizeDuration }}"
_FAILED_LATELY = growth_of_batches(names.BATCH_ITEMS, {names.OUTCOME: "failed"}, window="10m")
_ENDED_LATELY = growth_of_batches(names.BATCH_ITEMS, window="10m")
_AGE = of_batch(names.BATCH_AGE)
_IDLE = of_batch(names.BATCH_IDLE)
_HELD = of_batch(names.BATCH_HELD)
_ENDPOINT = "{{ $labels.llmbatch_endpoint_name }}"
_NOT_BY_ITSELF = (
    Reason.INVALID_SPEC, Reason.INPUT_MISSING, Reason.SECRET_MISSING, Reason.IMAGE_PULL_FAILED, Reason.UNSCHEDULABLE,
    Reason.PODS_FAIL, Reason.REFUSED, Reason.STORE_FULL, Reason.STORE_AWAY, Reason.ENDPOINT_DOWN,
    Reason.ENDPOINT_MISSING, Reason.ENDPOINT_FORBIDDEN, Reason.ENDPOINT_INVALID,
)  # fmt: skip
"""What somebody has to put right, other than the owner of the batch by a word."""


def _held(*reasons: Reason) -> str:
    """How long one of these has held a batch."""
    return of_batch(names.BATCH_HELD, {names.REASON: "|".join(reasons)}, by=[names.REASON])


@dataclass(frozen=True)
class Alert:
    """One rule."""

    name: str
    expression: str
    lasts: str
    severity: str
    summary: str
    meaning: str
    """What it means and what to do, for who is woken by it."""


BATCHES = (
    Alert(
        "LLMBatchStalled",
        f"{_IDLE} > 600 unless {_HELD}",
        "1m",
        "warning",
        f"No item of batch {_IN_BATCH} has ended for {_DURATION}",
        "The batch runs and nothing holds it, but nothing ends. Look at the endpoint, the limits, and the logs of its "
        "pods.",
    ),
    Alert(
        "LLMBatchFailing",
        f"{_FAILED_LATELY} / ({_ENDED_LATELY} >= 20) > 0.1",
        "5m",
        "warning",
        f"{_PERCENT} of the items of batch {_IN_BATCH} fail",
        "More than a tenth of the items that ended in the last 10 minutes failed for good. Each of them costs money: "
        "`kubectl llmbatch errors` says why they fail; suspend or cancel the batch if that will not pass.",
    ),
    Alert(
        "LLMBatchSlow",
        f"({of_batches(names.BATCH_ITEMS)} / ({_AGE} > 1200)) / ({_ENDED_LATELY} > 0) * 600 > 1.5 and {_IDLE} >= 0",
        "5m",
        "info",
        f"Batch {_IN_BATCH} has become {{{{ $value | humanize }}}} times slower",
        "In the last 10 minutes fewer than two thirds as many items ended as in average 10 minutes since the start, so "
        "that the end comes later than was said before. The first row of the batch's dashboard says whether a limit, "
        "the endpoint or the workers hold it up.",
    ),
    Alert(
        "LLMBatchBlocked",
        f"{_held(*_NOT_BY_ITSELF)} > 900",
        "1m",
        "warning",
        f"Batch {_IN_BATCH} has waited for {_DURATION}: {{{{ $labels.llmbatch_reason }}}}",
        "Something keeps the batch from going on, and it does not go away by itself. `kubectl llmbatch status` says "
        "what to put right; then the batch goes on.",
    ),
    Alert(
        "LLMBatchBudgetExceeded",
        f"{_held(Reason.BUDGET_EXCEEDED)} >= 0",
        "1m",
        "warning",
        f"Batch {_IN_BATCH} has spent its budget",
        "It is held, and what it has is kept. Raise `spec.budget` and it goes on; or cancel it, and what was answered "
        "is written.",
    ),
    Alert(
        "LLMBatchAwaitingApproval",
        f"{_held(Reason.APPROVAL_NEEDED, Reason.CANARY_FAILED)} > 3600",
        "1m",
        "info",
        f"Batch {_IN_BATCH} has waited for approval for {_DURATION}",
        "Its first items were asked, and somebody has to look at them: see `status.canary`, then "
        "`kubectl llmbatch approve` or cancel it.",
    ),
)
ENDPOINTS = (
    Alert(
        "LLMBatchEndpointDown",
        f"{of_endpoint(names.ENDPOINT_DOWN)} > 0",
        "5m",
        "warning",
        f"LLMEndpoint {_ENDPOINT} is down",
        "It cannot be reached or answers no request. Its batches wait, lose no attempts, and go on by themselves; one "
        "pod asks now and then. `kubectl describe llmep` has what it said last.",
    ),
    Alert(
        "LLMBatchEndpointThrottled",
        f"{of_endpoint(names.ENDPOINT_THROTTLED)} > 0",
        "15m",
        "info",
        f"LLMEndpoint {_ENDPOINT} bears less than its limits",
        "It has pushed back for 15 minutes: its stated limits are too high, or others use the same quota. Batches go "
        "on as fast as it bears.",
    ),
)
OPERATOR = (
    Alert(
        "LLMBatchOperatorAbsent",
        f"absent({series(names.QUEUE_LENGTH)})",
        "10m",
        "warning",
        "There are no metrics of the operator",
        "It does not run, or its metrics are not collected. Batches go on with what their pods have, but no new ones "
        "are started and no status is written.",
    ),
    Alert(
        "LLMBatchOperatorBehind",
        f"{quantile(0.9, names.STATUS_STALENESS).replace('$__rate_interval', '5m')} > 5 "
        f"or max({series(names.QUEUE_LENGTH)}) > 100",
        "10m",
        "warning",
        "The operator does not keep up with its batches",
        "One in ten statuses is more than 5 s old when it is written, or more than 100 batches wait to be looked at. "
        "Look at the API server's latency, the event loop lag and the CPU that the operator gets.",
    ),
    Alert(
        "LLMBatchStoreNearlyFull",
        f"max({series(names.STORE_USED)}) / max({series(names.STORE_LIMIT)}) > 0.85",
        "5m",
        "warning",
        f"The built-in store is {_PERCENT} full",
        "When it is full, batches wait. Delete batches whose results have been fetched, set `ttlSecondsAfterFinished`, "
        "or raise `LLMBATCH_STORE_LIMIT` and the volume.",
    ),
    Alert(
        "LLMBatchTelemetryDropped",
        f"{grouped('sum', f'increase({series(names.DROPPED)}[15m])', [TARGET_LABELS[0], names.SIGNAL])} > 0",
        "5m",
        "info",
        "Spans of {{ $labels.job }} are lost: {{ $value | humanize }} in 15 minutes",
        "A collector is away or too slow. Batches do not suffer; traces have gaps.",
    ),
    Alert(
        "LLMBatchWebhooksFail",
        f"sum(increase({series(names.NOTIFICATIONS, {names.OUTCOME: 'failed'})}[1h])) > 0",
        "1m",
        "info",
        "Webhooks were given up: {{ $value | humanize }} in an hour",
        "Nobody was told of what happened to a batch. Events `NotifyFailed` of the batches have the addresses and the "
        "answers.",
    ),
)


def groups() -> list[dict[str, Any]]:
    """The groups of rules, as Prometheus reads them."""
    return [
        {"name": name, "rules": [_rule(alert) for alert in alerts]}
        for name, alerts in (
            ("llmbatch-batches", BATCHES),
            ("llmbatch-endpoints", ENDPOINTS),
            ("llmbatch-operator", OPERATOR),
        )
    ]


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.lasts,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "description": alert.meaning},
    }


def _resource() -> dict[str, Any]:
    """The same for the Prometheus operator."""
    metadata = {
        "name": "llmbatch",
        "namespace": "llmbatch-system",
        "labels": {"app.kubernetes.io/name": "llmbatch"},
    }
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata,
        "spec": {"groups": groups()},
    }


def write(folder: Path) -> None:
    """Both files."""
    (folder / "prometheus").mkdir(exist_ok=True)
    (folder / "alerts.yaml").write_text(_text({"groups": groups()}))
    (folder / "prometheus" / "alerts.yaml").write_text(_text(_resource()))


def _text(document: dict[str, Any]) -> str:
    return _HEADER + yaml.safe_dump(document, sort_keys=False, width=10_000, allow_unicode=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
