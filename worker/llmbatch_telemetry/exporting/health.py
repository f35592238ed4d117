"""Whether a collector takes what it is sent: a line when it begins to fail, one when it works again, none between.

OpenTelemetry's exporters log every failure and every retry; those lines are kept back here, for the reason to name.
"""

import logging
import threading
import time

from llmbatch_telemetry.exporting.rejections import Rejection
from llmbatch_telemetry.settings import Signal, without_secrets

_log = logging.getLogger("llmbatch_telemetry.exporting")
_EXPORTERS = logging.getLogger("opentelemetry")
_GRPC = logging.getLogger("opentelemetry.exporter.otlp.proto.grpc.exporter")
_REASON_CHARACTERS = 300
_MOST_CHARACTERS = 10_000
"""Kept of what an exporter says, until it is known to be a reason."""
_WHEN_FAILING_S = 1.0
_LOOK_EVERY_S = 0.1


class Health:
    """Of one signal. Used by its thread; others may look."""

    def __init__(self, name: str, signal: Signal) -> None:
        self._name, self._secrets = name, signal.secrets
        self._endpoint = without_secrets(signal.endpoint)
        self.is_failing = False
        self._has_rejected = self._is_over = False

    def wait_for(self, sender: threading.Thread, timeout_s: float) -> None:
        """Wait for a last export: not long for a collector that failed the time before, or refuses this time."""
        began = time.monotonic()
        while sender.is_alive():
            is_in_vain = self.is_failing or COMPLAINTS.of(sender) is not None
            left_s = began + (min(timeout_s, _WHEN_FAILING_S) if is_in_vain else timeout_s) - time.monotonic()
            if left_s <= 0:
                return
            sender.join(min(left_s, _LOOK_EVERY_S))

    def end(self, sender: threading.Thread) -> None:
        """The last word: what is under way now is lost, and whatever comes of it later is not told."""
        if sender.is_alive():
            self.failed(COMPLAINTS.of(sender) or "no answer until the end")
        self._is_over = True

    def note(self, is_taken: bool, reason: str) -> None:
        """What came of an export, with the reason if it failed."""
        if is_taken:
            self.succeeded()
        else:
            self.failed(reason)

    def succeeded(self) -> None:
        """Something was taken."""
        if self.is_failing and not self._is_over:
            self.is_failing = False
            _log.info("telemetry: %s are taken again by %s", self._name, self._endpoint)

    def failed(self, reason: str) -> None:
        """Something was not taken."""
        if not self.is_failing and not self._is_over:
            self.is_failing = True
            _log.warning("telemetry: %s do not get to %s: %s", self._name, self._endpoint, self._told(reason))

    def rejected(self, rejection: Rejection | None) -> None:
        """Not all of what was taken: told of once, since it may be so with every request."""
        if rejection is not None and not self._has_rejected and not self._is_over:
            self._has_rejected = True
            said = self._told(rejection.message) or "no reason was given"
            taken = f"has not taken {rejection.count}" if rejection.count else "has taken all, but says"
            _log.warning("telemetry: of the %s, %s %s: %s", self._name, self._endpoint, taken, said)

    def _told(self, reason: str) -> str:
        """Exporters and what is below them quote addresses and headers."""
        reason = reason[:_MOST_CHARACTERS]
        for secret in self._secrets:
            reason = reason.replace(secret, "[secret]")
        if len(reason) <= _REASON_CHARACTERS:
            return reason
        words = reason[:_REASON_CHARACTERS]
        return f"{words.rpartition(' ')[0] or words} …"


class Complaints(logging.Handler):
    """Takes what exporters log, by thread, instead of writing it down."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first one: it names the reason, later ones the giving up."""
        try:
            self.say(record.getMessage())
        except Exception:  # noqa: BLE001
            self.handleError(record)

    def say(self, complaint: str) -> None:
        """What an exporter of our own has to complain of."""
        self._said.setdefault(threading.get_ident(), complaint[:_MOST_CHARACTERS])

    def of(self, thread: threading.Thread) -> str | None:
        """What an exporter complains of in a thread, while it tries again."""
        return self._said.get(thread.ident) if thread.ident is not None else None

    def taken(self) -> str:
        """What was said in this thread since the last time."""
        return self._said.pop(threading.get_ident(), "no reason was given")


COMPLAINTS = Complaints()


def quiet_exporters() -> None:
    """From now on, what OpenTelemetry logs is not written. To be called when its exporters have been imported."""
    if COMPLAINTS not in _EXPORTERS.handlers:
        _EXPORTERS.addHandler(COMPLAINTS)
    _EXPORTERS.propagate = False
    # It leaves out what it has said in the last minute, so that the second signal would have no reason.
    _GRPC.filters.clear()
