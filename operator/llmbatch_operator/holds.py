"""What holds a batch: suspend, its endpoint, its canary, its budget, its window. Pure.

One that is held asks nothing and has no pods, and goes on by itself when nothing holds it any more. While several do,
the first is told that somebody has to do something about.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from llmbatch_contract.spec import Window
from llmbatch_contract.status import ConditionType, Phase, Reason
from llmbatch_operator.budget import budget_fact
from llmbatch_operator.canary import canary_verdict
from llmbatch_operator.observed import Fact, Observed
from llmbatch_operator.planned import all_is_asked
from llmbatch_operator.window import next_open

_MOST_S = 600.0
"""The clock may be set in the meantime, so it is looked at now and then."""


@dataclass(frozen=True)
class Hold:
    """One thing that holds a batch."""

    fact: Fact
    """For the condition Suspended."""
    waiting_for: str
    phase: Phase = Phase.SUSPENDED
    more: dict[ConditionType, Fact] = field(default_factory=dict)
    """For other conditions."""
    again_after_s: float | None = None


def what_holds(o: Observed, now: datetime) -> Hold | None:
    """The first that holds, in the order of `_HOLDS`; None when nothing does."""
    for hold in _HOLDS:
        if (held := hold(o, now)) is not None:
            return held
    return None


def _suspend(o: Observed, _now: datetime) -> Hold | None:
    if o.spec is None or not o.spec.suspend:
        return None
    return Hold(Fact(True, Reason.SUSPENDED, "spec.suspend is set; no pods run"), "resume")


def _as_before(o: Observed, _now: datetime) -> Hold | None:
    """While the spec is not valid, what has held it goes on doing so."""
    known = o.condition(ConditionType.SUSPENDED)
    if o.spec is not None or known is None or o.status is None:
        return None
    phase = o.status.phase if o.status.phase is Phase.AWAITING_APPROVAL else Phase.SUSPENDED
    return Hold(Fact(True, known.reason, known.message), o.status.waiting_for or "a valid spec", phase)


def _endpoint(o: Observed, _now: datetime) -> Hold | None:
    if not o.must_hold_for_endpoint or o.endpoint_problem is None or all_is_asked(o):
        return None
    return Hold(o.endpoint_problem, "the endpoint")


def _canary(o: Observed, _now: datetime) -> Hold | None:
    verdict = canary_verdict(o)
    if verdict is None or verdict.holds or all_is_asked(o):
        return None
    told = Fact(True, verdict.reason, verdict.message)
    return Hold(told, "approval", Phase.AWAITING_APPROVAL, {ConditionType.CANARY_PASSED: verdict})


def _budget(o: Observed, _now: datetime) -> Hold | None:
    fact = budget_fact(o)
    if fact is None or all_is_asked(o):
        return None
    return Hold(fact, "a larger budget", more={ConditionType.BUDGET_EXCEEDED: fact})


def _window(o: Observed, now: datetime) -> Hold | None:
    window = o.spec.window if o.spec is not None else None
    opens = next_open(window, now) if window is not None else None
    if window is None or opens is None or all_is_asked(o):
        return None
    told = f"the window is closed; it opens at {_clock(opens, window)}"
    again_after_s = min(_MOST_S, (opens - now).total_seconds())
    return Hold(Fact(True, Reason.OUTSIDE_WINDOW, told), "its window", again_after_s=again_after_s)


def _clock(moment: datetime, window: Window) -> str:
    local = moment.astimezone(ZoneInfo(window.time_zone))
    utc = "" if window.time_zone == "UTC" else f" ({moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"
    return f"{local:%Y-%m-%d %H:%M} {window.time_zone}{utc}"


_HOLDS: tuple[Callable[[Observed, datetime], Hold | None], ...] = (
    _suspend,
    _as_before,
    _endpoint,  # its LLMEndpoint does not allow the namespace, or there has never been one
    _canary,  # somebody has to approve
    _budget,  # somebody has to raise it
    _window,  # opens by itself
)
