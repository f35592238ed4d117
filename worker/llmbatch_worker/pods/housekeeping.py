"""The place of a batch's outputs, and of its working objects beside them: taken, given back, cleaned up.

Called by the stages of pods. Of batches in the built-in store the coordinator takes care, so nothing is done for them.
"""

import time
from collections.abc import Callable

from llmbatch_contract.errors import (
    OutputMissingError,
    OutputTakenError,
    StoreDeniedError,
    StoreError,
    StoreMissingError,
)
from llmbatch_contract.pods import WORK_URI, PodConfig
from llmbatch_worker.pods.journal import log
from llmbatch_worker.stores.protocol import Store, Stores
from llmbatch_worker.stores.troubles import Troubles
from llmbatch_worker.work import utc

_WAIT_S = 180.0
"""For a batch that was deleted to give up its place: so long its pods may take to end, and a Job to clean up."""
_PAUSE_S = 5.0
_QUIET_S = 45.0
"""Pods of a deleted batch may write for as long as Kubernetes lets them end, 30 s."""
_TRIES = 3

Sleep = Callable[[float], object]


def is_elsewhere(config: PodConfig) -> bool:
    """The batch keeps its objects where its users have theirs."""
    return config.job.store_uri != WORK_URI


def take_place(
    config: PodConfig, stores: Stores, troubles: Troubles, check: Callable[[], object], sleep: Sleep = time.sleep
) -> None:
    """Make the place of the outputs this batch's own. Raises OutputTakenError and StoreError; what `check` raises.

    What another batch holds is waited for, and `troubles` tells of it meanwhile.
    """
    if not is_elsewhere(config):
        return
    output = stores.open(config.job.output_uri)
    if (taken := _is_taken(config, output)) is None:
        return
    log.warning("waiting, it may have been deleted just now: %s", taken)
    with troubles.waiting_for(taken):
        for _ in range(round(_WAIT_S / _PAUSE_S)):
            check()
            sleep(_PAUSE_S)
            if (taken := _is_taken(config, output)) is None:
                return
    raise taken


def _is_taken(config: PodConfig, output: Store) -> OutputTakenError | None:
    """Take the place; the error if another batch still writes there. Raises it if that batch has written."""
    from llmbatch_worker.finalizing.names import SUMMARY_NAME
    from llmbatch_worker.finalizing.owning import take_output

    about, overwrite = config.job.batch.metadata, config.job.batch.spec.output.overwrite
    now = utc(time.time())
    try:
        take_output(output, config.uid, about.name, about.namespace, overwrite=overwrite, now=now)
    except OutputTakenError as error:
        if output.exists(SUMMARY_NAME):
            raise
        return error
    except StoreMissingError as error:  # only a bucket can be missing where something is written
        raise OutputMissingError(str(error)) from error
    return None


def leave_nothing(config: PodConfig, stores: Stores, sleep: Sleep = time.sleep) -> None:
    """Remove the working objects of a batch that needs them no more. That they stay is no failure of the batch."""
    from llmbatch_worker.finalizing.cleaning import remove_work

    if not is_elsewhere(config):
        return
    working = stores.open(config.job.store_uri)
    for left in reversed(range(_TRIES)):
        try:
            remove_work(working, stores.open(config.job.output_uri), config.uid)
            return
        except StoreError as error:
            if left == 0 or isinstance(error, StoreDeniedError):
                log.warning("the working objects stay where they are, in %s: %s", working.where(""), error)
                return
        sleep(_PAUSE_S)


def clean_up(config: PodConfig, stores: Stores, check: Callable[[], object], sleep: Sleep = time.sleep) -> int:
    """Remove what a deleted batch has left, until nobody has written anything for a while; how many objects there were.

    The place of the outputs is given up last: until then a pod of the batch might write there.
    """
    from llmbatch_worker.finalizing.cleaning import remove_work

    if not is_elsewhere(config):
        return 0
    working, output = stores.open(config.job.store_uri), stores.open(config.job.output_uri)
    removed, quiet_s = 0, 0.0
    while quiet_s < _QUIET_S:
        count = remove_work(working, None, config.uid)
        removed, quiet_s = removed + count, 0.0 if count else quiet_s + _PAUSE_S
        check()
        sleep(_PAUSE_S)
    return removed + remove_work(working, output, config.uid)
