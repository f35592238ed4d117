"""Calls and watches of the API server, as lean as they can be: the benchmark shares its cores with what it measures."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_kube_config

Body = dict[str, Any]

USER_AGENT = "llmbatch-benchmarks"
_LONGEST_EVENT = 1 << 24
_MERGE = "application/merge-patch+json"


class Refused(Exception):
    """The API server did not do it."""


class Api:
    """One API server."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, path: str) -> Body:
        """Read."""
        return await self._call("GET", path)

    async def create(self, path: str, body: Body) -> Body:
        """Create in the collection at `path`."""
        return await self._call("POST", path, body)

    async def merge(self, path: str, body: Body) -> Body:
        """Change some fields."""
        return await self._call("PATCH", path, body, _MERGE)

    async def delete(self, path: str) -> Body:
        """Delete, without waiting for the end of what it owns."""
        return await self._call("DELETE", path, {"propagationPolicy": "Background"})

    async def watch(self, path: str, label: str) -> AsyncIterator[Body]:
        """Events of what has the label, from now on, until cancelled."""
        query = {"labelSelector": label, "watch": "true", "allowWatchBookmarks": "true"}
        version = (await self.get(f"{path}?labelSelector={label}&limit=1"))["metadata"]["resourceVersion"]
        while True:
            watched = query | {"resourceVersion": version}
            async with self._session.get(path, params=watched, timeout=aiohttp.ClientTimeout()) as answer:
                async for line in answer.content:
                    event: Body = orjson.loads(line)
                    if event["type"] == "ERROR":
                        raise Refused(f"the watch of {path} broke: {event['object']}")
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield event

    async def _call(self, method: str, path: str, body: Body | None = None, content: str = "application/json") -> Body:
        data = orjson.dumps(body) if body is not None else None
        async with self._session.request(method, path, data=data, headers={"Content-Type": content}) as answer:
            said = await answer.read()
            if answer.status >= 400:
                raise Refused(f"{method} {path}: {answer.status} {said[:300].decode()}")
            read: Body = orjson.loads(said)
            return read


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Api]:
    """The API server that a kubeconfig names."""
    settings = Configuration()
    await load_kube_config(str(kubeconfig), client_configuration=settings)  # type: ignore[no-untyped-call]
    trust = ssl.create_default_context(cafile=settings.ssl_ca_cert, cadata=settings.ca_cert_data)
    if settings.cert_file:
        trust.load_cert_chain(settings.cert_file, settings.key_file)
    headers = {"User-Agent": USER_AGENT}
    if token := settings.api_key.get("BearerToken"):
        headers["Authorization"] = token
    connector = aiohttp.TCPConnector(ssl=trust, limit=0)
    async with aiohttp.ClientSession(
        settings.host, connector=connector, headers=headers, read_bufsize=_LONGEST_EVENT
    ) as session:
        yield Api(session)
