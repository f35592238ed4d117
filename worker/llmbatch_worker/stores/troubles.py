"""What stores wait for, and for how long: tries again, and says what keeps it from going on.

Before there is a plan, what may pass is tried again for most of a minute, and a refusal is final: somebody looks at it.
Afterwards work has been paid for, so everything is waited for as long as the process lives or is told to go on.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import tenacity

from llmbatch_contract.errors import (
    LLMBatchError,
    OutputTakenError,
    ReceiverAwayError,
    StoreAwayError,
    StoreDeniedError,
    StoreError,
    StoreFullError,
)
from llmbatch_contract.reports import StoreTrouble
from llmbatch_worker.patience import Patience

_log = logging.getLogger(__name__)

T = TypeVar("T")

BRIEFLY_S = 45.0
"""Outlasts half a minute of trouble: no wait begins that would end later, and waits grow to 10 s."""
_LOG_EVERY = 20
_WAIT = tenacity.wait_random_exponential(multiplier=0.2, max=10)


@dataclass(frozen=True)
class _Waiting:
    """A call that waits."""

    error: LLMBatchError
    since: float


class Troubles:
    """Patience with the stores of one process, and what it is needed for. Threads may share it."""

    def __init__(self, *, is_patient: bool = False, brief_s: float = BRIEFLY_S) -> None:
        self.is_patient = is_patient
        """Refusals and a full store are waited for, too, and everything without an end: a plan exists."""
        self.limit_s = float("inf")
        """No call waits for longer, patient or not."""
        self._brief_s = brief_s
        self._patience = Patience()
        self._waiting: dict[object, _Waiting] = {}
        self._lock = threading.Lock()

    def now(self) -> StoreTrouble | None:
        """What has been waited for longest; None if all goes well."""
        with self._lock:
            first = min(self._waiting.values(), key=lambda waiting: waiting.since, default=None)
        if first is None:
            return None
        return StoreTrouble(
            kind=_kind(first.error), message=str(first.error), for_s=max(0.0, time.monotonic() - first.since)
        )

    def end_in(self, seconds: float) -> None:
        """Give up in so many seconds; an earlier end stays. From any thread."""
        self._patience.end_in(seconds)

    @contextlib.contextmanager
    def waiting_for(self, error: LLMBatchError) -> Iterator[None]:
        """Within the block somebody waits for the end of this, in a way of their own."""
        me = object()
        with self._lock:
            self._waiting[me] = _Waiting(error, time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                del self._waiting[me]

    def patiently(self, attempt: Callable[[], T], *, refusals_pass: bool = True) -> T:
        """Do it, again and again while it makes sense. Raises what the last try raised.

        Refusals of what nobody depends on need not be waited for: `refusals_pass`.
        """
        me, began = object(), time.monotonic()

        def note(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome is not None else None
            assert isinstance(error, StoreError)
            if state.attempt_number % _LOG_EVERY == 1:
                _log.warning("waiting: %s", error)
            with self._lock:
                self._waiting[me] = _Waiting(error, began)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: self._may_pass(error, refusals_pass)),
            wait=_WAIT,
            stop=lambda state: self._is_enough(time.monotonic() + state.upcoming_sleep - began),
            sleep=self._patience.sleep,
            before_sleep=note,
            reraise=True,
        )
        try:
            return retrying(attempt)
        finally:
            with self._lock:
                was_waiting = self._waiting.pop(me, None)
            if was_waiting:
                _log.info("waited for the store for %.0f s", time.monotonic() - began)

    def _may_pass(self, error: BaseException, refusals_pass: bool) -> bool:
        if isinstance(error, StoreDeniedError):
            return self.is_patient and refusals_pass
        return isinstance(error, StoreAwayError) or (self.is_patient and isinstance(error, StoreFullError))

    def _is_enough(self, waited_s: float) -> bool:
        limit_s = self.limit_s if self.is_patient else min(self.limit_s, self._brief_s)
        return self._patience.is_over or waited_s > limit_s


def _kind(error: LLMBatchError) -> Literal["denied", "away", "full", "taken", "receiver"]:
    if isinstance(error, StoreDeniedError):
        return "denied"
    if isinstance(error, ReceiverAwayError):
        return "receiver"
    if isinstance(error, OutputTakenError):
        return "taken"
    return "full" if isinstance(error, StoreFullError) else "away"
