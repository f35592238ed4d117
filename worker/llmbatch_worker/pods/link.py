"""A pod's link to the coordinator: reports over HTTPS. What it does not get through is told again with the next one."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable

import pydantic

from llmbatch_contract import wire
from llmbatch_contract.errors import BatchGoneError, LLMBatchError
from llmbatch_contract.reports import PlanFacts, Reply, Report
from llmbatch_worker.channel import Call, Channel

_log = logging.getLogger(__name__)

_TIMEOUT_S = 10.0
_FAREWELL_S = 3.0
"""For the last report, which should not hold up the end."""


class HttpsLink:
    """The coordinator of a cluster: a Link."""

    def __init__(self, channel: Channel, facts: PlanFacts, shards: Iterable[int], on_gone: Callable[[], None]) -> None:
        """`shards` are those to work on; `on_gone` is called when the batch was deleted."""
        self._channel, self._facts, self._on_gone = channel, facts, on_gone
        self._shards = deque(shards)
        self._is_away = False

    async def exchange(self, report: Report) -> Reply:
        """Post the report. Raises ConnectionError when there is no reply."""
        whole = report.model_copy(update={"plan": self._facts})
        try:
            reply = await asyncio.to_thread(self._post, whole)
        except BatchGoneError as error:
            self._on_gone()
            raise ConnectionError(str(error)) from error
        except (LLMBatchError, pydantic.ValidationError) as error:
            self._note_away(error)
            raise ConnectionError(str(error)) from error
        self._note_back()
        return reply

    async def next_shard(self) -> int | None:
        """The next of its shards."""
        return self._shards.popleft() if self._shards else None

    def _post(self, report: Report) -> Reply:
        body = report.dump_json()
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        call = Call("POST", wire.REPORT, headers=headers, body=lambda: (body,))
        return Reply.load(self._channel.once(call, _FAREWELL_S if report.leaving else _TIMEOUT_S).content)

    def _note_away(self, error: Exception) -> None:
        if not self._is_away:
            _log.warning("reports do not get through, the work goes on: %s", error)
        self._is_away = True

    def _note_back(self) -> None:
        if self._is_away:
            _log.info("reports get through again")
        self._is_away = False
