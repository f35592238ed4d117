"""Requests in the input format of the OpenAI Batch API."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract.errors import InputError
from llmbatch_contract.spec import Api
from llmbatch_worker.inputs.openai_batch import api_of, looks_like_openai, read_openai

_URLS = "/v1/chat/completions, /v1/responses, /v1/completions, /v1/embeddings"


def request(**overrides: Any) -> dict[str, Any]:
    body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}]}
    return {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body, **overrides}


def read(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    data = b"\n".join(orjson.dumps(r) for r in requests)
    return [row.item for row in read_openai([data], "a.jsonl")]


@given(st.lists(st.builds(request, custom_id=st.text(min_size=1, max_size=5)), max_size=5), st.integers(1, 60))
def test_requests_are_read_as_they_were_written(requests: list[dict[str, Any]], size: int) -> None:
    data = b"".join(orjson.dumps(r) + b"\n" for r in requests)
    blocks = (data[at : at + size] for at in range(0, len(data), size))
    assert [row.item for row in read_openai(blocks, "a.jsonl")] == requests


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("/v1/chat/completions", Api.CHAT),
        ("/v1/responses", Api.RESPONSES),
        ("/v1/completions", Api.COMPLETIONS),
        ("/v1/embeddings", Api.EMBEDDINGS),
    ],
)
def test_a_request_names_its_api(url: str, api: Api) -> None:
    (item,) = read(request(url=url))
    assert api_of(item) is api


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        pytest.param({"method": "GET"}, 'method must be POST, not "GET"', id="another method"),
        pytest.param({"method": None}, "method must be POST, not null", id="no method"),
        pytest.param({"url": "/v1/files"}, f"url must be one of {_URLS}, not '/v1/files'", id="another url"),
        pytest.param(
            {"url": "https://api.openai.com/v1/embeddings"},
            f"url must be one of {_URLS}, not 'https://api.openai.com/v1/embeddings'",
            id="a whole url",
        ),
        pytest.param({"url": ["/v1/embeddings"]}, f"url must be one of {_URLS}, not ['/v1/embeddings']", id="a list"),
        pytest.param({"body": "Hello"}, "body must be the JSON object of a request", id="a body of text"),
        pytest.param({"body": None}, "body must be the JSON object of a request", id="a body of null"),
        pytest.param({"body": {"stream": True}}, "body.stream: a batch cannot stream; remove it", id="a stream"),
    ],
)
def test_a_line_that_is_no_request_says_what_it_must_be(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(request(), request(**overrides))
    assert str(caught.value) == f"a.jsonl:2: {message}"


def test_a_line_without_a_url_says_so_rather_than_show_a_value_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"^a\.jsonl:1: .*url") as caught:
        read({"custom_id": "a", "body": {}})
    assert "'missing'" not in str(caught.value)


def test_a_line_without_a_method_is_a_post_and_a_stream_of_false_is_none() -> None:
    item = request(body={"stream": False})
    del item["method"]
    assert read(item) == [item]


def test_a_line_that_is_no_json_is_shown_with_its_column() -> None:
    with pytest.raises(InputError, match=r"^a\.jsonl:1: column 2: not valid JSON"):
        list(read_openai([b"{"], "a.jsonl"))


@pytest.mark.parametrize(
    ("item", "looks_like_one"),
    [
        pytest.param(request(), True, id="a request"),
        pytest.param(request(more=1), True, id="a request with another field"),
        pytest.param({}, False, id="nothing"),
        *[
            pytest.param({k: v for k, v in request().items() if k != missing}, False, id=f"a request without {missing}")
            for missing in request()
        ],
    ],
)
def test_a_request_is_told_by_its_four_fields(item: dict[str, Any], looks_like_one: bool) -> None:
    assert looks_like_openai(item) is looks_like_one
