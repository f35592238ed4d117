"""Runs one stage from its configuration to its last words, and turns every way of ending into an exit code."""

import contextlib
import logging
from collections.abc import Callable

from llmbatch_contract.errors import (
    BatchGoneError,
    InputMissingError,
    LLMBatchError,
    StoreAwayError,
    StoreDeniedError,
    StoreFullError,
)
from llmbatch_contract.exits import Exit, exit_for
from llmbatch_contract.pods import PodConfig, PodError, Stage
from llmbatch_telemetry.logs import start_logs
from llmbatch_worker.channel import Channel
from llmbatch_worker.pods import stages
from llmbatch_worker.pods.halting import Halt, Halted
from llmbatch_worker.pods.places import PodStores
from llmbatch_worker.pods.pod import Pod
from llmbatch_worker.pods.setting import Setting, read_config, read_stop
from llmbatch_worker.pods.telling import Telling, start_telling
from llmbatch_worker.pods.words import Notes, leave
from llmbatch_worker.stores.measured import measured

_log = logging.getLogger(__name__)

_PASSING = (StoreAwayError, StoreDeniedError, StoreFullError)
_STAGES: dict[Stage, Callable[[Pod], Exit]] = {
    Stage.PLAN: stages.plan_stage,
    Stage.CANARY: stages.canary_stage,
    Stage.SHARD: stages.shard_stage,
    Stage.FINALIZE: stages.finalize_stage,
    Stage.RUN: stages.run_stage,
    Stage.CLEAN: stages.clean_stage,
}


def run_stage(setting: Setting, halt: Halt) -> Exit:
    """Run the stage and leave its last words. Raises nothing but Halted, and that only before the stage began."""
    start_logs(has_error_texts=False, stage=setting.stage.value, pod=setting.place.pod)
    notes = Notes()
    with contextlib.ExitStack() as afterwards:  # telemetry may take a few seconds; the last words come first
        code = _code(setting, halt, notes, afterwards)
        leave(notes.as_words(setting.stage), setting.last_words)
    return code


def _code(setting: Setting, halt: Halt, notes: Notes, afterwards: contextlib.ExitStack) -> Exit:
    try:
        halt.check()
        return _run(setting, halt, notes, afterwards)
    except Halted:
        return Exit.INTERRUPTED
    except LLMBatchError as error:
        notes.error = PodError(kind=type(error).__name__, message=str(error))
        _log.error("%s", error)
        return _exit_for(error, halt)
    except Exception as error:  # noqa: BLE001  # the operator shall learn of a fault in this program, too
        notes.error = PodError(kind="LLMBatchError", message=f"a fault in llmbatch: {type(error).__name__}")
        _log.error("a fault in llmbatch", exc_info=error)
        return Exit.FAILED


def _run(setting: Setting, halt: Halt, notes: Notes, afterwards: contextlib.ExitStack) -> Exit:
    config = read_config(setting.config)
    _name_in_logs(setting, config)
    channel = Channel(config.coordinator_url, config.coordinator_ca, setting.token_file)
    telling = start_telling(setting, config)
    afterwards.callback(_close, telling, halt)
    try:
        places = PodStores(channel, config, setting)
        stores = measured(places, telling.telemetry.meters)
        pod = Pod(setting, config, read_stop(setting.stop), channel, stores, places.troubles, halt, telling, notes)
        return _STAGES[setting.stage](pod)
    finally:
        channel.close()


def _close(telling: Telling, halt: Halt) -> None:
    """A SIGTERM that comes now changes nothing: what is left takes a few seconds at most."""
    with halt.telling(lambda: None):
        telling.close(is_halted=halt.is_asked)


def _name_in_logs(setting: Setting, config: PodConfig) -> None:
    """From now on all lines say which batch they are about."""
    batch = config.job.batch.metadata
    start_logs(
        has_error_texts=False,
        batch=batch.name,
        namespace=batch.namespace,
        stage=setting.stage.value,
        pod=setting.place.pod,
        trace_id=config.trace.trace_id,
    )


def _exit_for(error: LLMBatchError, halt: Halt) -> Exit:
    """The code that makes Kubernetes do what helps: try again, give up, or count it for nothing."""
    if isinstance(error, BatchGoneError) or (halt.is_asked and isinstance(error, _PASSING)):
        return Exit.INTERRUPTED
    return Exit.FAILED if isinstance(error, InputMissingError) else exit_for(error)
