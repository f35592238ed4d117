"""`llmbatch simulate`: options to settings, then a server until a signal comes.

The main app registers `simulate`; `run` is for callers that have settings already.
"""

import asyncio
import os
import signal
from typing import Annotated

import typer

from llmbatch_cli.simulator.categories import KNOWN
from llmbatch_cli.simulator.server import Simulator
from llmbatch_cli.simulator.settings import SettingsError, SimulatorSettings

_BEHAVIOUR = "How it answers"
_LIMITS = "Limits"
_FAILURES = "Failures"


def simulate(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes any free one.")] = 8000,
    api_key: Annotated[str | None, typer.Option(help="Demand this key; other requests get 401.", metavar="KEY")] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Accept only this model. Repeatable. Default: any.", metavar="NAME")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed fails other items and words other answers.")] = 0,
    latency: Annotated[
        str, typer.Option(help="Median time to an answer, such as 80ms or 2s.", rich_help_panel=_BEHAVIOUR)
    ] = "0s",
    latency_spread: Annotated[
        float, typer.Option(help="Sigma of the lognormal latency; 0 is constant.", rich_help_panel=_BEHAVIOUR)
    ] = 0.0,
    tokens_per_second: Annotated[
        float, typer.Option(help="Speed of writing; adds to the latency. 0 is off.", rich_help_panel=_BEHAVIOUR)
    ] = 0.0,
    output_tokens: Annotated[
        float, typer.Option(help="Mean length of an answer in tokens.", rich_help_panel=_BEHAVIOUR)
    ] = 20.0,
    overloaded_concurrency: Annotated[
        int | None,
        typer.Option(help="With more than this in flight, answers slow down.", rich_help_panel=_BEHAVIOUR),
    ] = None,
    requests_per_minute: Annotated[int | None, typer.Option(help="More get 429.", rich_help_panel=_LIMITS)] = None,
    tokens_per_minute: Annotated[
        int | None, typer.Option(help="Input and output tokens; more get 429.", rich_help_panel=_LIMITS)
    ] = None,
    max_concurrency: Annotated[
        int | None, typer.Option(help="Requests in flight; more get 429.", rich_help_panel=_LIMITS)
    ] = None,
    limit_window: Annotated[
        str, typer.Option(help="The sliding window the limits hold in.", rich_help_panel=_LIMITS)
    ] = "60s",
    retry_after_format: Annotated[
        str, typer.Option(help="The Retry-After header: seconds, date or none.", rich_help_panel=_LIMITS)
    ] = "seconds",
    fail: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Let a share of the items fail, such as hang=0.01. Repeatable. Categories: {KNOWN}.",
            metavar="CATEGORY=RATE",
            rich_help_panel=_FAILURES,
        ),
    ] = None,
    fail_attempts: Annotated[
        int,
        typer.Option(
            help="A failing item fails on so many attempts, then succeeds. 0: always.",
            rich_help_panel=_FAILURES,
        ),
    ] = 1,
) -> None:
    """Serve an OpenAI-compatible endpoint that is slow, limited or failing as you ask.

    Rehearse a batch against it before it costs money. A prompt with [[simulate: CATEGORY]] fails for sure.
    """
    values = {name: value for name, value in locals().items() if name not in ("model", "fail")}
    run(_settings_or_exit({**values, "models": model or [], "fail": fail or []}))


def _settings_or_exit(values: dict[str, object]) -> SimulatorSettings:
    try:
        return SimulatorSettings.parse(values)
    except SettingsError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None


def run(settings: SimulatorSettings) -> None:
    """Serves until SIGINT or SIGTERM."""
    try:
        asyncio.run(_serve(settings))
    except OSError as error:
        # The event loop words the system's errors at length; those of name look-ups have no system's words.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        typer.echo(f"error: cannot listen on {settings.host}:{settings.port}: {why}", err=True)
        raise typer.Exit(1) from None


async def _serve(settings: SimulatorSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Simulator(settings) as simulator:
        print(f"listening on {simulator.url}", flush=True)
        await stop.wait()
