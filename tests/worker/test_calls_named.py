"""How spans and metrics name whom an item asks: operation, provider, model and address."""

from typing import Any

import pytest

from builders import batch
from llmbatch_contract.spec import InputFormat
from llmbatch_worker.observing.calls import MOST_MODELS, Calls, plain_url, server_of
from llmbatch_worker.observing.providers import provider_of


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("API.OpenAI.com.", "openai"),
        ("eu.api.openai.com", "openai"),
        ("my-resource.openai.azure.com", "azure.ai.openai"),
        ("my-resource.services.ai.azure.com", "azure.ai.inference"),
        ("api.anthropic.com", "anthropic"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "aws.bedrock"),
        ("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("generativelanguage.googleapis.com", "gcp.gemini"),
        ("api.mistral.ai", "mistral_ai"),
        ("api.groq.com", "groq"),
        ("api.deepseek.com", "deepseek"),
        ("api.x.ai", "x_ai"),
        pytest.param("vllm.models.svc", "openai_compatible", id="a server of one's own"),
        pytest.param("notapi.openai.com.evil.org", "openai_compatible", id="a name that only looks like it"),
        pytest.param("myapi.x.ai.internal", "openai_compatible", id="a known name in the middle"),
        pytest.param("", "openai_compatible", id="no host"),
    ],
)
def test_the_provider_follows_from_the_host(host: str, provider: str) -> None:
    assert provider_of(host) == provider


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://api.openai.com/v1", "api.openai.com", 443),
        ("http://vllm:8000/v1", "vllm", 8000),
        ("http://vllm/v1", "vllm", 80),
        ("http://[::1]:8000/v1", "::1", 8000),
    ],
)
def test_the_server_is_host_and_port(url: str, host: str, port: int) -> None:
    assert (server_of(url).host, server_of(url).port) == (host, port)


def test_a_provider_that_is_named_is_believed() -> None:
    spec = batch(endpoint={"provider": "my-gateway"}).spec
    assert Calls(spec, InputFormat.JSONL).server.provider == "my-gateway"


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://user:secret@host:1/v1/x?key=secret#secret", "https://host:1/v1/x"),
        ("http://host/v1/x", "http://host/v1/x"),
    ],
)
def test_credentials_and_query_are_not_told(url: str, plain: str) -> None:
    assert plain_url(url) == plain


@pytest.mark.parametrize(
    ("api", "operation", "path"),
    [
        ("chat", "chat", "/chat/completions"),
        ("responses", "chat", "/responses"),
        ("completions", "text_completion", "/completions"),
        ("embeddings", "embeddings", "/embeddings"),
    ],
)
def test_the_operation_follows_from_the_api(api: str, operation: str, path: str) -> None:
    spec = batch(request={"api": api, "prompt": "x"}, model="m").spec
    call = Calls(spec, InputFormat.JSONL).of({})
    assert (call.operation, call.name) == (operation, f"{operation} m")
    assert call.url.endswith(path)


def _request(model: str) -> dict[str, Any]:
    return {"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": model, "input": "x"}}


def test_an_item_that_is_a_whole_request_says_itself_what_it_asks() -> None:
    spec = batch(request=None, model=None, input={"uri": "a.jsonl", "format": "openai"}).spec
    call = Calls(spec, InputFormat.OPENAI).of(_request("m-1"))
    assert call.name == "embeddings m-1"
    assert call.series[:3] == ("embeddings", call.server.provider, "m-1")


def test_items_that_name_very_many_models_make_few_series() -> None:
    spec = batch(request=None, model=None, input={"uri": "a.jsonl", "format": "openai"}).spec
    calls = Calls(spec, InputFormat.OPENAI)
    found = [calls.of(_request(f"m-{n}")) for n in range(1000)]
    assert len({call.series for call in found}) == MOST_MODELS + 1
    assert found[-1].model == "m-999"


def test_a_model_that_an_item_names_is_cut() -> None:
    calls = Calls(batch().spec.model_copy(update={"model": None}), InputFormat.OPENAI)
    call = calls.of({"url": "/v1/chat/completions", "body": {"model": "m" * 100_000}})
    assert len(call.model) == 200
    assert len(call.name) < 250
