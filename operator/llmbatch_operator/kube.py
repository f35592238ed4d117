"""The few calls that the operator makes to the API server: dictionaries in and out. No other file knows the client.

Library errors become CallError; 404 where something shall be gone, and 409 where it shall be there, are no errors.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from llmbatch_contract.errors import LLMBatchError
from llmbatch_contract.llmendpoint import PLURAL
from llmbatch_contract.pods import AUDIENCE
from llmbatch_contract.wire import BATCH_LABEL
from llmbatch_operator.facts import BatchRef, Body
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Meters

BATCHES = "/apis/llmbatch.dev/v1alpha1"
JOBS = "/apis/batch/v1"
CORE = "/api/v1"

_FIELD_MANAGER = "llmbatch"
_JSON = "application/json"
_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_APPLY = "application/apply-patch+yaml"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
"""An answer without spec and status: a batch with many inline items is long."""
_PAGE = 500
_ANSWER_S = 30.0
"""The client's own five minutes would hold up all that wait for the caller."""


class CallError(LLMBatchError):
    """The API server refused a call, or cannot be reached."""

    def __init__(self, status: int, message: str) -> None:
        """`status` is 0 where there was no answer."""
        self.status = status
        super().__init__(message)


async def connect(meters: Meters | None = None) -> "Kube":
    """A client by the pod's service account, else by KUBECONFIG."""
    try:
        load_incluster_config()  # type: ignore[no-untyped-call]
    except ConfigException:
        await load_kube_config()  # type: ignore[no-untyped-call]
    return Kube(ApiClient(), meters)


class Kube:
    """Calls to the API server."""

    def __init__(self, client: ApiClient, meters: Meters | None = None) -> None:
        self._client = client
        self._meters = meters or Meters(is_on=False)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def list_batches(self) -> AsyncIterator[Body]:
        """All LLMBatches."""
        async for body in self._list(f"{BATCHES}/llmbatches", ""):
            yield body

    async def list_endpoints(self) -> AsyncIterator[Body]:
        """All LLMEndpoints; none where the cluster does not know what that is, as after half an upgrade."""
        try:
            async for body in self._list(f"{BATCHES}/{PLURAL}", ""):
                yield body
        except CallError as error:
            if error.status != 404:
                raise

    async def list_jobs(self) -> AsyncIterator[Body]:
        """All Jobs of batches."""
        async for body in self._list(f"{JOBS}/jobs", BATCH_LABEL):
            yield body

    async def list_pods(self) -> AsyncIterator[Body]:
        """All pods of batches."""
        async for body in self._list(f"{CORE}/pods", BATCH_LABEL):
            yield body

    async def create_job(self, body: Body) -> Body | None:
        """Create a Job; None if there is one of that name."""
        return await self._create(f"{JOBS}/namespaces/{body['metadata']['namespace']}/jobs", body)

    async def read_job(self, namespace: str, name: str) -> Body | None:
        """A Job; None if there is none of that name."""
        return await self._unless_gone("GET", f"{JOBS}/namespaces/{namespace}/jobs/{name}")

    async def create_secret(self, body: Body) -> Body | None:
        """Create a Secret; None if there is one of that name. It cannot be read back, and need not be."""
        return await self._create(f"{CORE}/namespaces/{body['metadata']['namespace']}/secrets", body)

    async def apply_config_map(self, body: Body) -> None:
        """Create a ConfigMap or bring it up to date, by server-side apply."""
        path = f"{CORE}/namespaces/{body['metadata']['namespace']}/configmaps/{body['metadata']['name']}"
        await self._call("PATCH", path, body, _APPLY, [("fieldManager", _FIELD_MANAGER), ("force", "true")])

    async def patch_job(
        self, namespace: str, name: str, spec: Body, annotations: dict[str, str] | None = None
    ) -> Body | None:
        """Change a Job's spec, and set some of its annotations; None if it is gone."""
        patch: Body = {"spec": spec} | ({"metadata": {"annotations": annotations}} if annotations else {})
        return await self._unless_gone("PATCH", f"{JOBS}/namespaces/{namespace}/jobs/{name}", patch, _MERGE)

    async def delete_job(self, namespace: str, name: str) -> None:
        """Delete a Job and its pods."""
        options = {"propagationPolicy": "Background"}
        await self._unless_gone("DELETE", f"{JOBS}/namespaces/{namespace}/jobs/{name}", options)

    async def delete_batch(self, ref: BatchRef) -> None:
        """Delete an LLMBatch, unless it is another one of that name by now."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": ref.uid}}
        await self._unless_gone("DELETE", self._batch(ref), options)

    async def write_status(self, ref: BatchRef, status: Body) -> Body | None:
        """Replace the status of an LLMBatch, and return its metadata; None if it is gone, or another has its name."""
        return await self._write_status(self._batch(ref), ref.uid, status)

    async def write_endpoint_status(self, name: str, uid: str, status: Body) -> Body | None:
        """The same for an LLMEndpoint."""
        return await self._write_status(f"{BATCHES}/{PLURAL}/{name}", uid, status)

    async def create_event(self, body: Body) -> None:
        """Post an Event."""
        await self._call("POST", f"{CORE}/namespaces/{body['metadata']['namespace']}/events", body)

    async def _write_status(self, path: str, uid: str, status: Body) -> Body | None:
        # A merge patch would not do: in one of a status, the uid counts for nothing.
        patch: list[Body] = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        try:
            return await self._unless_gone("PATCH", f"{path}/status", patch, _JSON_PATCH, _METADATA)
        except CallError as error:
            if error.status == 422 and not await self._is_there(path, uid):
                return None
            raise

    async def _is_there(self, path: str, uid: str) -> bool:
        body = await self._unless_gone("GET", path, accept=_METADATA)
        return body is not None and body["metadata"]["uid"] == uid

    async def read_secret(self, namespace: str, name: str) -> Body | None:
        """A Secret of the operator's own namespace; None if there is none."""
        return await self._unless_gone("GET", f"{CORE}/namespaces/{namespace}/secrets/{name}")

    async def review_token(self, token: str) -> Body:
        """The status of a TokenReview for the coordinator's audience."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        answer = await self._call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)
        status: Body = answer["status"]
        return status

    def _batch(self, ref: BatchRef) -> str:
        return f"{BATCHES}/namespaces/{ref.namespace}/llmbatches/{ref.name}"

    async def _list(self, path: str, label: str) -> AsyncIterator[Body]:
        query = [("limit", str(_PAGE)), *([("labelSelector", label)] if label else [])]
        more = ""
        while True:
            page = await self._call("GET", path, query=[*query, *([("continue", more)] if more else [])])
            for body in page["items"]:
                yield body
            if not (more := page["metadata"].get("continue", "")):
                return

    async def _create(self, path: str, body: Body) -> Body | None:
        try:
            return await self._call("POST", path, body)
        except CallError as error:
            if error.status == 409:
                return None
            raise

    async def _unless_gone(
        self,
        method: str,
        path: str,
        body: Body | list[Body] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> Body | None:
        try:
            return await self._call(method, path, body, content_type, accept=accept)
        except CallError as error:
            # 409 for a deletion: the batch of that uid is gone, and another has its name
            if error.status == 404 or (error.status == 409 and method == "DELETE"):
                return None
            raise

    async def _call(
        self,
        method: str,
        path: str,
        body: Body | list[Body] | None = None,
        content_type: str = _JSON,
        query: list[tuple[str, str]] | None = None,
        accept: str = _JSON,
    ) -> Body:
        verb, resource = what_is_called(method, path)
        start, status = time.monotonic(), 200
        try:
            return await self._answer(method, path, body, content_type, query, accept)
        except CallError as error:
            status = error.status
            raise
        finally:
            self._meters.record(names.API_DURATION, time.monotonic() - start, verb, resource, str(status or ""))

    async def _answer(
        self,
        method: str,
        path: str,
        body: Body | list[Body] | None,
        content_type: str,
        query: list[tuple[str, str]] | None,
        accept: str,
    ) -> Body:
        headers = {"Accept": accept, "Content-Type": content_type}
        try:
            request = await self._client.param_serialize(
                method, path, query_params=query or [], header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            async with asyncio.timeout(_ANSWER_S):
                response = await self._client.call_api(*request)
                data = await response.read()  # type: ignore[no-untyped-call]
        except ApiException as error:
            raise _refused(error.status, error.body, f"{method} {path}") from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise CallError(0, f"{method} {path}: the API server cannot be reached: {error}") from error
        if response.status >= 400:
            raise _refused(response.status, data, f"{method} {path}")
        answer: Body = json.loads(data)
        return answer


def what_is_called(method: str, path: str) -> tuple[str, str]:
    """Verb and resource of a call, as Kubernetes' own rules name them: ("list", "pods"), ("patch", "jobs")."""
    _, _, rest = path.lstrip("/").partition("/v1alpha1/" if "/v1alpha1/" in path else "/v1/")
    parts = rest.split("/")
    parts = parts[2:] if parts[0] == "namespaces" and len(parts) > 2 else parts
    resource = "/".join([parts[0], *parts[2:]])
    verb = {"GET": "get" if len(parts) > 1 else "list", "POST": "create"}.get(method, method.lower())
    return verb, resource


def _refused(status: int | None, body: Any, what: str) -> CallError:
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        message = str(body)[:200]
    return CallError(status or 0, f"{what}: {message}")
