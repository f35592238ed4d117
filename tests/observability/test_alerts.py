"""What the alert rules do: given series over time, which alerts fire in which minutes, and no others.

Prometheus' own query engine decides (promcheck.py). The values are those of one sample a minute: `0+60x30` are 0 and
then 30 times 60 more, `5x30` is 31 times 5, `_x20` is none 20 times, `stale` says that the series has ended.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from observability.promcheck import Fires, Promcheck

pytest_plugins = ["observability.promcheck"]

_RULES = Path(__file__).parents[2] / "deploy" / "observability" / "alerts.yaml"
_QUIET_OPERATOR = "llmbatch_operator_queue{} 3x100"


def _of_batch(batch: str, metric: str, values: str, **labels: str) -> str:
    every = {"k8s_namespace_name": "shop", "llmbatch_batch_name": batch, **labels}
    matchers = ", ".join(f'{key}="{value}"' for key, value in every.items())
    return f"llmbatch_batch_{metric}{{{matchers}}} {values}"


def _items(batch: str, values: str, *, category: str = "", job: str = "a") -> str:
    """Items that succeeded, or failed with this category."""
    ended = {"llmbatch_outcome": "failed", "llmbatch_category": category} if category else {}
    return _of_batch(batch, "items_total", values, job=job, **(ended or {"llmbatch_outcome": "succeeded"}))


@dataclass(frozen=True)
class Scenario:
    """Series, and all alerts that fire while they last."""

    minutes: int
    series: tuple[str, ...]
    fires: tuple[Fires, ...] = ()


STALLED = Scenario(
    30,
    (
        _QUIET_OPERATOR,
        _of_batch("stuck", "idle_seconds", "0+60x30"),
        _of_batch("fine", "idle_seconds", "5x30"),
        _of_batch("ended", "idle_seconds", "0+60x8 stale"),
    ),
    # Idle for more than 600 s from minute 11 on, and that for a minute.
    (Fires("LLMBatchStalled", 12, 30, "No item of batch shop/stuck has ended for 30m 0s", "stuck"),),
)
GOES_ON = Scenario(
    30,
    (_QUIET_OPERATOR, _of_batch("again", "idle_seconds", "0+60x15 0x15")),
    (Fires("LLMBatchStalled", 12, 15, "No item of batch shop/again has ended for 15m 0s", "again"),),
)
FAILING = Scenario(
    20,
    (
        _QUIET_OPERATOR,
        _items("bad", "0+80x30"),
        _items("bad", "0+12x30", category="timeout"),
        _items("bad", "0+8x30", category="refusal"),
        _items("good", "0+95x30"),
        _items("good", "0+5x30", category="timeout"),
        _items("tiny", "0+1x30", category="timeout"),
    ),
    # A growth needs two samples, so it is known from minute 1 on.
    (Fires("LLMBatchFailing", 6, 20, "20% of the items of batch shop/bad fail", "bad"),),
)
SLOW = Scenario(
    48,
    (
        _QUIET_OPERATOR,
        _items("late", "0+100x30 3050+50x30"),
        _items("late", "_x20 2000+100x10 3050+50x30", job="b"),
        _of_batch("late", "age_seconds", "0+60x70", job="a"),
        _of_batch("late", "idle_seconds", "1x70", job="a"),
        # Held back on purpose: such a batch has an age, but is not idle.
        _items("held", "0+100x30 3050+50x30"),
        _of_batch("held", "age_seconds", "0+60x70"),
    ),
    (Fires("LLMBatchSlow", 43, 48, "Batch shop/late has become 1.625 times slower", "late"),),
)
_ABSENT = Fires("LLMBatchOperatorAbsent", 10, 20, "There are no metrics of the operator")
OLD_STATUSES = Scenario(
    20,
    (
        'llmbatch_operator_status_staleness_seconds_bucket{le="5.0"} 0+80x20',
        'llmbatch_operator_status_staleness_seconds_bucket{le="10.0"} 0+90x20',
        'llmbatch_operator_status_staleness_seconds_bucket{le="+Inf"} 0+100x20',
    ),
    (Fires("LLMBatchOperatorBehind", 11, 20, "The operator does not keep up with its batches"), _ABSENT),
)
QUIET = Scenario(
    30,
    (
        'llmbatch_operator_queue{job="llmbatch-operator"} 3x30',
        'llmbatch_operator_store_used_bytes{job="llmbatch-operator"} 84x30',
        'llmbatch_operator_store_limit_bytes{job="llmbatch-operator"} 100x30',
        'llmbatch_telemetry_dropped_total{job="llmbatch-worker", llmbatch_signal="spans"} 7x30',
        'llmbatch_operator_status_staleness_seconds_bucket{le="5.0"} 0+95x30',
        'llmbatch_operator_status_staleness_seconds_bucket{le="+Inf"} 0+100x30',
    ),
)
TROUBLED = Scenario(
    25,
    (
        'llmbatch_operator_queue{job="llmbatch-operator"} 300x30',
        'llmbatch_operator_store_used_bytes{job="llmbatch-operator"} 90x30',
        'llmbatch_operator_store_limit_bytes{job="llmbatch-operator"} 100x30',
        'llmbatch_telemetry_dropped_total{job="llmbatch-worker", instance="1", llmbatch_signal="spans"} 0+1x30',
        'llmbatch_telemetry_dropped_total{job="llmbatch-worker", instance="2", llmbatch_signal="spans"} 0+1x30',
    ),
    (
        Fires("LLMBatchOperatorBehind", 10, 25, "The operator does not keep up with its batches"),
        Fires("LLMBatchStoreNearlyFull", 5, 25, "The built-in store is 90% full"),
        Fires("LLMBatchTelemetryDropped", 6, 25, "Spans of llmbatch-worker are lost: 30 in 15 minutes"),
    ),
)
HELD = Scenario(
    80,
    (
        _QUIET_OPERATOR,
        _of_batch("away", "idle_seconds", "0+60x80"),
        _of_batch("away", "held_seconds", "0+60x80", llmbatch_reason="EndpointDown"),
        _of_batch("keyless", "held_seconds", "0+60x20 stale", llmbatch_reason="SecretMissing"),
        _of_batch("asleep", "held_seconds", "0+60x80", llmbatch_reason="Suspended"),
        _of_batch("nightly", "held_seconds", "0+60x80", llmbatch_reason="OutsideWindow"),
        _of_batch("spent", "held_seconds", "_x5 0+60x10 stale", llmbatch_reason="BudgetExceeded"),
        _of_batch("shown", "held_seconds", "0+60x80", llmbatch_reason="ApprovalNeeded"),
        _of_batch("bad", "held_seconds", "0+60x63 stale", llmbatch_reason="CanaryFailed"),
    ),
    (
        Fires("LLMBatchBlocked", 17, 80, "Batch shop/away has waited for 1h 20m 0s: EndpointDown", "away"),
        Fires("LLMBatchBlocked", 17, 20, "Batch shop/keyless has waited for 20m 0s: SecretMissing", "keyless"),
        Fires("LLMBatchBudgetExceeded", 6, 15, "Batch shop/spent has spent its budget", "spent"),
        Fires("LLMBatchAwaitingApproval", 62, 80, "Batch shop/shown has waited for approval for 1h 20m 0s", "shown"),
        Fires("LLMBatchAwaitingApproval", 62, 63, "Batch shop/bad has waited for approval for 1h 3m 0s", "bad"),
    ),
)


def _of_endpoint(name: str, metric: str, values: str, **labels: str) -> str:
    matchers = ", ".join(f'{key}="{value}"' for key, value in {"llmbatch_endpoint_name": name, **labels}.items())
    return f"llmbatch_endpoint_{metric}{{{matchers}}} {values}"


ENDPOINTS = Scenario(
    40,
    (
        _QUIET_OPERATOR,
        _of_endpoint("away", "down", "0x4 1x20 0x20"),
        _of_endpoint("shaky", "down", "1x3 0x3 1x3 0x30"),
        _of_endpoint("busy", "throttled", "1x40", job="a"),
        _of_endpoint("busy", "throttled", "_x20 1x20", job="b"),
        _of_endpoint("fine", "throttled", "0x5 1x10 0x30"),
    ),
    (
        Fires("LLMBatchEndpointDown", 10, 25, "LLMEndpoint away is down", "away"),
        Fires("LLMBatchEndpointThrottled", 15, 40, "LLMEndpoint busy bears less than its limits", "busy"),
    ),
)
UNTOLD = Scenario(
    20,
    (
        _QUIET_OPERATOR,
        'llmbatch_operator_notifications_total{llmbatch_outcome="failed"} 0x5 3x30',
        'llmbatch_operator_notifications_total{llmbatch_outcome="delivered"} 0+1x30',
    ),
    (Fires("LLMBatchWebhooksFail", 7, 20, "Webhooks were given up: 3 in an hour"),),
)


@pytest.mark.timeout(60, func_only=True)
@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(STALLED, id="a batch in which nothing ends is stalled, not one that goes on or has ended"),
        pytest.param(GOES_ON, id="a stalled batch that goes on is stalled no more"),
        pytest.param(FAILING, id="a batch fails when more than a tenth of its items do, over all categories"),
        pytest.param(SLOW, id="half as fast is slow, and a second operator that tells of it changes nothing"),
        pytest.param(OLD_STATUSES, id="an operator whose statuses are old is behind, one without metrics is absent"),
        pytest.param(QUIET, id="a quiet operator disturbs nobody"),
        pytest.param(TROUBLED, id="a store that is nearly full, spans that are lost, a queue that is long"),
        pytest.param(HELD, id="a batch that waits for somebody, not one that is suspended or outside its window"),
        pytest.param(ENDPOINTS, id="an endpoint that is down for minutes, one that pushes back for a quarter hour"),
        pytest.param(UNTOLD, id="webhooks that were given up"),
    ],
)
def test_alerts_fire_when_they_should_and_only_then(promcheck: Promcheck, scenario: Scenario) -> None:
    assert promcheck.firing(_RULES, scenario.series, scenario.minutes) == set(scenario.fires)


def test_every_alert_fires_in_a_scenario() -> None:
    scenarios = (STALLED, GOES_ON, FAILING, SLOW, OLD_STATUSES, QUIET, TROUBLED, HELD, ENDPOINTS, UNTOLD)
    named = {line.split()[-1] for line in _RULES.read_text().splitlines() if "alert:" in line}
    assert named == {fires.alert for scenario in scenarios for fires in scenario.fires}
