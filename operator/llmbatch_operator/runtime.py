"""Puts the parts of the operator together, starts them in order, and takes them apart. Called by main's handlers."""

import asyncio
import functools
import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from llmbatch_contract.errors import LLMBatchError
from llmbatch_operator.authority import load_authority
from llmbatch_operator.coordinator.certificates import ServerCertificate
from llmbatch_operator.coordinator.identity import ReviewedToken, TokenIdentities, read_review
from llmbatch_operator.coordinator.ledger import Limits
from llmbatch_operator.coordinator.objects import Objects
from llmbatch_operator.coordinator.server import CoordinatorServer
from llmbatch_operator.endpoints.changes import EndpointChanges
from llmbatch_operator.endpoints.keeping import EndpointKeeper
from llmbatch_operator.endpoints.known import Endpoints
from llmbatch_operator.events import Event
from llmbatch_operator.facts import Body
from llmbatch_operator.gather import Gatherer
from llmbatch_operator.kube import CallError, Kube, connect
from llmbatch_operator.notify.outbox import Outbox
from llmbatch_operator.notify.posting import Postman
from llmbatch_operator.reconcile import Reconciler
from llmbatch_operator.sessions import Sessions
from llmbatch_operator.settings import Settings
from llmbatch_operator.telemetry.page import MetricsPage
from llmbatch_operator.telemetry.recorder import Recorder
from llmbatch_operator.workqueue import WorkQueue
from llmbatch_telemetry import names
from llmbatch_telemetry.lag import watch_loop
from llmbatch_telemetry.meters import Point
from llmbatch_telemetry.telemetry import Telemetry

logger = logging.getLogger("llmbatch")

_RECONCILERS = 32
_LOOK_EVERY_S = 1.0
_ENDPOINTS_EVERY_S = 5.0
_TIDY_EVERY_S = 600.0
_TIDY_SOON_S = 30.0
"""After the first round: the watches begin a moment after everything was read, and do not tell what went meanwhile."""
_AFTER_BUG_S = 30.0


@dataclass
class Runtime:
    """The operator, but for kopf."""

    settings: Settings
    tell: Callable[[Body, Event], None]
    """Posts a Kubernetes Event about a batch."""
    on_failure: Callable[[], None]
    """Called when a part has ended by an error: the process should end, too."""
    telemetry: Telemetry
    queue: WorkQueue = field(default_factory=lambda: WorkQueue(time.monotonic))
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.queue.add, recorder=Recorder(self.telemetry))
        self.endpoints = Endpoints()
        self.endpoints.on_change = EndpointChanges(self.endpoints, self.sessions, self.queue.add)
        self._page = MetricsPage(self.telemetry.meters.collect)

    async def start(self) -> None:
        """Connect, read everything once, serve, and begin to look at batches."""
        self._kube = await connect(self.telemetry.meters)
        now = datetime.now(UTC)
        authority = await load_authority(self._kube, self.settings.namespace, now, secrets.token_bytes(32))
        limits = Limits(
            batch=self.settings.batch_limit,
            total=self.settings.store_limit,
            output_reserve=self.settings.store_limit // 10,
        )
        self._objects = await Objects.open(self.settings.store_folder, limits)
        await self._prime()
        certificate = ServerCertificate(authority.pair, [self.settings.host_name, "localhost"], now)
        self._server = CoordinatorServer(
            self.sessions,
            TokenIdentities(functools.partial(_review, self._kube), self._batch_of_pod),
            self._objects,
            master_key=authority.master_key,
            certificate=certificate,
            meters=self.telemetry.meters,
        )
        await self._server.start(*self.settings.listen)
        outbox = Outbox()
        self._reconciler = Reconciler(
            self._kube,
            self.sessions,
            self.settings,
            ca=authority.pair.certificate_pem.decode(),
            master_key=authority.master_key,
            tell=self.tell,
            again=self.queue.add_after,
            on_gone=lambda uid: self._later(self._objects.remove_batch(uid)),
            on_ended=lambda uid: self._later(self._objects.remove_work(uid)),
            gatherer=Gatherer(endpoints=self.endpoints),
            outbox=outbox,
        )
        postman = Postman(
            outbox,
            self._kube,
            authority.master_key,
            tell=self.tell,
            wake=self.queue.add,
            count=self.sessions.recorder.notified,
            allow_local=self.settings.notify_allow_local,
        )
        self._keeper = EndpointKeeper(self._kube, self.endpoints, self.sessions.cache, self.sessions.pools.facts_of)
        self.telemetry.meters.observe(self._points)
        for part in (
            self._reconcile(),
            self._look_at_reports(),
            self._keep_endpoints(),
            postman.run(),
            self._tidy(),
            watch_loop(self.telemetry.meters),
        ):
            self._start(part)
        await self._serve_metrics()

    async def stop(self) -> None:
        """Answer what is being asked, then end."""
        await self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._page.close()
        self._objects.close()
        await self._kube.close()

    async def _prime(self) -> None:
        """Know everything before anything is decided; from then on the watches keep it up to date."""
        cache = self.sessions.cache
        for listed, put in (
            (self._kube.list_endpoints(), self.endpoints.put),
            (self._kube.list_batches(), cache.put_batch),
            (self._kube.list_jobs(), cache.put_job),
            (self._kube.list_pods(), cache.put_pod),
        ):
            async for body in listed:
                put(body)

    async def _serve_metrics(self) -> None:
        """Batches go on without, so it is no reason to end."""
        try:
            await self._page.start(*self.settings.metrics_listen)
        except OSError as error:
            logger.warning("metrics are not served to Prometheus: %s", error)

    def _points(self) -> Iterator[Point]:
        """What is known without being counted; asked for from any thread."""
        point = self.telemetry.meters.point
        for (namespace, phase), count in self.sessions.cache.phases().items():
            yield point(names.BATCHES, count, namespace, phase)
        yield point(names.QUEUE_LENGTH, len(self.queue))
        yield point(names.STORE_USED, self._objects.used)
        yield point(names.STORE_LIMIT, self.settings.store_limit)

    async def _reconcile(self) -> None:
        await self.queue.run(self._look_at, _RECONCILERS)

    async def _look_at(self, uid: str) -> None:
        try:
            await self._reconciler.reconcile(uid)
        except Exception:  # a mistake of ours about one batch must not hold up the others
            logger.exception("cannot look at batch %s", uid)
            self.queue.add_after(uid, _AFTER_BUG_S)

    async def _look_at_reports(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for uid in self.sessions.changed():
                self.queue.add(uid)

    async def _keep_endpoints(self) -> None:
        while True:
            await asyncio.sleep(_ENDPOINTS_EVERY_S)
            try:
                await self._keeper.look()
            except Exception:  # a mistake of ours about endpoints must not hold up batches
                logger.exception("cannot look at LLMEndpoints")
                await asyncio.sleep(_AFTER_BUG_S)

    async def _tidy(self) -> None:
        """Now and then, forget what went unheard, and remove what deleted batches have left in the store."""
        for pause_s in itertools.chain((_TIDY_SOON_S,), itertools.repeat(_TIDY_EVERY_S)):
            try:
                there = await self._forget_what_went()
                for uid in set(await self._objects.batches()) - there:
                    if self.sessions.cache.get(uid) is None:
                        await self._objects.remove_batch(uid)
            except LLMBatchError as error:  # of the API server or of the store: a later round will do
                logger.warning("cannot tidy up: %s", error)
            await asyncio.sleep(pause_s)

    async def _forget_what_went(self) -> set[str]:
        """Let the cache know what is no longer there; uids of all that is."""
        cache, kube = self.sessions.cache, self._kube
        known, endpoints = cache.known_uids(), self.endpoints.known_uids()
        there = {
            body["metadata"]["uid"]
            for listed in (kube.list_batches(), kube.list_jobs(), kube.list_pods(), kube.list_endpoints())
            async for body in listed
        }
        cache.forget(known - there)
        self.endpoints.forget(endpoints - there)
        return there

    def _batch_of_pod(self, namespace: str, pod: str, uid: str) -> tuple[str, str] | None:
        batch_uid = self.sessions.cache.batch_of_pod(uid)
        ref = self.sessions.cache.ref_of(batch_uid) if batch_uid is not None else None
        return (ref.name, ref.uid) if ref is not None and ref.namespace == namespace else None

    def _later(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run())
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)
        task.add_done_callback(_log_failure)

    def _start(self, part: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await part
            except Exception:
                logger.exception("a part of the operator has failed; the operator ends")
                self.on_failure()

        self._tasks.append(asyncio.create_task(run()))


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the store could not be tidied: %s", error)


async def _review(kube: Kube, token: str) -> ReviewedToken | None:
    try:
        return read_review(await kube.review_token(token))
    except CallError as error:
        raise OSError(str(error)) from error
