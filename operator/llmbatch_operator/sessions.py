"""The sessions of all batches that run, and the coordinator's desk: who asks, and what is answered. No I/O.

Called by the coordinator's server for every report, and by the reconciler.
"""

import time
from collections.abc import Callable

from llmbatch_contract.reports import Command, Reply, Report
from llmbatch_contract.spec import LLMBatchSpec
from llmbatch_operator.cache import Cache
from llmbatch_operator.coordinator.desk import PodIdentity
from llmbatch_operator.facts import PodFacts
from llmbatch_operator.session import Session
from llmbatch_operator.telemetry.recorder import Recorder
from llmbatch_operator.telemetry.series import Live
from llmbatch_telemetry.telemetry import no_telemetry

_REPORTS_PER_SECOND = 300
"""In all: workers report more rarely when there are many."""
_MOST_RARELY_S = 10.0


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
        self._wake, self._clock = wake, clock
        self._sessions: dict[str, Session] = {}
        self._report_every_s = 1.0
        self._early_words: dict[str, list[PodFacts]] = {}
        """Of pods whose batch was not yet known, after a restart."""

    def open(self, uid: str, spec: LLMBatchSpec, answered_before: int = 0) -> Session:
        """The session of a batch, made where there is none; so many of its items are known to be answered."""
        session = self._sessions.get(uid)
        if session is None:
            session = self._sessions[uid] = Session(spec, answered_before)
            for pod in self._early_words.pop(uid, []):
                _take_in(session, pod)
        elif session.spec is not spec:
            session.use(spec)
        return session

    def get(self, uid: str) -> Session | None:
        """The session of a batch, if there is one."""
        return self._sessions.get(uid)

    def close(self, uid: str) -> None:
        """The batch has ended or is gone."""
        self._sessions.pop(uid, None)
        self._early_words.pop(uid, None)

    def heard_of_pod(self, pod: PodFacts) -> None:
        """A pod has changed or gone."""
        if (known := self.cache.known(pod.batch_uid)) is not None:
            self.recorder.pod_ended(known, pod)
        if (not pod.is_over and pod.last_words is None) or self.cache.has_ended(pod.batch_uid):
            return
        if (session := self._sessions.get(pod.batch_uid)) is not None:
            _take_in(session, pod)
        else:
            self._early_words.setdefault(pod.batch_uid, []).append(pod)

    def reply(self, who: PodIdentity, report: Report) -> Reply | None:
        """Answer a report; None when the batch is gone or has ended."""
        if self.cache.get(who.batch_uid) is None or self.cache.has_ended(who.batch_uid):
            return None
        session = self._sessions.get(who.batch_uid)
        if session is None:
            return Reply(command=Command.PAUSE)  # just restarted: the reconciler opens it in a moment
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
        return [uid for uid, session in self._sessions.items() if session.has_changed]


def _take_in(session: Session, pod: PodFacts) -> None:
    if pod.last_words is not None:
        session.heard_last_words(pod.name, pod.last_words)
    elif pod.is_over:
        session.lost(pod.name)
