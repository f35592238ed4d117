"""Tells the coordinator what the stores of a pod wait for, in stages that report nothing else: plan and finalize.

A thread of its own, as these stages block. When the pod is told to end, it puts an end to waiting: in threads of these
stages nothing else would.
"""

import contextlib
import threading
from types import TracebackType
from typing import Self

from llmbatch_contract import wire
from llmbatch_contract.errors import LLMBatchError
from llmbatch_contract.reports import Report, StoreTrouble
from llmbatch_worker.channel import Call, Channel
from llmbatch_worker.pods.halting import Halt
from llmbatch_worker.stores.troubles import Troubles

_EVERY_S = 2.0
_ANSWER_S = 5.0


class StoreWatch:
    """Watches within the block."""

    def __init__(self, channel: Channel, worker: str, troubles: Troubles, halt: Halt) -> None:
        self._channel, self._worker, self._troubles, self._halt = channel, worker, troubles, halt
        self._ended = threading.Event()
        self._has_told = False
        self._thread = threading.Thread(target=self._watch, name="store-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(2 * _ANSWER_S)  # it may be telling; the channel is closed soon

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_S):
            if self._halt.is_asked:
                self._troubles.end_in(0)
            trouble = self._troubles.now()
            if trouble is not None or self._has_told:
                self._tell(trouble)

    def _tell(self, trouble: StoreTrouble | None) -> None:
        body = Report(worker=self._worker, asks=False, store_trouble=trouble).dump_json()
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        with contextlib.suppress(LLMBatchError):  # told again with the next one
            self._channel.once(Call("POST", wire.REPORT, headers=headers, body=lambda: (body,)), _ANSWER_S)
            self._has_told = trouble is not None
