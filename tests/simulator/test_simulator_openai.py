"""The official client takes the simulator for the real thing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from simulator.asking import running


@asynccontextmanager
async def _client(**settings: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    async with (
        running(**settings) as client,
        openai.AsyncOpenAI(base_url=client.sim.url, api_key="k", max_retries=0) as official,
    ):
        yield official


async def test_the_official_client_can_use_all_apis() -> None:
    async with _client(api_key="k") as client:
        chat = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
        response = await client.responses.create(model="m", input="Hi", instructions="Be kind.")
        completion = await client.completions.create(model="m", prompt="Hi")
        embedding = await client.embeddings.create(model="m", input=["Hi", "Ho"], dimensions=16)
        models = await client.models.list()
    assert chat.choices[0].message.content
    assert chat.usage is not None
    assert chat.usage.prompt_tokens == 1
    assert response.output_text
    assert completion.choices[0].text
    assert [len(item.embedding) for item in embedding.data] == [16, 16]
    assert models.data[0].id == "simulated-model"


async def _ask(client: openai.AsyncOpenAI) -> Any:
    return await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])


@pytest.mark.parametrize(
    ("category", "error"),
    [
        ("server_error", openai.InternalServerError),
        ("unavailable", openai.InternalServerError),
        ("overloaded", openai.InternalServerError),
        ("rate_limit", openai.RateLimitError),
        ("quota", openai.RateLimitError),
        ("bad_request", openai.BadRequestError),
        ("context_length", openai.BadRequestError),
        ("content_policy", openai.BadRequestError),
        ("auth", openai.AuthenticationError),
        ("permission", openai.PermissionDeniedError),
        ("not_found", openai.NotFoundError),
        ("reset", openai.APIConnectionError),
        ("close", openai.APIConnectionError),
    ],
)
async def test_the_official_client_raises_its_own_exception(category: str, error: type[Exception]) -> None:
    async with _client(fail={category: 1.0}) as client:
        with pytest.raises(error) as raised:
            await _ask(client)
    if isinstance(raised.value, openai.APIStatusError):
        assert raised.value.request_id is not None


async def test_a_hang_is_a_timeout_to_the_official_client() -> None:
    async with _client(fail={"hang": 1.0}) as client:
        with pytest.raises(openai.APITimeoutError):
            await _ask(client.with_options(timeout=0.1))


async def test_the_official_client_retries_by_itself_and_succeeds() -> None:
    async with _client(fail={"server_error": 1.0}) as client:
        assert (await _ask(client.with_options(max_retries=2))).choices[0].message.content
