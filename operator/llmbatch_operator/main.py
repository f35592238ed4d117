"""`llmbatch-operator`: the process. Reads settings, runs kopf until it is told to end."""

import asyncio
import logging
import sys
from typing import Any

import kopf

from llmbatch_contract.errors import LLMBatchError
from llmbatch_contract.wire import BATCH_LABEL
from llmbatch_operator.handlers import Poster, register
from llmbatch_operator.runtime import Runtime
from llmbatch_operator.settings import Settings, read_settings

_LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


async def run(settings: Settings) -> bool:
    """Run until SIGTERM or SIGINT; False if a part has failed."""
    stop, failed = asyncio.Event(), asyncio.Event()

    def fail() -> None:
        failed.set()
        stop.set()

    poster = Poster()
    runtime = Runtime(settings, poster, fail)
    registry = kopf.OperatorRegistry()
    _register_life(registry, runtime)
    register(registry, runtime.sessions.cache, poster)
    host, port = settings.health_listen
    await kopf.operator(
        registry=registry,
        clusterwide=True,
        standalone=True,
        liveness_endpoint=f"http://{host}:{port}/healthz",
        stop_flag=stop,
    )
    return not failed.is_set()


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
    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT, stream=sys.stderr)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        is_well = asyncio.run(run(read_settings()))
    except LLMBatchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
