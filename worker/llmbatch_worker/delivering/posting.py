"""Posts requests to a receiver: the only file of delivering that knows an HTTP library.

In a thread of its own, so that its caller can be interrupted at any moment. It follows no redirects, and reads of an
answer no more than it takes to use the connection again. A URL may hold a token: it stands in no message.
"""

import asyncio
import logging
import random
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass
from typing import Self

import httpx

from llmbatch_contract import __version__
from llmbatch_contract.errors import LLMBatchError, ReceiverAwayError
from llmbatch_contract.signing import signed_headers
from llmbatch_contract.storage import place_of
from llmbatch_contract.webhook_answers import Delivered, GiveUp, Outcome, TryAgain, judge
from llmbatch_worker.delivering.trying import TOLD_AFTER_TRIES, wait_s, why_given_up

AT_ONCE = 4
_ANSWER_S = 30.0
_CONNECT_S = 10.0
_MOST_ANSWER_BYTES = 64 << 10
_PIECE_BYTES = 256 << 10
_END_S = 2.0
_HEADERS = {"content-type": "application/json", "user-agent": f"llmbatch/{__version__}"}
_TEXT_CHARS = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settled:
    """What became of a request. `why` it was given up; None: it has arrived."""

    why: str | None = None
    status: int | None = None
    """What the receiver answered last, if it did."""
    is_gone: bool = False
    """The receiver wants nothing more at all."""


WaitingFor = Callable[[LLMBatchError], AbstractContextManager[None]]
"""Within the block somebody waits for the end of this, and others hear of it."""


def nobody_hears(_error: LLMBatchError) -> AbstractContextManager[None]:
    """Where nobody looks."""
    return nullcontext()


@dataclass(frozen=True)
class Pace:
    """How long things take; tests have less time."""

    answer_s: float = _ANSWER_S
    speed: float = 1.0
    """Waits are so many times shorter."""


class Poster:
    """One receiver. Use as a context manager; at its end, what is under way is called off."""

    def __init__(
        self,
        url: str,
        key: str,
        pace: Pace,
        unix_time: Callable[[], float] = time.time,
        waiting_for: WaitingFor = nobody_hears,
    ) -> None:
        """`key` is one of `signing.check_key`. `waiting_for` hears of a request that is tried again and again."""
        self.place = place_of(url)
        self._url, self._key, self._pace, self._unix_time, self._waiting_for = url, key, pace, unix_time, waiting_for
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="deliver", daemon=True)
        self._hurry = asyncio.Event()
        self._client = httpx.AsyncClient(
            headers=_HEADERS,
            verify=ssl.create_default_context() if url.startswith("https") else False,
            timeout=httpx.Timeout(pace.answer_s, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE),
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_S)

    def post(self, id_: str, body: bytes) -> "Future[Settled]":
        """Post until it has arrived or is given up."""
        return asyncio.run_coroutine_threadsafe(self._settle(id_, body), self._loop)

    def hurry(self) -> None:
        """Try nothing again that is under way."""
        self._loop.call_soon_threadsafe(self._hurry.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._close())
            self._loop.close()

    async def _close(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._client.aclose()

    async def _settle(self, id_: str, body: bytes) -> Settled:
        with ExitStack() as told:
            return await self._until_settled(id_, body, told)

    async def _until_settled(self, id_: str, body: bytes, told: ExitStack) -> Settled:
        started, tries = time.monotonic(), 0
        while True:
            status, outcome = await self._once(id_, body)
            tries += 1
            match outcome:
                case Delivered():
                    return Settled()
                case GiveUp():
                    return Settled(self._why(outcome.why, tries), status, outcome.is_gone)
                case TryAgain():
                    since_s = (time.monotonic() - started) * self._pace.speed
                    wait = wait_s(outcome, tries, since_s, random.random())
                    if wait is None or self._hurry.is_set():
                        return Settled(self._why(outcome.why, tries), status)
                    if tries == TOLD_AFTER_TRIES:
                        _log.warning("%s: %s; tries again in %.0f s", self.place, outcome.why, wait)
                        told.enter_context(self._waiting_for(ReceiverAwayError(f"{self.place}: {outcome.why}")))
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._hurry.wait(), wait / self._pace.speed)

    def _why(self, why: str, tries: int) -> str:
        return f"{self.place}: {why_given_up(why, tries)}"

    async def _once(self, id_: str, body: bytes) -> tuple[int | None, Outcome]:
        """One try: the status of its answer, and what it means. What follows the status changes nothing."""
        headers = signed_headers(self._key, id_, int(self._unix_time()), body) | {"content-length": str(len(body))}
        answer: httpx.Response | None = None
        try:
            async with (
                asyncio.timeout(self._pace.answer_s),
                self._client.stream("POST", self._url, content=_pieces(body), headers=headers) as answer,
            ):
                await _read_some(answer)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            if answer is None:
                return None, self._no_answer(error)
        return answer.status_code, judge(answer.status_code, answer.headers.get("retry-after"))

    def _no_answer(self, error: Exception) -> Outcome:
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            return TryAgain(f"it does not answer within {self._pace.answer_s:g} s")
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
            return GiveUp("its URL is not valid", is_gone=True)
        return TryAgain(f"it cannot be reached: {(str(error) or type(error).__name__)[:_TEXT_CHARS]}")


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """A body bit by bit: sent as a whole, it would be copied on its way."""
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]


async def _read_some(response: httpx.Response) -> None:
    left = _MOST_ANSWER_BYTES
    async for block in response.aiter_raw():
        left -= len(block)
        if left <= 0:
            return
