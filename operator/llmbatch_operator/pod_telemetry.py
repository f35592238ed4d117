"""Which of the operator's own telemetry settings its pods are given. Read once, from its environment and one file.

Not handed on: headers, which may be secrets and come from a Secret beside the batch; the operator's own name; files.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HEADERS_SECRET = "llmbatch-telemetry"
HEADERS_KEY = "headers"
HEADERS_VARIABLE = "OTEL_EXPORTER_OTLP_HEADERS"

_RESOURCE = "OTEL_RESOURCE_ATTRIBUTES"
_SHARED_VARIABLES = frozenset(
    {"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_TRACES_SAMPLER", _RESOURCE}
)
_SHARED_BEGINNINGS = ("OTEL_EXPORTER_OTLP_", "OTEL_METRIC_EXPORT_", "OTEL_BSP_")
_OWN_ENDINGS = ("_HEADERS", "_CERTIFICATE", "_CLIENT_KEY")
_OWN_ATTRIBUTES = ("k8s.", "service.", "container.", "host.", "process.")
"""They say where and what the operator is; pods say it of themselves."""
_SHARED_ATTRIBUTES = ("k8s.cluster.", "service.namespace")
_CERTIFICATES = (
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
)

_log = logging.getLogger("llmbatch")


@dataclass(frozen=True)
class PodTelemetry:
    """What pods are told."""

    variables: tuple[tuple[str, str], ...] = ()
    certificate: str | None = None
    """Of the authority that signs the collector's, PEM."""


def read_pod_telemetry(environment: Mapping[str, str]) -> PodTelemetry:
    """Of this operator's environment. What cannot be used is logged: no batch shall fail of it."""
    given = {name: value.strip() for name, value in environment.items() if name.startswith("OTEL_") and value.strip()}
    shared = {name: _shared(name, value) for name, value in given.items() if _is_shared(name)}
    variables = tuple(sorted((name, value) for name, value in shared.items() if value))
    return PodTelemetry(variables, _certificate(given) if variables else None)


def _is_shared(name: str) -> bool:
    is_meant = name in _SHARED_VARIABLES or name.startswith(_SHARED_BEGINNINGS)
    return is_meant and not name.endswith(_OWN_ENDINGS)


def _shared(name: str, value: str) -> str:
    if name != _RESOURCE:
        return value
    pairs = (pair.strip() for pair in value.split(","))
    return ",".join(p for p in pairs if p.startswith(_SHARED_ATTRIBUTES) or not p.startswith(_OWN_ATTRIBUTES))


def _certificate(given: Mapping[str, str]) -> str | None:
    path = next((given[name] for name in _CERTIFICATES if name in given), None)
    try:
        return Path(path).read_text() if path is not None else None
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("telemetry: pods will not know the collector's certificate: %s", error)
        return None
