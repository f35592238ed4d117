"""The telemetry of a pod: started with what the pod knows of itself, and the spans of its stages.

The operator exports the span of a pod that ends without last words; every other way of ending is told of here.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llmbatch_contract.pods import PodConfig
from llmbatch_telemetry.names import SpanName
from llmbatch_telemetry.spans import Value
from llmbatch_telemetry.starting import start_telemetry
from llmbatch_telemetry.telemetry import Telemetry
from llmbatch_worker.events import Event, ShardOpened
from llmbatch_worker.observing.resources import POD_SERVICE, pod_resource
from llmbatch_worker.observing.stage_spans import StageRun, Stages
from llmbatch_worker.pods.halting import Halted
from llmbatch_worker.pods.setting import Setting

_CERTIFICATE = "OTEL_EXPORTER_OTLP_CERTIFICATE"
_CERTIFICATE_NAME = "llmbatch-telemetry-ca.pem"

_CLOSE_S = 5.0
_CLOSE_HALTED_S = 2.0
"""After SIGTERM, when much of the time until Kubernetes kills may be gone."""


@dataclass
class Telling:
    """What a pod tells while it runs. An event listener."""

    telemetry: Telemetry
    stages: Stages
    _opened: set[int] = field(default_factory=set)
    """Shards of which the engine tells."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, ShardOpened):
            self._opened.add(event.progress.shard)

    @contextlib.contextmanager
    def stage(self, name: SpanName) -> Iterator[dict[str, Value]]:
        """Plan or finalize, from begin to end; what is put into the dictionary becomes attributes."""
        started, attributes = time.time(), dict[str, Value]()
        ended_by: str | None = None
        try:
            yield attributes
        except BaseException as error:
            ended_by = _kind(error)
            raise
        finally:
            self.telemetry.span(self.stages.stage(name, _run(started, attributes, ended_by)))

    @contextlib.contextmanager
    def shard(self, number: int) -> Iterator[None]:
        """An attempt at a shard: if it fails before the engine has opened the shard, it is told of here."""
        started = time.time()
        try:
            yield
        except BaseException as error:
            if number not in self._opened:
                self.telemetry.span(self.stages.shard(number, _run(started, {}, _kind(error))))
            raise

    def close(self, *, is_halted: bool) -> None:
        """Send what there is. Waits for a few seconds at most."""
        self.telemetry.close(_CLOSE_HALTED_S if is_halted else _CLOSE_S)


def start_telling(setting: Setting, config: PodConfig, environment: Mapping[str, str] = os.environ) -> Telling:
    """The telemetry of this pod, by its environment."""
    batch = config.job.batch.metadata
    resource = pod_resource(batch, config.uid, setting.stage.value, setting.place)
    telemetry = start_telemetry(POD_SERVICE, resource, environment=_with_certificate(environment, config.telemetry_ca))
    return Telling(telemetry, Stages(config.trace, config.uid, batch, setting.place.pod))


def _with_certificate(environment: Mapping[str, str], certificate: str | None) -> Mapping[str, str]:
    """The collector's certificate comes with the configuration, unless the batch names one; exporters want a file."""
    if certificate is None or environment.get(_CERTIFICATE, "").strip():
        return environment
    path = Path(tempfile.gettempdir()) / _CERTIFICATE_NAME
    try:
        path.write_text(certificate)
    except OSError:  # then exports fail, and that is told
        return environment
    return {**environment, _CERTIFICATE: str(path)}


def _kind(error: BaseException) -> str:
    return "interrupted" if isinstance(error, Halted) else type(error).__name__


def _run(started: float, attributes: Mapping[str, Value], ended_by: str | None) -> StageRun:
    error = None if ended_by is None else f"ended by {ended_by}"
    return StageRun(started, time.time(), attributes, ended_by, error)
