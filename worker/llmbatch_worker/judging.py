"""Decides what becomes of an item once its attempt has ended, and lets the gate and the recorder know.

Called by the pool for every attempt; what is left for the pool to do comes back as a value.
"""

import random
import time
from dataclasses import dataclass

from llmbatch_contract.categories import ESCAPABLE, Category
from llmbatch_contract.reports import StopReason
from llmbatch_contract.spec import LLMBatchSpec
from llmbatch_worker.asking import Question
from llmbatch_worker.classify import Failure, Success, classify
from llmbatch_worker.client import NoResponse, Response
from llmbatch_worker.events import AttemptEnded, Emit
from llmbatch_worker.limits.gate import Gate, Pass
from llmbatch_worker.limits.headers import exhausted_s, retry_after_s
from llmbatch_worker.progress_keeper import ProgressKeeper
from llmbatch_worker.recorder import Recorder
from llmbatch_worker.retry import THROTTLED, Again, GiveUp, StopBatch, after_failure
from llmbatch_worker.schema import ResponseSchema
from llmbatch_worker.work import RecordForm, Work, dead_letter, result_record


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
    _is_reachable: bool = False
    """The endpoint has answered something."""

    def no_response(self, work: Work, passed: Pass, silence: NoResponse) -> Outcome:
        """No whole answer came."""
        absent = not silence.was_sent
        self.gate.refused(passed, pushed_back=absent or silence.category is Category.TIMEOUT)
        if absent:
            self.gate.close_for(self.spec.retry.initial_seconds)
        return self._failed(work, Failure(silence.category, silence.message), None, is_blameless=absent)

    def response(self, work: Work, question: Question, passed: Pass, response: Response) -> Outcome:
        """An answer came, of whatever status."""
        self._is_reachable = True
        verdict = self._classify(question, response)
        if verdict.answer is not None:
            work.usage += verdict.answer.usage
            self.gate.answered(passed, question, verdict.answer.usage, response.latency_s)
        else:
            assert isinstance(verdict, Failure)
            self.gate.refused(passed, pushed_back=verdict.category in THROTTLED)
        self.gate.close_for(exhausted_s(response.headers, time.time()))
        if isinstance(verdict, Failure):
            return self._failed(work, verdict, response, is_blameless=verdict.category in THROTTLED)
        request_id = response.headers.get("x-request-id")
        record = result_record(
            work,
            verdict,
            completed_at=time.time(),
            latency_s=response.latency_s,
            form=self.form,
            request_id=request_id,
        )
        self.emit(AttemptEnded(work, verdict))
        self.recorder.add(work, record)
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

    def _failed(self, work: Work, failure: Failure, response: Response | None, *, is_blameless: bool) -> Outcome:
        """The attempt failed; `is_blameless` if the endpoint did not look at the item."""
        work.blameless += is_blameless
        work.rejected += failure.answer is not None
        asked_s = None if response is None else retry_after_s(response.headers, time.time())
        if asked_s is not None and failure.category in THROTTLED:
            self.gate.close_for(asked_s)
        step = self._next_step(work, failure, asked_s)
        is_hopeless = isinstance(step, GiveUp) and is_blameless and not self._is_reachable
        match step:
            case Again(after_s):
                self.emit(AttemptEnded(work, failure, again_after_s=after_s))
                return RetryLater(after_s, failure.category)
            case GiveUp() if not is_hopeless:
                self.emit(AttemptEnded(work, failure))
                self.bury(work, failure, response)
                return None
            case GiveUp() | StopBatch():
                self.emit(AttemptEnded(work, failure, stops=True))
                return StopReason(category=failure.category, message=_why(work, failure))

    def _next_step(self, work: Work, failure: Failure, asked_s: float | None) -> Again | GiveUp | StopBatch:
        return after_failure(
            failure.category,
            attempts=work.attempts,
            blameless=work.blameless if self._is_reachable else 0,
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
