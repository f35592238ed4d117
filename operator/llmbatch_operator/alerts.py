"""When to raise an alarm about a batch that asks: too many errors, slow, stalled. Pure but for remembering since when.

The reconciler calls `look` after each decision. What is remembered begins anew with the operator, so after a restart an
alarm comes later, never too early; one that is on stays on until the batch is seen to do better, or does not ask.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from llmbatch_contract.holding import Alerts
from llmbatch_contract.reports import Command
from llmbatch_contract.status import ConditionType, ItemCounts, Phase, Reason
from llmbatch_operator.observed import Decision, Fact, Observed
from llmbatch_operator.status_of import Pace, has_caught_up

SLOW_S = 60.0
"""So long it has to be slow, or fast again, until it is said."""
_CALMER = 0.9
"""An alarm about errors ends at this part of the share at which it came, so that it does not flicker."""
_ASKING = (Phase.CANARY, Phase.RUNNING)
_ALARMS = (ConditionType.ERROR_RATE_HIGH, ConditionType.SLOW, ConditionType.STALLED)
_PODS_GO_ON = frozenset(
    (
        Reason.INVALID_SPEC,
        Reason.ENDPOINT_MISSING,
        Reason.ENDPOINT_FORBIDDEN,
        Reason.ENDPOINT_INVALID,
        Reason.ENDPOINT_CHANGED,
    )
)
"""Reasons of Blocked by which pods that run already ask on."""
_Facts = dict[ConditionType, Fact]


@dataclass(frozen=True)
class _Watch:
    """A batch that asks, watched without a break."""

    answered: int
    idle_since: float
    """On the clock: the last answer, or when the watch began."""
    idle_from: datetime
    has_begun: bool = False
    """Something was answered since it is watched."""
    is_below: bool = False
    """It goes slower than it should."""
    turned_at: float = 0
    """On the clock: when that changed last."""


@dataclass
class Watcher:
    """Watches all batches."""

    _watches: dict[str, _Watch] = field(default_factory=dict)

    def look(self, o: Observed, decision: Decision, pace: Pace, clock: float, now: datetime) -> Decision:
        """The decision, and what there is to say about alarms."""
        uid = o.ref.uid
        if (why := _why_nobody_asks(o, decision)) is not None:
            self.forget(uid)
            return _with(decision, _over(o, why))
        if o.spec is None:
            return decision
        alerts, counts = o.spec.alerts, _counts(o, pace)
        watch = self._watches[uid] = _watched(self._watches.get(uid), o, counts, pace, clock, now)
        facts = _errors(o, alerts, counts, pace) | _speed(o, watch, pace, clock) | _standstill(o, watch, clock)
        wait_s = _stalled_s(alerts) - (clock - watch.idle_since)
        return _with(decision, facts, wait_s if wait_s > 0 else None)

    def forget(self, uid: str) -> None:
        """The batch does not ask, or is gone."""
        self._watches.pop(uid, None)


def _why_nobody_asks(o: Observed, decision: Decision) -> str | None:
    """Nothing can be said about a batch that is held; what holds it is known already."""
    if decision.phase.is_final:
        return "the batch has ended"
    if decision.phase not in _ASKING or decision.command is not Command.RUN:
        return "the batch does not ask at the moment"
    if _holds(o, decision, ConditionType.ENDPOINT_DOWN) is not None:
        return "the endpoint is down: that is another alarm"
    if (reason := _holds(o, decision, ConditionType.BLOCKED)) is not None and reason not in _PODS_GO_ON:
        return "something is in the way: that is another alarm"
    return None


def _holds(o: Observed, decision: Decision, type_: ConditionType) -> Reason | None:
    """The reason of a condition that is True after the decision."""
    if (fact := decision.facts.get(type_)) is not None:
        return fact.reason if fact.holds else None
    condition = o.condition(type_)
    return condition.reason if condition is not None else None


def _over(o: Observed, why: str, types: tuple[ConditionType, ...] = _ALARMS) -> _Facts:
    """The end of those alarms that are on."""
    return {type_: Fact(False, Reason.RECOVERED, why) for type_ in types if o.condition(type_) is not None}


def _with(decision: Decision, facts: _Facts, again_after_s: float | None = None) -> Decision:
    if not facts and again_after_s is None:
        return decision
    waits = [s for s in (decision.again_after_s, again_after_s) if s is not None]
    return replace(decision, facts={**decision.facts, **facts}, again_after_s=min(waits, default=None))


def _counts(o: Observed, pace: Pace) -> ItemCounts:
    """What is answered: by the workers, or by the status while they have not told of all of it after a restart."""
    if not has_caught_up(pace.totals, o.status):
        assert o.status is not None
        return o.status.items or ItemCounts()
    return ItemCounts(succeeded=pace.totals.succeeded, failed=pace.totals.failed)


def _watched(before: _Watch | None, o: Observed, counts: ItemCounts, pace: Pace, clock: float, now: datetime) -> _Watch:
    answered = counts.succeeded + counts.failed
    if before is None:
        return _Watch(answered, clock, now, turned_at=clock)
    watch = before
    if answered > watch.answered:
        watch = replace(watch, answered=answered, idle_since=clock, idle_from=now, has_begun=True)
    is_below = watch.has_begun and _is_below(o, pace)
    return watch if is_below == watch.is_below else replace(watch, is_below=is_below, turned_at=clock)


# Errors


def _errors(o: Observed, alerts: Alerts, counts: ItemCounts, pace: Pace) -> _Facts:
    type_ = ConditionType.ERROR_RATE_HIGH
    if alerts.error_percent is None:
        return _over(o, "alerts.errorPercent is not set any more", (type_,))
    answered = counts.succeeded + counts.failed
    share = 100 * counts.failed / answered if answered else 0.0
    is_on = o.condition(type_) is not None
    what = f"{share:.3g} % of {answered:,} answered items have failed"
    if answered >= alerts.min_items and share > alerts.error_percent * (_CALMER if is_on else 1):
        most = "".join(f"; most often: {category} ({count:,})" for category, count in pace.totals.top_errors(1))
        sentence = f"{what}; more than {alerts.error_percent:g} % is too many (alerts.errorPercent){most}"
        return {type_: Fact(True, Reason.ERROR_RATE_HIGH, sentence)}
    return _over(o, what, (type_,))


# Speed


def _expected(o: Observed) -> tuple[float, str] | None:
    """Items a minute, and who says so."""
    assert o.spec is not None
    if (stated := o.spec.alerts.expected_items_per_minute) is not None:
        return stated, "alerts.expectedItemsPerMinute"
    canary = o.status.canary if o.status is not None else None
    if canary is None or canary.projected_items_per_minute is None:
        return None
    return canary.projected_items_per_minute, "as the canary was"


def _is_below(o: Observed, pace: Pace) -> bool:
    assert o.spec is not None
    expected = _expected(o)
    return expected is not None and 60 * (pace.items_per_second or 0) * o.spec.alerts.slow_factor < expected[0]


def _speed(o: Observed, watch: _Watch, pace: Pace, clock: float) -> _Facts:
    type_, expected = ConditionType.SLOW, _expected(o)
    if expected is None:
        return _over(o, "nothing says any more how fast it should be", (type_,))
    is_on, is_settled = o.condition(type_) is not None, clock - watch.turned_at >= SLOW_S
    speed = f"{60 * (pace.items_per_second or 0):.3g} items a minute, {expected[0]:.3g} are expected ({expected[1]})"
    if watch.is_below and (is_on or (is_settled and _has_more_to_ask(o))):
        return {type_: Fact(True, Reason.SLOW, speed)}
    return _over(o, speed, (type_,)) if watch.has_begun and not watch.is_below and is_settled else {}


def _has_more_to_ask(o: Observed) -> bool:
    """The last items of a batch are slow by nature: fewer and fewer are asked at once."""
    items = o.status.items if o.status is not None else None
    return items is None or items.pending > 0


# Standstill


def _stalled_s(alerts: Alerts) -> float:
    return alerts.stalled_minutes * 60


def _standstill(o: Observed, watch: _Watch, clock: float) -> _Facts:
    assert o.spec is not None
    type_ = ConditionType.STALLED
    if clock - watch.idle_since >= _stalled_s(o.spec.alerts):
        if (before := o.condition(type_)) is not None:
            return {type_: Fact(True, before.reason, before.message)}
        since = watch.idle_from.astimezone(UTC).strftime("%H:%M:%S")
        waits = f"; it waits for {o.status.waiting_for}" if o.status is not None and o.status.waiting_for else ""
        minutes = f"{o.spec.alerts.stalled_minutes:g} minutes (alerts.stalledMinutes)"
        return {type_: Fact(True, Reason.STALLED, f"nothing was answered since {since} UTC, for {minutes}{waits}")}
    return _over(o, "items are answered again", (type_,)) if watch.has_begun else {}
