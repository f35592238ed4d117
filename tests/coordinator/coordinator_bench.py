"""A coordinator on the loopback: the real server with TLS, a real folder, simple stand-ins for the operator.

async with serving(tmp_path) as bench:
    await bench.call("GET", "/v1/objects/work/plan.json", token=POD_A)

Two batches in team-a, one in team-b, a pod each; a token's text is the pod's name.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from llmbatch_contract.reports import Grant, Reply, Report
from llmbatch_contract.wire import RESULTS, batch_key, signature
from llmbatch_operator.coordinator.certificates import KeyPair, ServerCertificate, make_authority
from llmbatch_operator.coordinator.desk import PodIdentity
from llmbatch_operator.coordinator.identity import ReviewedToken, TokenIdentities
from llmbatch_operator.coordinator.ledger import Limits
from llmbatch_operator.coordinator.objects import Objects
from llmbatch_operator.coordinator.server import CoordinatorServer
from llmbatch_telemetry.meters import Meters

MIB = 1 << 20
ROOMY = Limits(batch=64 * MIB, total=128 * MIB, output_reserve=16 * MIB)
MASTER_KEY = b"the operator's own key"
NOW = 1_800_000_000
TICKETS, MAILS, FOREIGN = "uid-tickets", "uid-mails", "uid-foreign"
POD_A, POD_MAILS, POD_B, STRANGER = "pod-a", "pod-mails", "pod-b", "pod-of-no-batch"
_PODS = {
    ("team-a", POD_A): ("tickets", TICKETS),
    ("team-a", POD_MAILS): ("mails", MAILS),
    ("team-b", POD_B): ("tickets", FOREIGN),
}


@dataclass
class PlainDesk:
    """The operator, as far as the coordinator sees it."""

    batches: dict[tuple[str, str], str] = field(
        default_factory=lambda: {
            ("team-a", "tickets"): TICKETS,
            ("team-a", "mails"): MAILS,
            ("team-b", "tickets"): FOREIGN,
        }
    )
    heard: list[tuple[PodIdentity, Report]] = field(default_factory=list)
    full: list[tuple[str, str | None]] = field(default_factory=list)

    def reply(self, who: PodIdentity, report: Report) -> Reply | None:
        """Remembers the report."""
        self.heard.append((who, report))
        is_there = self.batch_uid(who.namespace, who.batch) == who.batch_uid
        return Reply(grant=Grant(number=7, concurrency=3)) if is_there else None

    def batch_uid(self, namespace: str, name: str) -> str | None:
        """By the table."""
        return self.batches.get((namespace, name))

    def store_is_full(self, batch_uid: str, message: str | None) -> None:
        """Remembers it."""
        self.full.append((batch_uid, message))


async def review(token: str) -> ReviewedToken | None:
    """What the API server says of the pods' tokens."""
    namespaces = {pod: namespace for namespace, pod in _PODS} | {STRANGER: "team-b"}
    return ReviewedToken(namespaces[token], token, f"uid-of-{token}") if token in namespaces else None


def pod_to_batch(namespace: str, pod: str, pod_uid: str) -> tuple[str, str] | None:
    """What the operator knows of pods."""
    return _PODS.get((namespace, pod)) if pod_uid == f"uid-of-{pod}" else None


@dataclass
class Bench:
    """A running coordinator and a client that trusts it."""

    port: int
    desk: PlainDesk
    objects: Objects
    authority: KeyPair
    client: httpx.AsyncClient
    server: CoordinatorServer
    certificate: ServerCertificate
    meters: Meters

    async def call(self, method: str, path: str, *, token: str | None = POD_A, **more: Any) -> httpx.Response:
        """One request."""
        headers = {"Authorization": f"Bearer {token}".strip()} if token is not None else {}
        return await self.client.request(method, path, headers=headers | more.pop("headers", {}), **more)

    async def put(self, name: str, data: bytes, *, area: str = "work", create: bool = False, token: str = POD_A) -> int:
        """Write an object; the status."""
        headers = {"If-None-Match": "*"} if create else {}
        path = f"/v1/objects/{area}/{name}"
        return (await self.call("PUT", path, token=token, headers=headers, content=data)).status_code

    async def get(self, name: str, *, area: str = "work", token: str = POD_A) -> bytes | int:
        """An object, or the status of the refusal."""
        response = await self.call("GET", f"/v1/objects/{area}/{name}", token=token)
        return response.content if response.status_code == 200 else response.status_code

    async def names(self, prefix: str = "", *, area: str = "work", token: str = POD_A) -> list[str]:
        """A listing."""
        response = await self.call("GET", f"/v1/objects/{area}", token=token, params={"prefix": prefix})
        names: list[str] = response.raise_for_status().json()
        return names


@asynccontextmanager
async def serving(
    folder: Path, limits: Limits = ROOMY, authority: KeyPair | None = None, certificate_age: timedelta = timedelta()
) -> AsyncIterator[Bench]:
    """A coordinator over this folder, on a free port."""
    now = datetime.now(UTC)
    authority = authority or make_authority(now)
    certificate = ServerCertificate(authority, ["localhost"], now - certificate_age)
    desk, objects = PlainDesk(), await Objects.open(folder, limits)
    server = CoordinatorServer(
        desk,
        TokenIdentities(review, pod_to_batch),
        objects,
        master_key=MASTER_KEY,
        certificate=certificate,
        meters=(meters := Meters()),
        clock=lambda: NOW,
    )
    port = await server.start("127.0.0.1", 0)
    try:
        async with httpx.AsyncClient(verify=trusting(authority), base_url=f"https://localhost:{port}") as client:
            yield Bench(port, desk, objects, authority, client, server, certificate, meters)
    finally:
        await server.close()
        objects.close()


def trusting(authority: KeyPair) -> ssl.SSLContext:
    """As a pod's client does: this authority and no other."""
    return ssl.create_default_context(cadata=authority.certificate_pem.decode())


def signed(namespace: str, batch: str, name: str, uid: str, expires: int = NOW + 300) -> str:
    """The path of an output, with permission to read it."""
    path = f"{RESULTS}/{namespace}/{batch}/{name}"
    return f"{path}?expires={expires}&signature={signature(batch_key(MASTER_KEY, uid), path, expires)}"


async def until(condition: Callable[[], object]) -> None:
    """Wait for it, five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - files and sizes ring no bell
            await asyncio.sleep(0.01)


def files_below(folder: Path) -> list[str]:
    """All files, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
