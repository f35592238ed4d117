import asyncio
import base64
import math
import statistics
import struct
import time
from typing import Any

import pytest

from llmbatch_cli.simulator.prose import prose
from simulator.asking import PATHS, Reply, ask, running


def _text(reply: Reply) -> str:
    return str(reply.body["choices"][0]["message"]["content"])


def _tokens(text: str) -> int:
    return max(1, math.ceil(len(text) / 4))


async def test_a_chat_completion_has_the_fields_of_openai() -> None:
    before = int(time.time())
    async with running() as client:
        reply = await client.chat("Hello there, model")
    body, choice = reply.body, reply.body["choices"][0]
    assert reply.status == 200
    assert body["id"].startswith("chatcmpl-")
    assert (body["object"], body["model"]) == ("chat.completion", "m")
    assert before <= body["created"] <= time.time()
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    assert choice["message"]["role"] == "assistant"
    assert body["usage"]["prompt_tokens"] == _tokens("Hello there, model")
    assert body["usage"]["completion_tokens"] == _tokens(_text(reply))
    assert body["usage"]["total_tokens"] == sum(body["usage"][name] for name in ("prompt_tokens", "completion_tokens"))
    assert body["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


async def test_a_response_has_the_fields_of_openai() -> None:
    async with running() as client:
        body = (await client.post("responses", instructions="Be kind.")).body
    (message,) = body["output"]
    assert body["id"].startswith("resp_")
    assert (body["object"], body["status"], body["incomplete_details"]) == ("response", "completed", None)
    assert (message["type"], message["role"]) == ("message", "assistant")
    assert message["content"][0]["type"] == "output_text"
    assert body["usage"]["input_tokens"] == _tokens("Hello") + _tokens("Be kind.")
    assert body["usage"]["output_tokens"] == _tokens(message["content"][0]["text"])


async def test_a_completion_has_one_choice_for_each_prompt() -> None:
    async with running() as client:
        body = (await client.send("POST", client.sim.url + PATHS["completions"], json=_three_prompts())).body
    assert body["object"] == "text_completion"
    assert [choice["index"] for choice in body["choices"]] == list(range(6))
    assert len({choice["text"] for choice in body["choices"]}) == 6
    assert body["usage"]["completion_tokens"] == sum(_tokens(choice["text"]) for choice in body["choices"])


def _three_prompts() -> dict[str, Any]:
    return {"model": "m", "prompt": ["one", "two", [1, 2, 3]], "n": 2}


async def test_embeddings_depend_on_the_text_and_have_the_dimensions_asked_for() -> None:
    async with running() as client:
        url = client.sim.url + PATHS["embeddings"]
        both = (await client.send("POST", url, json={"model": "m", "input": ["a", "b"], "dimensions": 32})).body
        alone = (await client.post("embeddings", "b", dimensions=32)).body
        default = (await client.post("embeddings", "b")).body
    first, second = (item["embedding"] for item in both["data"])
    assert (len(first), len(default["data"][0]["embedding"])) == (32, 8)
    assert second == alone["data"][0]["embedding"] != first
    assert math.hypot(*first) == pytest.approx(1)
    assert both["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


async def test_embeddings_can_be_base64() -> None:
    async with running() as client:
        plain = (await client.post("embeddings")).body["data"][0]["embedding"]
        coded = (await client.post("embeddings", encoding_format="base64")).body["data"][0]["embedding"]
    assert struct.unpack("<8f", base64.b64decode(coded)) == pytest.approx(plain, abs=1e-6)


async def test_an_answer_depends_on_seed_and_content_alone() -> None:
    async with running() as client, running() as same, running(seed=1) as other:
        answers = [_text(await each.chat("one", temperature=1)) for each in (client, client, same, other)]
        another = _text(await client.chat("two"))
    assert answers[0] == answers[1] == answers[2]
    assert len({answers[0], answers[3], another}) == 3


async def test_the_mean_length_of_answers_is_the_one_set() -> None:
    async with running(output_tokens=50) as client:
        lengths = [_tokens(_text(await client.chat(str(index)))) for index in range(300)]
    assert 45 <= statistics.mean(lengths) <= 55
    assert len(set(lengths)) > 10


@pytest.mark.parametrize(
    ("api", "limit"),
    [
        ("chat", "max_tokens"),
        ("chat", "max_completion_tokens"),
        ("responses", "max_output_tokens"),
        ("completions", "max_tokens"),
    ],
)
async def test_an_answer_ends_by_itself_within_the_tokens_asked_for(api: str, limit: str) -> None:
    async with running(output_tokens=500) as client:
        body = (await client.post(api, **{limit: 7})).body
    usage = body["usage"]
    assert usage.get("completion_tokens", usage.get("output_tokens")) == 7
    assert body.get("status", "completed") == "completed"
    assert body.get("choices", [{"finish_reason": "stop"}])[0]["finish_reason"] == "stop"


async def test_json_longer_than_max_tokens_is_cut_as_a_model_would() -> None:
    async with running() as client:
        body = (await client.chat(max_tokens=2, response_format={"type": "json_object"})).body
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize("tokens", [1, 2, 20, 5000, 40_000])
def test_prose_is_as_long_as_asked(tokens: int) -> None:
    assert {_tokens(prose(drawn, tokens)) for drawn in range(0, 9000, 97)} == {tokens}


async def test_texts_of_parts_count_and_carry_directives() -> None:
    parts = [{"type": "text", "text": "[[simulate: auth]]"}, {"type": "image_url", "image_url": {"url": "x"}}]
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": parts}]
    async with running() as client:
        reply = await client.send("POST", client.sim.url + PATHS["chat"], json={"model": "m", "messages": messages})
    assert reply.status == 401


async def _seconds(**settings: Any) -> float:
    loop = asyncio.get_running_loop()
    async with running(**settings) as client:
        before = loop.time()
        assert (await client.chat()).status == 200
        return loop.time() - before


@pytest.mark.parametrize(
    ("settings", "least_s"),
    [
        pytest.param({"latency": "150ms"}, 0.15, id="latency"),
        pytest.param({"output_tokens": 40, "tokens_per_second": 100}, 0.15, id="speed of writing"),
        pytest.param({"latency": "40ms", "latency_spread": 1.0, "seed": 1}, 0.001, id="spread"),
    ],
)
async def test_an_answer_takes_its_latency(settings: dict[str, Any], least_s: float) -> None:
    assert await _seconds(**settings) >= least_s


async def test_a_directive_sets_the_latency() -> None:
    loop = asyncio.get_running_loop()
    async with running(latency="1h") as client:
        before = loop.time()
        await client.chat("[[simulate: latency 100ms]]")
        assert 0.1 <= loop.time() - before < 60


async def test_more_in_flight_than_the_server_can_take_slows_everything_down() -> None:
    loop = asyncio.get_running_loop()
    async with running(latency="50ms", overloaded_concurrency=2) as client:
        before = loop.time()
        replies = await asyncio.gather(*(client.chat(str(index)) for index in range(10)))
        assert loop.time() - before >= 0.25
    assert {reply.status for reply in replies} == {200}


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        pytest.param({"messages": []}, "model", "missing_required_parameter", id="no model"),
        pytest.param({"model": 3}, "model", "invalid_type", id="a model that is no text"),
        pytest.param({"model": "m"}, "messages", "missing_required_parameter", id="no messages"),
        pytest.param({"model": "m", "messages": "hi"}, "messages", "invalid_type", id="messages a text"),
        pytest.param({"model": "m", "messages": []}, "messages", "empty_array", id="messages empty"),
        pytest.param({"model": "m", "messages": [1]}, "messages[0]", "invalid_type", id="a number"),
        pytest.param(
            {"model": "m", "messages": [{"content": "x"}]},
            "messages[0].role",
            "missing_required_parameter",
            id="no role",
        ),
        pytest.param(
            {"model": "m", "messages": [{"role": "user", "content": 1}]},
            "messages[0].content",
            "invalid_type",
            id="content a number",
        ),
        pytest.param(ask("chat", max_tokens=0), "max_tokens", "integer_below_min_value", id="no tokens"),
        pytest.param(ask("chat", max_tokens="9"), "max_tokens", "invalid_type", id="tokens a text"),
        pytest.param(ask("chat", n=999), "n", "integer_above_max_value", id="too many choices"),
        pytest.param(ask("chat", stream=True), "stream", None, id="stream"),
        pytest.param(ask("chat", response_format={"type": "yaml"}), "response_format.type", "invalid_value", id="yaml"),
        pytest.param(
            ask("chat", response_format={"type": "json_schema", "json_schema": {"schema": {}}}),
            "response_format.json_schema.name",
            "missing_required_parameter",
            id="a schema without a name",
        ),
    ],
)
async def test_a_bad_request_gets_the_400_of_openai(body: Any, param: str, code: str | None) -> None:
    async with running() as client:
        reply = await client.send("POST", client.sim.url + PATHS["chat"], json=body)
    assert reply.status == 400
    assert reply.body["error"]["type"] == "invalid_request_error"
    assert (reply.body["error"]["param"], reply.code) == (param, code)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"text"'])
async def test_a_body_that_is_no_json_object_gets_a_400(body: bytes) -> None:
    async with running() as client:
        reply = await client.send("POST", client.sim.url + PATHS["chat"], data=body)
    assert (reply.status, reply.body["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("api", "extra"),
    [
        pytest.param("responses", {"input": 3}, id="an input that is a number"),
        pytest.param("responses", {"input": [3]}, id="an item that is a number"),
        pytest.param("responses", {"text": "json"}, id="a text that is no object"),
        pytest.param("responses", {"instructions": 3}, id="instructions that are a number"),
        pytest.param("completions", {"prompt": {}}, id="a prompt that is an object"),
        pytest.param("completions", {"prompt": []}, id="no prompts"),
        pytest.param("embeddings", {"input": [1, "a"]}, id="tokens and texts mixed"),
        pytest.param("embeddings", {"dimensions": 0}, id="no dimensions"),
        pytest.param("embeddings", {"encoding_format": "hex"}, id="an unknown encoding"),
    ],
)
async def test_bad_values_of_the_other_apis_get_a_400(api: str, extra: dict[str, Any]) -> None:
    async with running() as client:
        reply = await client.post(api, **extra)
    assert reply.status == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/v1/chats", 404), ("GET", "/", 404), ("GET", "/v1/chat/completions", 405), ("POST", "/stats", 405)],
)
async def test_an_unknown_path_or_method_is_an_error_in_openai_shape(method: str, path: str, status: int) -> None:
    async with running() as client:
        reply = await client.control(method, path)
    assert reply.status == status
    assert path in reply.body["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 401), ({"Authorization": "Bearer no"}, 401), ({"Authorization": "Bearer k"}, 200)]
)
async def test_a_key_is_demanded_when_one_is_set(headers: dict[str, str], status: int) -> None:
    async with running(api_key="k") as client:
        chat = await client.send("POST", client.sim.url + PATHS["chat"], json=ask("chat"), headers=headers)
        models = await client.send("GET", client.sim.url + "/models", headers=headers)
    assert (chat.status, models.status) == (status, status)
    assert status == 200 or chat.code == models.code == "invalid_api_key"


async def test_only_the_models_that_were_named_exist() -> None:
    async with running(models=["m", "n"]) as client:
        listed = (await client.send("GET", client.sim.url + "/models")).body
        known = await client.chat()
        unknown = await client.chat(model="gpt-x")
    assert [model["id"] for model in listed["data"]] == ["m", "n"]
    assert (known.status, unknown.status, unknown.code) == (200, 404, "model_not_found")
