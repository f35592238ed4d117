"""The life of one request to the model, from its bytes to its answer; and all that changes meanwhile.

The server routes requests here, control.py shows and changes what is held here. What is decided is decided
by pure functions elsewhere (asked, planning, limits); this module reads the clock, waits and counts.
"""

import asyncio
import hmac
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import orjson
from aiohttp import web

from llmbatch_cli.simulator.asked import Api, Asked, parse_request
from llmbatch_cli.simulator.bodies import body_of
from llmbatch_cli.simulator.categories import Category
from llmbatch_cli.simulator.delivery import deliver, json_answer, refuse
from llmbatch_cli.simulator.errors import ApiError
from llmbatch_cli.simulator.fate import ALWAYS
from llmbatch_cli.simulator.limits import Limits, Violation
from llmbatch_cli.simulator.planning import Plan, crowding, plan_answer
from llmbatch_cli.simulator.settings import SimulatorSettings
from llmbatch_cli.simulator.stats import Stats

_SPOILT = frozenset(Category) - {Category.SLOW}


class Endpoint:
    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self.stats = Stats()
        self.is_stopping = False
        self._limits = Limits(settings)
        self._attempts: Counter[bytes] = Counter()
        self._serial = 0

    def change(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self._limits.change(settings)

    def reset(self) -> None:
        """Statistics and attempts seen start anew, so the same requests meet the same fate again."""
        self.stats = self.stats.fresh()
        self._attempts.clear()

    async def answer(self, api: Api, request: web.BaseRequest) -> web.StreamResponse:
        headers = request.headers
        self.stats.request_came(time.time(), headers.get("Idempotency-Key"), headers.get("traceparent"))
        try:
            response = await self._answer(api, request)
        except ApiError as error:
            response = self._refuse(error)
        return response

    async def list_models(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            self._authorize(request)
        except ApiError as error:
            return json_answer(error.body(), error.status)
        names = self.settings.models or ("simulated-model",)
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "llmbatch"} for name in names]
        return json_answer({"object": "list", "data": models})

    async def _answer(self, api: Api, request: web.BaseRequest) -> web.StreamResponse:
        raw = await _read(request)
        self._authorize(request)
        asked = parse_request(api, raw, self.settings.models)
        plan = plan_answer(self.settings, asked, self._attempts[asked.key] if self._attempts else 0)
        self._admit(asked, plan)
        with self._in_flight():
            await self._wait(plan)
        if plan.error is not None:
            raise plan.error
        return self._deliver(asked, plan)

    def _authorize(self, request: web.BaseRequest) -> None:
        key = self.settings.api_key
        if key is None:
            return
        given = request.headers.get("Authorization", "")
        if not given:
            message = "You didn't provide an API key: send it in an Authorization header, as Bearer YOUR_KEY."
            raise ApiError(401, message, code="invalid_api_key")
        if not hmac.compare_digest(given.encode(), f"Bearer {key}".encode()):
            raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")

    def _admit(self, asked: Asked, plan: Plan) -> None:
        tokens = asked.content.tokens + plan.output_tokens
        violation = self._limits.admit(tokens, self.stats.in_flight, time.monotonic())
        if violation is not None:
            self.stats.violations[violation.limit] += 1
            raise _over_limit(violation)
        self.stats.admitted(asked.content.tokens)
        if plan.failure is not None and plan.failure.attempts != ALWAYS:
            self._attempts[asked.key] += 1
        if plan.category is not None:
            self.stats.by_category[plan.category.value] += 1

    @contextmanager
    def _in_flight(self) -> Iterator[None]:
        """Over before the answer is written, so that a client's next request never meets its last."""
        try:
            yield
        except asyncio.CancelledError:
            if not self.is_stopping:
                self.stats.aborted += 1
            raise
        finally:
            self.stats.finished()

    async def _wait(self, plan: Plan) -> None:
        latency_s = plan.latency_s * crowding(self.settings, self.stats.in_flight)
        if latency_s > 0:
            await asyncio.sleep(latency_s)
        if plan.category is Category.HANG:
            await asyncio.get_running_loop().create_future()

    def _deliver(self, asked: Asked, plan: Plan) -> web.StreamResponse:
        body = body_of(asked, plan.answers, self._next_serial(), int(time.time()), self.settings.seed)
        if plan.category is Category.EMPTY and asked.api is Api.EMBEDDINGS:
            body["data"] = []
        response = deliver(plan.category, orjson.dumps(body), self._headers())
        self.stats.output_tokens += plan.output_tokens
        self.stats.answered_ok += plan.category not in _SPOILT
        if plan.category is not Category.RESET:
            self.stats.by_status[str(response.status)] += 1
        return response

    def _refuse(self, error: ApiError) -> web.StreamResponse:
        self._next_serial()
        self.stats.by_status[str(error.status)] += 1
        return refuse(error, self._headers(), self.settings.retry_after_format, datetime.now(UTC))

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def _headers(self) -> dict[str, str]:
        return {"x-request-id": f"req_{self._serial:016x}", **self._limits.headers(time.monotonic())}


async def _read(request: web.BaseRequest) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(413, "The body of your request is too large.", code="request_too_large") from None
    except web.RequestPayloadError as error:
        raise ApiError(400, f"We could not read the body of your request: {error}") from None


def _over_limit(violation: Violation) -> ApiError:
    kind = "tokens" if violation.limit == "tokens" else "requests"
    return ApiError(429, violation.message, kind=kind, code="rate_limit_exceeded", wait_s=violation.wait_s)
