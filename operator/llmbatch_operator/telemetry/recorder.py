"""What the operator calls when something has happened that is worth telling: looks, ends, pods that died.

Nothing here waits or raises. With no exporter there are no spans, and whatever is counted is for Prometheus only.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmbatch_contract.pods import FinalCounts
from llmbatch_contract.progress import Totals
from llmbatch_contract.status import LLMBatchStatus
from llmbatch_contract.trace import BatchTrace
from llmbatch_operator.cache import Cache, Known
from llmbatch_operator.facts import PodFacts, unix_time
from llmbatch_operator.kube import CallError
from llmbatch_operator.observed import Action
from llmbatch_operator.telemetry.about import About, about
from llmbatch_operator.telemetry.batch_spans import (
    LookFacts,
    action_words,
    batch_span,
    changes,
    look_span,
    lost_pod_span,
)
from llmbatch_operator.telemetry.failures import failures
from llmbatch_operator.telemetry.series import Live, Series
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Point
from llmbatch_telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from llmbatch_contract.sharing import EndpointFacts

_log = logging.getLogger("llmbatch.telemetry")

_JUST_S = 120.0
"""What ended so long ago at most is told again after a restart: it may not have been told before."""
_MOST_PODS = 20_000


@dataclass
class Look:
    """One look at one batch; filled while it lasts."""

    actions: list[str] = field(default_factory=list)
    error: str | None = None
    old: LLMBatchStatus | None = None
    new: LLMBatchStatus | None = None
    """The status that was written."""


@dataclass
class Outcome:
    """What came of an action."""

    is_refused: bool = False
    """The API server will not have it."""


class Recorder:
    """Spans and metrics of all batches and of the operator's own work."""

    def __init__(self, telemetry: Telemetry, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix time."""
        self.live: Callable[[str], Live | None] = lambda _uid: None
        """Asked for what workers say of a batch now."""
        self.telemetry, self._clock = telemetry, clock
        self.series = Series(lambda uid: self.live(uid), clock)
        self._pods: dict[str, None] = {}
        self._looks: dict[str, tuple[object, ...]] = {}
        self._has_failed = False
        telemetry.meters.observe(self._points)

    @contextmanager
    def look(self, known: Known) -> Iterator[Look]:
        """Around one look at a batch."""
        look, start = Look(), self._clock()
        try:
            yield look
        except Exception as error:
            look.error = _words(error)
            raise
        finally:
            with self._unfailing():
                self._looked(known, look, start)

    @contextmanager
    def action(self, look: Look, action: Action) -> Iterator[Outcome]:
        """Around something that is done for a batch."""
        words, outcome, what = action_words(action), Outcome(), "failed"
        look.actions.append(words)
        try:
            yield outcome
            what = "refused" if outcome.is_refused else "done"
        finally:
            self.telemetry.meters.add(names.ACTIONS, 1, words.partition(" ")[0], what)
        if outcome.is_refused:
            look.error = f"{words} was refused"

    def wrote(self, known: Known, status: LLMBatchStatus, totals: Totals, final: FinalCounts | None) -> None:
        """A status was written."""
        self._take(known, status, totals, final, is_found=False)

    def found(self, known: Known, status: LLMBatchStatus, totals: Totals, final: FinalCounts | None) -> None:
        """A status is there that was not written just now, but mostly before this operator started."""
        self._take(known, status, totals, final, is_found=True)

    def _take(
        self, known: Known, status: LLMBatchStatus, totals: Totals, final: FinalCounts | None, *, is_found: bool
    ) -> None:
        with self._unfailing():
            if (who := about(known, self._clock())) is not None:
                self.series.write(who, status, failures(status, totals, final), is_found=is_found)

    def knows(self, uid: str) -> bool:
        """Whether it was told of a status of the batch."""
        return self.series.get(uid) is not None

    def ended(self, known: Known, status: LLMBatchStatus, cache: Cache) -> None:
        """A batch has ended; of one found so after a restart, this may be told for the second time."""
        now, end = self._clock(), status.completion_time
        if not self.telemetry.has_spans or (end is not None and now - end.timestamp() > _JUST_S):
            return
        with self._unfailing():
            if (who := about(known, now)) is not None:
                self.telemetry.span(batch_span(who, status, now, _origin(who, cache)))

    def gone(self, uid: str) -> None:
        """A batch was deleted; if it had no end, this is one."""
        self._looks.pop(uid, None)
        written = self.series.get(uid)
        if written is None or written.gone_at is not None:
            return
        with self._unfailing():
            if self.telemetry.has_spans and not written.status.phase.is_final:
                self.telemetry.span(batch_span(written.about, written.status, self._clock(), None))
            self.series.gone(uid)

    def pod_ended(self, known: Known, pod: PodFacts) -> None:
        """A pod is over. Of one that has not said what came of it, its span is exported in its place."""
        if not self.telemetry.has_spans or not pod.is_silent_end or pod.uid in self._pods:
            return
        self._pods[pod.uid] = None
        if len(self._pods) > _MOST_PODS:
            del self._pods[next(iter(self._pods))]
        with self._unfailing():
            if (who := self._who(known, pod.batch_uid)) is not None and not self._ended_long_ago(known):
                self.telemetry.span(lost_pod_span(who, pod, self._clock()))

    def heard(self, late_s: float | None) -> None:
        """A worker has reported, so much later than it was asked to."""
        if late_s is not None:
            self.telemetry.meters.record(names.REPORT_LAG, late_s)

    def shown(self, age_s: float) -> None:
        """A status was written that is the first to show a report of this age."""
        self.telemetry.meters.record(names.STATUS_STALENESS, age_s)

    def endpoints_are(self, facts: "Iterable[tuple[str | None, EndpointFacts]]") -> None:
        """How endpoints are used now, by the names of LLMEndpoints; None for inline ones. Told every few seconds."""
        with self._unfailing():
            self.series.endpoints.take(facts)

    def notified(self, outcome: str) -> None:
        """A webhook was told, or given up: `delivered` or `failed`."""
        self.telemetry.meters.add(names.NOTIFICATIONS, 1, outcome)

    @contextmanager
    def _unfailing(self) -> Iterator[None]:
        """A fault in here costs what would have been told, and holds up no batch. Logged once."""
        try:
            yield
        except Exception:  # noqa: BLE001
            level = logging.DEBUG if self._has_failed else logging.ERROR
            self._has_failed = True
            _log.log(level, "telemetry: a fault in llmbatch; batches go on", exc_info=True)

    def _who(self, known: Known, uid: str) -> About | None:
        written = self.series.get(uid)
        return written.about if written is not None else about(known, self._clock())

    def _ended_long_ago(self, known: Known) -> bool:
        end = ((known.body or {}).get("status") or {}).get("completionTime")
        return end is not None and self._clock() - (unix_time(end) or 0) > _JUST_S

    def _looked(self, known: Known, look: Look, start: float) -> None:
        end = self._clock()
        is_news = bool(changes(look.old, look.new, end))
        outcome = "error" if look.error else "changed" if look.actions or look.new is not None else "unchanged"
        self.telemetry.meters.record(names.RECONCILE_DURATION, max(0.0, end - start), outcome)
        who = about(known, end)
        if who is None or not self.telemetry.has_spans or not (is_news or look.actions or look.error):
            return
        facts = LookFacts(start, end, tuple(look.actions), look.error, look.old, look.new)
        did = (facts.actions, facts.error)
        if is_news or self._looks.get(who.ref.uid) != did:  # what fails for hours is told once
            self.telemetry.span(look_span(who, facts, self.telemetry.span_id()))
        self._looks[who.ref.uid] = did

    def _points(self) -> Iterable[Point]:
        return self.series.points()


def _origin(who: About, cache: Cache) -> BatchTrace | None:
    """The trace of the batch whose dead letters are asked about again, if it is still there."""
    uid = cache.uid_of(who.ref.namespace, who.source) if who.source is not None else None
    known = cache.get(uid) if uid is not None else None
    return known.trace if known is not None else None


def _words(error: Exception) -> str:
    """An error without what it quotes."""
    if isinstance(error, CallError):
        return f"the API server answered {error.status}" if error.status else "the API server cannot be reached"
    return type(error).__name__
