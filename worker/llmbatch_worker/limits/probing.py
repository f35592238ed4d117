"""Who asks while the endpoint is down: nobody, but one worker now and then. Pure: time is an argument."""

from llmbatch_contract.reports import Outage

_STALE_S = 60.0
_ALONE_S = 30.0
"""Between probes of a worker that has not heard from the coordinator for so long that it does not know who probes."""


class Probing:
    """What one worker does in an outage."""

    def __init__(self) -> None:
        self.outage: Outage | None = None
        self._is_out = False
        self._from = 0.0
        """The last probe ended then, or the worker became the one that probes."""

    @property
    def is_down(self) -> bool:
        """There is an outage, as far as is known."""
        return self.outage is not None

    def told(self, outage: Outage | None, now: float) -> None:
        """The coordinator says so."""
        was_prober = self.outage is not None and self.outage.probe
        if outage is not None and outage.probe and not was_prober:
            self._from = now
        self.outage = outage

    def wait_s(self, now: float, silent_s: float) -> float:
        """Seconds until a request may go; the coordinator has been silent for `silent_s`."""
        if self.outage is None:
            return 0.0
        if self._is_out:
            return float("inf")
        after_s = self.outage.probe_after_s
        if not self.outage.probe:
            after_s = max(after_s, _ALONE_S)
            if silent_s < _STALE_S:
                return _STALE_S - silent_s
        return max(0.0, self._from + after_s - now)

    def begin(self) -> bool:
        """A request goes. True if it is a probe."""
        if self.outage is not None:
            self._is_out = True
        return self.outage is not None

    def end(self, now: float) -> None:
        """The probe is over."""
        self._is_out, self._from = False, now
