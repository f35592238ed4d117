"""Delivers what is in the outbox: the only part of webhooks that does I/O. Run by the runtime, beside the reconcilers.

Of an answer only its status counts. The rest is not read and told to nobody: who may create a batch shall not learn by
it what is at addresses that only the operator reaches.
"""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from llmbatch_contract import __version__
from llmbatch_contract.signing import signed_headers, signing_key
from llmbatch_contract.spec import API_VERSION, KIND
from llmbatch_contract.status import Reason
from llmbatch_contract.webhook_answers import GiveUp, Outcome, TryAgain, judge
from llmbatch_operator.events import Event
from llmbatch_operator.facts import BatchRef, Body
from llmbatch_operator.kube import CallError, Kube
from llmbatch_operator.notify.addresses import is_refused
from llmbatch_operator.notify.outbox import Letter, Outbox, Settled
from llmbatch_operator.notify.signing import key_secret

logger = logging.getLogger("llmbatch.notify")

_TIMEOUT_S = 10.0
_RESOLVER_THREADS = 64
"""A look-up cannot be called off: it takes its thread for longer than its try lasts."""
_KEY_TRIES = 10
_KEY_AGAIN_S = 60.0
_REFUSED = "its address is a loopback or link-local one, which the operator does not send to"
_NOT_VALID = "its URL is not valid"
_HEADERS = {"content-type": "application/json", "user-agent": f"llmbatch/{__version__}"}


@dataclass
class Postman:
    """Tells receivers, and keeps the Secrets with the keys."""

    outbox: Outbox
    kube: Kube
    master_key: bytes
    tell: Callable[[Body, Event], None]
    """Posts a Kubernetes Event about a batch."""
    wake: Callable[[str], None]
    """Asks for a look at a batch."""
    count: Callable[[str], None] = lambda _outcome: None
    """Told of each delivery: `delivered` or `failed`."""
    allow_local: bool = False
    timeout_s: float = _TIMEOUT_S
    key_again_s: float = _KEY_AGAIN_S
    clock: Callable[[], float] = time.monotonic
    unix_time: Callable[[], float] = time.time
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Deliver until cancelled."""
        self.outbox.on_news = self._news.set
        async with self._session() as session, asyncio.TaskGroup() as group:
            while True:
                self._news.clear()
                for namespace in self.outbox.keyless():
                    group.create_task(_unfailing(self._give_key(namespace)))
                while (letter := self.outbox.next(self.clock())) is not None:
                    group.create_task(_unfailing(self._deliver(session, letter)))
                for uid in self.outbox.turned_away():
                    self.wake(uid)
                await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self.outbox.wait_s(self.clock())):
                await self._news.wait()
        except TimeoutError:
            pass

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Proxies are those of the environment."""
        resolver = aiohttp.ThreadedResolver() if self.allow_local else _Resolver()
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True),
            timeout=aiohttp.ClientTimeout(total=self.timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=True,
        ) as session:
            yield session

    async def _deliver(self, session: aiohttp.ClientSession, letter: Letter) -> None:
        """One try, and what comes of it."""
        outcome: Outcome = TryAgain("the operator has made a mistake")
        try:
            outcome = await self._post(session, letter)
        finally:
            self._settle(letter, outcome)

    def _settle(self, letter: Letter, outcome: Outcome) -> None:
        if (settled := self.outbox.settle(letter, outcome, self.clock())) is not None:
            self._report(settled)

    async def _post(self, session: aiohttp.ClientSession, letter: Letter) -> Outcome:
        try:
            url = URL(letter.url)
        except ValueError:
            return GiveUp(_NOT_VALID)
        if not self.allow_local and is_refused(url.raw_host or ""):
            return GiveUp(_REFUSED)
        key = signing_key(self.master_key, letter.ref.namespace)
        headers = _HEADERS | signed_headers(key, letter.id, int(self.unix_time()), letter.body)
        try:
            async with session.post(url, data=letter.body, headers=headers, allow_redirects=False) as response:
                return judge(response.status, response.headers.get("retry-after"))
        except AddressRefusedError:
            return GiveUp(_REFUSED)
        except TimeoutError:
            return TryAgain(f"it does not answer within {self.timeout_s:g} s")
        except aiohttp.InvalidURL:
            return GiveUp(_NOT_VALID)
        except (aiohttp.ClientError, OSError) as error:
            return TryAgain(f"it cannot be reached: {error}")

    def _report(self, settled: Settled) -> None:
        """Say what has become of a delivery; the reconciler writes it into the status."""
        letter = settled.letter
        self.count("delivered" if settled.why is None else "failed")
        if settled.why is not None:
            sentence = f"{_place(letter.url)} was not told ({letter.occasion}): {settled.why}; the batch goes on"
            logger.warning("%s: %s", letter.ref, sentence)
            self.tell(_about(letter.ref), Event("Warning", Reason.NOTIFY_FAILED, sentence))
        self.wake(letter.ref.uid)

    async def _give_key(self, namespace: str) -> None:
        """Leave the key where those find it who may read the namespace's Secrets."""
        for _ in range(_KEY_TRIES):
            try:
                await self.kube.create_secret(key_secret(self.master_key, namespace))
            except CallError as error:
                logger.warning("cannot write the key of webhooks of namespace %s: %s", namespace, error)
                await asyncio.sleep(self.key_again_s)
            else:
                return


async def _unfailing(work: Awaitable[None]) -> None:
    """A mistake of ours about one delivery must not hold up the others, let alone batches."""
    try:
        await work
    except Exception:
        logger.exception("cannot tell a webhook")


class AddressRefusedError(Exception):
    """A name stands for none but refused addresses."""


class _Resolver(AbstractResolver):
    """Finds addresses that something may be sent to; the connection goes to one of these and no other.

    It has threads of its own: a name server that does not answer shall hold up nothing else.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, "webhook-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        allowed = [_resolved(host, *each) for each in found if not is_refused(str(each[4][0]))]
        if found and not allowed:
            raise AddressRefusedError(host)
        return allowed

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _resolved(
    name: str, family: socket.AddressFamily, _kind: int, protocol: int, _canonical: str, address: tuple[Any, ...]
) -> ResolveResult:
    return ResolveResult(
        hostname=name,
        host=address[0],
        port=address[1],
        family=family,
        proto=protocol,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


def _place(url: str) -> str:
    """Of a URL, what is no secret: paths often hold a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _about(ref: BatchRef) -> Body:
    metadata = {"namespace": ref.namespace, "name": ref.name, "uid": ref.uid}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata}
