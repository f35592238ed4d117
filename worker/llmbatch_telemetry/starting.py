"""Starts the telemetry of a process, by the standard OTEL_* variables. Called once, where a program begins.

Where they ask for nothing, nothing is imported and no thread is started. Where they make no sense, a warning says so,
and the program goes on without.
"""

import logging
import os
from collections.abc import Mapping

from llmbatch_telemetry.meters import Meters
from llmbatch_telemetry.settings import Settings, read_settings, resource_attributes
from llmbatch_telemetry.telemetry import Exporting, Telemetry

_log = logging.getLogger(__name__)


def start_telemetry(
    service: str,
    resource: Mapping[str, str],
    *,
    for_spans: Mapping[str, str] | None = None,
    environment: Mapping[str, str] = os.environ,
    keep_meters: bool = False,
) -> Telemetry:
    """The telemetry of this process, described by `resource`. `keep_meters`: count, whether it is exported or not.

    `for_spans` describes it too, but not to metrics: where a process goes on with the totals of the one before, what
    is different between them would make other series of them.
    """
    settings = read_settings(environment)
    attributes, problems = resource_attributes(environment, service, resource) if settings.is_on else ({}, [])
    for problem in (*settings.problems, *problems):
        _log.warning("telemetry: %s", problem)
    meters = Meters(is_on=keep_meters or settings.metrics is not None)
    spans_attributes = {**(for_spans or {}), **attributes}
    exporting = _start_exporting(settings, spans_attributes, attributes, meters) if settings.is_on else None
    return Telemetry(meters if exporting is not None else Meters(is_on=keep_meters), exporting)


def _start_exporting(
    settings: Settings, spans_attributes: Mapping[str, str], attributes: Mapping[str, str], meters: Meters
) -> Exporting | None:
    """Telemetry that cannot be started must not cost the batch, whatever the reason."""
    try:
        from llmbatch_telemetry.exporting.otlp import start_exporting

        return start_exporting(settings, spans_attributes, attributes, meters)
    except Exception as error:  # noqa: BLE001
        _log.warning("telemetry: exporting could not be started, and is off: %s", error)
        return None
