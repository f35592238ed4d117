"""Runs one stage from its configuration to its last words, and turns every way of ending into an exit code."""

import logging
import traceback
from collections.abc import Callable

from llmbatch_contract.errors import (
    BatchGoneError,
    InputMissingError,
    LLMBatchError,
    StoreAwayError,
    StoreFullError,
)
from llmbatch_contract.exits import Exit, exit_for
from llmbatch_contract.pods import PodError, Stage
from llmbatch_worker.channel import Channel
from llmbatch_worker.pods import stages
from llmbatch_worker.pods.halting import Halt, Halted
from llmbatch_worker.pods.journal import start_log
from llmbatch_worker.pods.places import PodStores
from llmbatch_worker.pods.setting import Setting, read_config, read_stop
from llmbatch_worker.pods.words import Notes, leave

_log = logging.getLogger(__name__)

_STAGES: dict[Stage, Callable[[stages.Pod], Exit]] = {
    Stage.PLAN: stages.plan_stage,
    Stage.SHARD: stages.shard_stage,
    Stage.FINALIZE: stages.finalize_stage,
    Stage.RUN: stages.run_stage,
}


def run_stage(setting: Setting, halt: Halt) -> Exit:
    """Run the stage and leave its last words. Raises nothing but Halted, and that only before the stage began."""
    start_log()
    notes = Notes()
    try:
        halt.check()
        code = _run(setting, halt, notes)
    except Halted:
        code = Exit.INTERRUPTED
    except LLMBatchError as error:
        code = _exit_for(error, halt)
        notes.error = PodError(kind=type(error).__name__, message=str(error))
        _log.error("%s", error)
    except Exception as error:  # noqa: BLE001  # the operator shall learn of a fault in this program, too
        code = Exit.FAILED
        notes.error = PodError(kind="LLMBatchError", message=f"a fault in llmbatch: {type(error).__name__}")
        traceback.print_tb(error.__traceback__)  # the error's own text may quote an item
    leave(notes.as_words(setting.stage), setting.last_words)
    return code


def _run(setting: Setting, halt: Halt, notes: Notes) -> Exit:
    config = read_config(setting.config)
    channel = Channel(config.coordinator_url, config.coordinator_ca, setting.token_file)
    _log.info("%s of %s", setting.stage, config.job.batch.metadata.name)
    try:
        stores = PodStores(channel, setting.input_folder)
        pod = stages.Pod(setting, config, read_stop(setting.stop), channel, stores, halt, notes)
        return _STAGES[setting.stage](pod)
    finally:
        channel.close()


def _exit_for(error: LLMBatchError, halt: Halt) -> Exit:
    """The code that makes Kubernetes do what helps: try again, give up, or count it for nothing."""
    if isinstance(error, BatchGoneError) or (halt.is_asked and isinstance(error, StoreAwayError | StoreFullError)):
        return Exit.INTERRUPTED
    return Exit.FAILED if isinstance(error, InputMissingError) else exit_for(error)
