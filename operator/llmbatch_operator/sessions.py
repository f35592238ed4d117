"""The sessions of all batches that run, and the coordinator's desk: who asks, and what is answered. No I/O.

Called by the coordinator's server for every report, and by the reconciler.
"""

import time
from collections.abc import Callable

from llmbatch_contract.reports import Command, Reply, Report, Spent
from llmbatch_contract.spec import LLMBatchSpec
from llmbatch_operator.awaited import Awaited
from llmbatch_operator.cache import Cache
from llmbatch_operator.coordinator.desk import PodIdentity
from llmbatch_operator.facts import BatchRef, PodFacts
from llmbatch_operator.pools import Pools
from llmbatch_operator.session import Session
from llmbatch_operator.telemetry.recorder import Recorder
from llmbatch_operator.telemetry.series import Live
from llmbatch_telemetry.telemetry import no_telemetry

_REPORTS_PER_SECOND = 300
"""In all: workers report more rarely when there are many."""
_MOST_RARELY_S = 10.0
_ENDPOINTS_EVERY_S = 5.0


class Sessions:
    """What is known of running batches beyond the cluster's own objects, by uid."""

    def __init__(
        self,
        wake: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        recorder: Recorder | None = None,
    ) -> None:
        """`wake` is told which batch something new was said about."""
        self.recorder = recorder or Recorder(no_telemetry())
        self.recorder.live = self._live
        self.cache = Cache(wake, self.heard_of_pod)
        self._awaited = Awaited(self.cache, clock)
        self.pools = Pools(clock, self._awaited.begin)
        self._wake, self._clock = wake, clock
        self._sessions: dict[str, Session] = {}
        self._report_every_s = 1.0
        self._endpoints_told_at = float("-inf")
        self._early_words: dict[str, list[PodFacts]] = {}
        """Of pods whose batch was not yet known, after a restart."""

    def open(
        self,
        ref: BatchRef,
        spec: LLMBatchSpec,
        endpoint: str | None = None,
        *,
        answered_before: int = 0,
        spent_before: Spent | None = None,
    ) -> Session:
        """The session of a batch, made where there is none.

        `spec` is as workers are given it; `endpoint` is the name of the LLMEndpoint that it was made with, if it was.
        So many of its items are known to be answered, and so much is known to be spent.
        """
        session = self._sessions.get(ref.uid)
        if session is None:
            pool = self.pools.join(ref, endpoint, spec.endpoint.limits)
            session = Session(ref, spec, pool, answered_before, spent_before or Spent())
            self._sessions[ref.uid] = session
            for pod in self._early_words.pop(ref.uid, []):
                _take_in(session, pod, self._clock())
        elif session.spec is not spec:
            session.use(spec)
            if endpoint is None:  # the limits of an LLMEndpoint are changed by its own handler
                session.pool.shares.set_limits(spec.endpoint.limits, self._clock())
        return session

    def get(self, uid: str) -> Session | None:
        """The session of a batch, if there is one."""
        return self._sessions.get(uid)

    def close(self, uid: str) -> None:
        """The batch has ended or is gone."""
        self._sessions.pop(uid, None)
        self._early_words.pop(uid, None)
        self.pools.leave(uid)

    def heard_of_pod(self, pod: PodFacts) -> None:
        """A pod has changed or gone."""
        if (known := self.cache.known(pod.batch_uid)) is not None:
            self.recorder.pod_ended(known, pod)
        if not pod.is_over and pod.last_words is None:
            return
        if not pod.has_stopped:
            self._awaited.vanished(pod)
        if (session := self._sessions.get(pod.batch_uid)) is not None:
            _take_in(session, pod, self._clock())
            return
        self._free(pod)
        if self.cache.get(pod.batch_uid) is not None and not self.cache.has_ended(pod.batch_uid):
            self._early_words.setdefault(pod.batch_uid, []).append(pod)

    def _free(self, pod: PodFacts) -> None:
        """Others may have what was granted to a pod whose batch has no session: not yet, or not any more."""
        (self.pools.left if pod.has_stopped else self.pools.vanished)(pod.batch_uid, pod.name)

    def reply(self, who: PodIdentity, report: Report) -> Reply | None:
        """Answer a report; None when the batch is gone or has ended."""
        if self.cache.get(who.batch_uid) is None or self.cache.has_ended(who.batch_uid):
            if report.leaving:
                self.pools.left(who.batch_uid, who.pod)
            return None
        session = self._sessions.get(who.batch_uid)
        if session is None:  # just restarted: the reconciler opens it in a moment; until then what was granted stands
            return Reply(command=Command.PAUSE, grant=report.holds)
        before = (session.stop, session.plan)
        session.report_every_s = self._report_every_s
        now = self._clock()
        self.recorder.heard(session.late_s(who.pod, now))
        reply = session.reply(report.model_copy(update={"worker": who.pod}), now)
        is_urgent = (session.stop, session.plan) != before or session.command is Command.PAUSE
        session.has_changed = True
        if is_urgent:
            self._wake(who.batch_uid)
        return reply

    def batch_uid(self, namespace: str, name: str) -> str | None:
        """The uid of a batch that exists."""
        return self.cache.uid_of(namespace, name)

    def store_is_full(self, batch_uid: str, message: str | None) -> None:
        """A write was refused for want of space (None: accepted again)."""
        session = self._sessions.get(batch_uid)
        if session is not None and session.store_full != message:
            session.store_full = message
            self._wake(batch_uid)

    def _live(self, uid: str) -> Live | None:
        """Called from any thread."""
        session = self._sessions.get(uid)
        if session is None:
            return None
        waiting = {category.value: count for category, count in session.coordinator.waiting.items()}
        return Live(session.in_flight, waiting, session.workers)

    def __len__(self) -> int:
        return len(self._sessions)

    def changed(self) -> list[str]:
        """Batches of which workers have reported since they were last looked at. Asked every second."""
        workers = sum(session.workers for session in self._sessions.values())
        self._report_every_s = min(_MOST_RARELY_S, max(1.0, workers / _REPORTS_PER_SECOND))
        self._look_after_pools(self._clock())
        return [uid for uid, session in self._sessions.items() if session.has_changed]

    def _look_after_pools(self, now: float) -> None:
        for pod in self._awaited.given_up(now):
            self._free(pod)
        self.pools.tidy()
        if now - self._endpoints_told_at >= _ENDPOINTS_EVERY_S:
            self._endpoints_told_at = now
            self.recorder.endpoints_are(self.pools.facts())


def _take_in(session: Session, pod: PodFacts, now: float) -> None:
    if pod.last_words is not None:
        session.heard_last_words(pod.name, pod.last_words, now)
    elif pod.has_stopped:
        session.lost(pod.name, now)
    else:
        session.vanished(pod.name, now)
