"""A worker's link to the process that started it: JSON lines over stdin and stdout.

The first line it reads is the job. Then it asks, `{"report": …}` or `{"next": true}`, and reads one answer each,
`{"reply": …}` or `{"shard": …}`. The other end is llmbatch_cli/running/workers.py.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import orjson

from llmbatch_contract.errors import LLMBatchError
from llmbatch_contract.reports import Reply, Report

_LINE_LIMIT = 64 << 20


class PipeLink:
    """The coordinator at the other end of the pipe."""

    def __init__(self, reader: asyncio.StreamReader, on_parent_gone: Callable[[], None]) -> None:
        """`on_parent_gone` is called when the other end has closed."""
        self._reader = reader
        self._on_parent_gone = on_parent_gone
        self._one_at_a_time = asyncio.Lock()

    async def exchange(self, report: Report) -> Reply:
        """Report and read the reply. Raises ConnectionError when the parent is gone."""
        return Reply.model_validate((await self._ask({"report": report.dump()}))["reply"])

    async def next_shard(self) -> int | None:
        """Ask for a shard; None when there are no more or the parent is gone."""
        try:
            return (await self._ask({"next": True}))["shard"]  # type: ignore[no-any-return]
        except ConnectionError:
            return None

    async def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Ask to the end even if the caller is cancelled: the next answer must be that to the next question."""
        return await asyncio.shield(asyncio.create_task(self._ask_and_read(message)))

    async def _ask_and_read(self, message: dict[str, Any]) -> dict[str, Any]:
        async with self._one_at_a_time:
            line = await self._reader.readline() if _told(message) else b""
        if not line:
            self._on_parent_gone()
            raise ConnectionError("the parent process is gone")
        return orjson.loads(line)  # type: ignore[no-any-return]


def tell(message: dict[str, Any]) -> None:
    """Write one line to the parent. Raises BrokenPipeError."""
    sys.stdout.buffer.write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def _told(message: dict[str, Any]) -> bool:
    try:
        tell(message)
    except BrokenPipeError:
        return False
    return True


def tell_error(error: LLMBatchError) -> None:
    """Tell the parent why this process ends."""
    _told({"error": str(error), "kind": type(error).__name__})


async def open_stdin() -> asyncio.StreamReader:
    """Stdin as a stream."""
    reader = asyncio.StreamReader(limit=_LINE_LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader
