"""What the operator is told by its environment; `docs/install.md` has the table."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmbatch_contract.errors import InvalidError
from llmbatch_operator.pod_telemetry import PodTelemetry, read_pod_telemetry

_UNITS = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}


class SettingsError(InvalidError):
    """An environment variable of the operator is wrong."""


@dataclass(frozen=True)
class Settings:
    """How this operator is set up."""

    namespace: str
    """Its own namespace: where its Secret and its Service are."""
    worker_image: str
    image_pull_policy: str
    coordinator_url: str
    """Where pods reach the coordinator."""
    listen: tuple[str, int]
    """Address and port of the coordinator."""
    health_listen: tuple[str, int]
    """Of the liveness probe."""
    metrics_listen: tuple[str, int]
    """Of the page that Prometheus reads."""
    store_folder: Path
    store_limit: int
    """Bytes of all batches."""
    batch_limit: int
    """Bytes of one batch's working objects."""
    telemetry: PodTelemetry
    """What pods are told of it."""
    pod_name: str = ""
    """The operator's own pod, for its traces."""
    pod_uid: str = ""
    notify_allow_local: bool = False
    """Webhooks may be at loopback and link-local addresses."""

    @property
    def host_name(self) -> str:
        """The name on the coordinator's certificate."""
        return self.coordinator_url.removeprefix("https://").partition(":")[0]


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process. Raises SettingsError."""

    def text(name: str, default: str) -> str:
        return environment.get(name, "").strip() or default

    namespace = text("LLMBATCH_NAMESPACE", "llmbatch-system")
    return Settings(
        namespace=namespace,
        worker_image=text("LLMBATCH_WORKER_IMAGE", "llmbatch-worker:latest"),
        image_pull_policy=text("LLMBATCH_IMAGE_PULL_POLICY", "IfNotPresent"),
        coordinator_url=text("LLMBATCH_COORDINATOR_URL", f"https://llmbatch-coordinator.{namespace}.svc:443"),
        listen=_address("LLMBATCH_LISTEN", text("LLMBATCH_LISTEN", "0.0.0.0:8443")),
        health_listen=_address("LLMBATCH_HEALTH_LISTEN", text("LLMBATCH_HEALTH_LISTEN", "0.0.0.0:8080")),
        metrics_listen=_address("LLMBATCH_METRICS_LISTEN", text("LLMBATCH_METRICS_LISTEN", "0.0.0.0:9464")),
        store_folder=Path(text("LLMBATCH_STORE_FOLDER", "/var/lib/llmbatch")),
        store_limit=_bytes("LLMBATCH_STORE_LIMIT", text("LLMBATCH_STORE_LIMIT", "9Gi")),
        batch_limit=_bytes("LLMBATCH_STORE_BATCH_LIMIT", text("LLMBATCH_STORE_BATCH_LIMIT", "2Gi")),
        telemetry=read_pod_telemetry(environment),
        pod_name=text("LLMBATCH_POD_NAME", ""),
        pod_uid=text("LLMBATCH_POD_UID", ""),
        notify_allow_local=_truth("LLMBATCH_NOTIFY_ALLOW_LOCAL", text("LLMBATCH_NOTIFY_ALLOW_LOCAL", "false")),
    )


def _address(name: str, value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal():
        raise SettingsError(f"{name} must be an address and a port, as in 0.0.0.0:8443, not {value!r}")
    return host, int(port)


def _truth(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise SettingsError(f"{name} must be true or false, not {value!r}")
    return value.lower() == "true"


def _bytes(name: str, value: str) -> int:
    match = re.fullmatch(r"(\d+)(Ki|Mi|Gi|Ti|)", value)
    if match is None:
        raise SettingsError(f"{name} must be a whole number with Ki, Mi, Gi, Ti or nothing behind it, not {value!r}")
    return int(match[1]) * _UNITS[match[2]]
