"""An endpoint without HTTP: engines ask a function of the request, so that what comes out can be known beforehand.

with scripted_endpoint():      every Engine made in the block, in this process, asks `answer_to`
    ...
"""

import contextlib
import json
from collections.abc import Iterator
from typing import Any, Self

import orjson
import pytest

from llmbatch_contract.spec import Api
from llmbatch_worker.client import Response

REFUSED = "bad"
"""What begins so is refused, with HTTP 400."""
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["said", "size"],
    "properties": {"said": {"type": "string"}, "size": {"type": "integer"}},
}


def answer_to(prompt: str, *, as_object: bool) -> Any:
    """What the model says: text, or an object of SCHEMA."""
    return {"said": f"re {prompt}", "size": len(prompt)} if as_object else f"re {prompt}"


class ScriptedClient:
    """In place of `llmbatch_worker.client.Client`."""

    def __init__(self, *_: object) -> None:
        """Whatever the endpoint is."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    async def send(self, api: Api, body: bytes, idempotency_key: str, traceparent: str | None = None) -> Response:
        """The answer to a chat."""
        assert api is Api.CHAT
        asked = json.loads(body)
        prompt = asked["messages"][-1]["content"]
        if prompt.startswith(REFUSED):
            return _response(400, {"error": {"message": "no", "code": "invalid_value"}})
        answer = answer_to(prompt, as_object="response_format" in asked)
        content = answer if isinstance(answer, str) else orjson.dumps(answer).decode()
        message = {"role": "assistant", "content": content}
        return _response(200, {"model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]})


def _response(status: int, body: Any) -> Response:
    return Response(status, {}, json.dumps(body).encode(), 0.001)


@contextlib.contextmanager
def scripted_endpoint() -> Iterator[None]:
    """Engines that are made in the block ask nobody else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmbatch_worker.engine.Client", ScriptedClient)
        yield
