"""Decides what becomes of an item once its attempt has ended, and lets the gate and the recorder know.

Called by the pool for every attempt; what is left for the pool to do comes back as a value.
"""

import random
import time
from dataclasses import dataclass

from llmbatch_contract.categories import ESCAPABLE, Category
from llmbatch_contract.reports import PushBackKind, StopReason
from llmbatch_contract.spec import LLMBatchSpec
from llmbatch_worker.asking import Question
from llmbatch_worker.classify import Failure, Success, classify
from llmbatch_worker.client import NoResponse, Response
from llmbatch_worker.events import AttemptFailed, Emit
from llmbatch_worker.limits.gate import Gate, Pass
from llmbatch_worker.limits.headers import exhausted_s, retry_after_s
from llmbatch_worker.progress_keeper import ProgressKeeper
from llmbatch_worker.recorder import Recorder
from llmbatch_worker.retry import THROTTLED, Again, GiveUp, StopBatch, after_failure
from llmbatch_worker.schema import ResponseSchema
from llmbatch_worker.silence import excuse, note_silence
from llmbatch_worker.work import RecordForm, Work, dead_letter, result_record

_SERVER_FAILED = 500
_SAYS_IT_IS_DOWN = (503, 529)
_PUSH_BACKS = {
    Category.RATE_LIMITED: PushBackKind.RATE_LIMITED,
    Category.OVERLOADED: PushBackKind.OVERLOADED,
    Category.TIMEOUT: PushBackKind.OVERLOADED,
}


@dataclass(frozen=True, slots=True)
class RetryLater:
    """The item wants another attempt."""

    after_s: float
    category: Category


Outcome = RetryLater | StopReason | None
"""None: the item has its record."""


@dataclass
class Judge:
    """The verdicts of one worker."""

    spec: LLMBatchSpec
    form: RecordForm
    schema: ResponseSchema | None
    gate: Gate
    recorder: Recorder
    keeper: ProgressKeeper
    emit: Emit
    waits_for_endpoint: bool = False
    """An endpoint that was never reached may still come; else the batch stops."""

    def no_response(self, work: Work, passed: Pass, silence: NoResponse) -> Outcome:
        """No whole answer came."""
        absent = not silence.was_sent
        if silence.category is Category.TIMEOUT:
            self.gate.pushed_back(passed, PushBackKind.OVERLOADED, silence.message)
        elif absent:
            self.gate.refused(passed)
            self.gate.slow_down(passed)
            self.gate.close_for(self.spec.retry.initial_seconds)
        failure = Failure(silence.category, silence.message)
        if silence.category is Category.CONNECTION:
            self._note_silence(work, failure, absent=absent)
        return self._failed(work, passed, failure, None, is_blameless=absent)

    def response(self, work: Work, question: Question, passed: Pass, response: Response) -> Outcome:
        """An answer came, of whatever status."""
        verdict = self._classify(question, response)
        if verdict.answer is not None:
            work.usage += verdict.answer.usage
            self.gate.answered(passed, question, verdict.answer.usage, response.latency_s)
        else:
            assert isinstance(verdict, Failure)
            self.gate.refused(passed, _PUSH_BACKS.get(verdict.category), verdict.message)
        self.gate.asked_to_wait(exhausted_s(response.headers, time.time()))
        if response.status >= _SERVER_FAILED:
            assert isinstance(verdict, Failure)
            self._note_silence(work, verdict, absent=False)
        else:
            self.gate.endpoint_answers()
        if isinstance(verdict, Failure):
            return self._failed(work, passed, verdict, response, is_blameless=verdict.category in THROTTLED)
        request_id = response.headers.get("x-request-id")
        record = result_record(
            work,
            verdict,
            completed_at=time.time(),
            latency_s=response.latency_s,
            form=self.form,
            request_id=request_id,
        )
        self.recorder.add(work, record, verdict)
        return None

    def bury(self, work: Work, failure: Failure, response: Response | None = None) -> None:
        """Make the item a dead letter."""
        letter = dead_letter(
            work,
            failure,
            failed_at=time.time(),
            latency_s=None if response is None else response.latency_s,
            form=self.form,
            request_id=None if response is None else response.headers.get("x-request-id"),
        )
        self.recorder.add(work, letter)

    def _classify(self, question: Question, response: Response) -> Success | Failure:
        try:
            return classify(question.api, response.status, response.body, self.schema)
        except Exception as error:  # noqa: BLE001  # whatever an endpoint sends costs one item, not the batch
            return Failure(Category.UNKNOWN, f"the answer could not be read: {type(error).__name__}", response.status)

    def _note_silence(self, work: Work, failure: Failure, *, absent: bool) -> None:
        """The endpoint did not answer, or only that it cannot."""
        troubles, now = self.gate.troubles, self.gate.now()
        is_suspect = note_silence(work, troubles.row)
        troubles.failed(work.number, failure.category, failure.message, absent=absent, is_suspect=is_suspect, now=now)

    def _failed(
        self, work: Work, passed: Pass, failure: Failure, response: Response | None, *, is_blameless: bool
    ) -> Outcome:
        """The attempt failed; `is_blameless` if the endpoint did not look at the item."""
        is_silence = failure.category is Category.CONNECTION or (failure.status or 0) >= _SERVER_FAILED
        in_outage = is_silence and self.gate.probing.is_down
        self._count(work, passed, failure, is_blameless=is_blameless, in_outage=in_outage)
        work.rejected += failure.answer is not None
        asked_s = None if response is None else retry_after_s(response.headers, time.time())
        if asked_s is not None and failure.category in THROTTLED:
            self.gate.asked_to_wait(asked_s)
        step = self._next_step(work, failure, asked_s)
        is_hopeless = (
            isinstance(step, GiveUp) and is_blameless and not self._was_reached and not self.waits_for_endpoint
        )
        match step:
            case Again(after_s):
                after_s = 0.0 if in_outage else after_s  # it waits at the gate
                self.emit(AttemptFailed(work, failure, again_after_s=after_s))
                return RetryLater(after_s, failure.category)
            case GiveUp() if not is_hopeless:
                self.emit(AttemptFailed(work, failure))
                self.bury(work, failure, response)
                return None
            case GiveUp() | StopBatch():
                self.emit(AttemptFailed(work, failure, stops=True))
                return StopReason(category=failure.category, message=_why(work, failure))

    def _count(self, work: Work, passed: Pass, failure: Failure, *, is_blameless: bool, in_outage: bool) -> None:
        """What the failed attempt counts for.

        In an outage nothing does. But a request that itself brings the endpoint down would then be asked for ever:
        where the endpoint had the request and said nothing about itself, a probe counts as one without blame.
        """
        is_absent = is_blameless and failure.category is Category.CONNECTION
        says_so = is_absent or failure.status in _SAYS_IT_IS_DOWN
        if in_outage:
            excuse(work, self.gate.troubles.row, but_one=passed.is_probe and not says_so)
        elif is_absent and self.waits_for_endpoint and not self._was_reached:
            work.excused += 1
        else:
            work.blameless += is_blameless

    @property
    def _was_reached(self) -> bool:
        return self.gate.troubles.was_reached

    def _next_step(self, work: Work, failure: Failure, asked_s: float | None) -> Again | GiveUp | StopBatch:
        return after_failure(
            failure.category,
            attempts=work.attempts,
            blameless=work.blameless if self._was_reached or self.waits_for_endpoint else 0,
            excused=work.excused,
            policy=self.spec.retry,
            stop_on=self._stop_on(),
            retry_after_s=asked_s,
            chance=random.random(),
        )

    def _stop_on(self) -> tuple[Category, ...]:
        """Categories that stop the batch now: what other items have escaped is this item's own trouble."""
        listed = self.spec.failure_policy.stop_on
        return tuple(c for c in listed if c not in ESCAPABLE or not self.keeper.has_success)


def _why(work: Work, failure: Failure) -> str:
    status = f" (HTTP {failure.status})" if failure.status else ""
    return f"{failure.category}{status}: {failure.message} [item {work.item_id}]"
