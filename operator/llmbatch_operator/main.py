"""`llmbatch-operator`: the process. Reads settings, runs kopf until it is told to end."""

import asyncio
import sys
from typing import Any

import kopf

from llmbatch_contract import __version__
from llmbatch_contract.errors import LLMBatchError
from llmbatch_contract.wire import BATCH_LABEL
from llmbatch_operator.handlers import Poster, register
from llmbatch_operator.runtime import Runtime
from llmbatch_operator.settings import Settings, read_settings
from llmbatch_telemetry import names
from llmbatch_telemetry.logs import start_logs
from llmbatch_telemetry.starting import start_telemetry

_LAST_TELEMETRY_S = 5.0


async def run(settings: Settings) -> bool:
    """Run until SIGTERM or SIGINT; False if a part has failed."""
    stop, failed = asyncio.Event(), asyncio.Event()

    def fail() -> None:
        failed.set()
        stop.set()

    poster = Poster()
    telemetry = start_telemetry("llmbatch-operator", _resource(settings), for_spans=_pod(settings), keep_meters=True)
    runtime = Runtime(settings, poster, fail, telemetry)
    registry = kopf.OperatorRegistry()
    _register_life(registry, runtime)
    register(registry, runtime.sessions.cache, runtime.endpoints, poster)
    host, port = settings.health_listen
    try:
        await kopf.operator(
            registry=registry,
            clusterwide=True,
            standalone=True,
            liveness_endpoint=f"http://{host}:{port}/healthz",
            stop_flag=stop,
        )
    finally:
        await asyncio.to_thread(telemetry.close, _LAST_TELEMETRY_S)
    return not failed.is_set()


def _resource(settings: Settings) -> dict[str, str]:
    """What the operator is to telemetry. A pod that takes over is the same instance: it goes on with the totals."""
    return {
        names.SERVICE_VERSION: __version__,
        names.SERVICE_INSTANCE: f"llmbatch-operator.{settings.namespace}",
        names.NAMESPACE: settings.namespace,
    }


def _pod(settings: Settings) -> dict[str, str]:
    known = {names.POD: settings.pod_name, names.POD_UID: settings.pod_uid}
    return {name: value for name, value in known.items() if value}


def _register_life(registry: kopf.OperatorRegistry, runtime: Runtime) -> None:
    @kopf.on.login(registry=registry)
    async def log_in(**words: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**words) or kopf.login_with_kubeconfig(**words)

    @kopf.on.startup(registry=registry, errors=kopf.ErrorsMode.TEMPORARY, backoff=5)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.loggers = False
        settings.posting.reporting_component = "llmbatch"
        for kind in (("batch", "jobs"), ("", "pods")):  # those of everybody else stay at the API server
            settings.watching.label_selectors[kind] = BATCH_LABEL
        await runtime.start()

    @kopf.on.cleanup(registry=registry)
    async def stop(**_: Any) -> None:
        await runtime.stop()

    @kopf.on.probe(registry=registry, id="waiting")
    async def waiting(**_: Any) -> int:
        return len(runtime.queue)


def main() -> None:
    """Entry point of the console script."""
    start_logs()
    try:
        is_well = asyncio.run(run(read_settings()))
    except LLMBatchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
