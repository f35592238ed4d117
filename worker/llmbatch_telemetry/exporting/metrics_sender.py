"""Sends all metrics at an interval, and a last time at the end, in a thread of its own."""

import threading
import time
from collections.abc import Iterator, Sequence

from llmbatch_telemetry.exporting.outlets import MetricOutlet
from llmbatch_telemetry.exporting.totals import Deltas, Reading
from llmbatch_telemetry.meters import Meters, Point
from llmbatch_telemetry.settings import Temporality

_AT_ONCE = 2000
"""Points of a request: collectors take 4 MiB by gRPC."""


class MetricsSender:
    """The thread, and what of totals was taken so far."""

    def __init__(self, outlet: MetricOutlet, meters: Meters, interval_s: float, temporality: Temporality) -> None:
        self._outlet = outlet
        self._meters = meters
        self._interval_s = interval_s
        self._temporality = temporality
        self._deltas = Deltas()
        self._closing = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="llmbatch-metrics", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """Send everything a last time, then end."""
        self._closing.set()
        self._outlet.health.wait_for(self._thread, timeout_s)
        self._is_over = True
        self._outlet.health.end(self._thread)
        self._outlet.give_up()

    def _run(self) -> None:
        while not self._closing.wait(self._interval_s):
            self._export()
        self._export()

    def _export(self) -> None:
        at = time.time()
        counted, observed = self._meters.counted(), self._meters.observed()
        match self._temporality:
            case Temporality.CUMULATIVE:
                self._send_totals([*counted, *observed], at)
            case Temporality.DELTA:
                self._send_news([*counted, *observed], at)
            case Temporality.LOW_MEMORY:
                # As the specification has it: what is kept elsewhere stays a total.
                self._send_news(counted, at)
                self._send_totals(observed, at)

    def _send_totals(self, points: Sequence[Point], at: float) -> None:
        for part in _parts(points):
            if self._is_over or not self._outlet.send([Reading(point) for point in part], at):
                return

    def _send_news(self, points: Sequence[Point], at: float) -> None:
        self._deltas.begin_round(points)
        for part in _parts(points):
            readings = self._deltas.readings(part)
            if self._is_over or not (not readings or self._outlet.send(readings, at)):
                return
            self._deltas.taken(part, at)


def _parts(points: Sequence[Point]) -> Iterator[Sequence[Point]]:
    """In requests that a collector takes."""
    return (points[first : first + _AT_ONCE] for first in range(0, len(points), _AT_ONCE))
