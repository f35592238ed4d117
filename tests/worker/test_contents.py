"""Prompts and answers as JSON for spans: in the conventions' shape, and never longer than allowed."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.spec import Api
from llmbatch_worker.observing.contents import MOST_CHARS, input_messages, output_messages

TEXT = {"type": "text", "content": "hi"}
USER = {"role": "user", "parts": [TEXT]}


@pytest.mark.parametrize(
    ("api", "body", "messages"),
    [
        pytest.param(
            Api.CHAT, {"messages": [{"role": "system", "content": "be"}, {"role": "user", "content": "hi"}]},
            [{"role": "system", "parts": [{"type": "text", "content": "be"}]}, USER], id="chat",
        ),
        pytest.param(
            Api.CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url",
            "image_url": {"url": "data:secret"}}]}]},
            [{"role": "user", "parts": [TEXT, {"type": "image_url"}]}], id="parts that are no text by type only",
        ),
        pytest.param(Api.RESPONSES, {"input": [{"role": "user", "content": "hi"}]}, [USER], id="responses"),
        pytest.param(
            Api.RESPONSES, {"instructions": "hi", "input": "hi"}, [{"role": "system", "parts": [TEXT]}, USER],
            id="responses with instructions",
        ),
        pytest.param(Api.COMPLETIONS, {"prompt": "hi"}, [USER], id="completions"),
        pytest.param(Api.EMBEDDINGS, {"input": "hi"}, [USER], id="embeddings"),
        pytest.param(Api.CHAT, {}, [], id="nothing"),
        pytest.param(Api.CHAT, {"messages": "hi"}, [], id="no messages at all"),
        pytest.param(Api.CHAT, {"messages": ["hi", {"role": 7, "content": None}]},
            [{"role": "7", "parts": [{"type": "text", "content": "null"}]}], id="messages that are none",
        ),
    ],
)  # fmt: skip
def test_each_api_has_messages(api: Api, body: dict[str, Any], messages: list[Any]) -> None:
    assert json.loads(input_messages(api, orjson.dumps(body))) == messages


@pytest.mark.parametrize(
    ("output", "parts"),
    [
        pytest.param("hi", [TEXT], id="text"),
        pytest.param({"n": 1}, [{"type": "text", "content": '{"n":1}'}], id="an object by the schema"),
        pytest.param(
            [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            [{"type": "tool_call", "name": "f", "arguments": "{}", "id": "c1"}], id="a tool call",
        ),
    ],
)  # fmt: skip
def test_an_answer_is_a_message_of_the_assistant(output: Any, parts: list[Any]) -> None:
    messages = json.loads(output_messages(output, "stop"))
    assert messages == [{"role": "assistant", "parts": parts, "finish_reason": "stop"}]


_TEXTS = st.one_of(st.text(max_size=50), st.integers(1, 30_000).map(lambda n: "ä\n" * n))


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(_TEXTS, max_size=8), copies=st.integers(1, 60), role=_TEXTS)
def test_whatever_is_asked_is_cut_to_valid_json(texts: list[str], copies: int, role: str) -> None:
    parts = [{"type": "text", "text": text} for text in texts]
    messages = [{"role": role, "content": parts}] * copies
    cut = input_messages(Api.CHAT, orjson.dumps({"messages": messages}))
    assert len(cut) <= MOST_CHARS
    assert isinstance(json.loads(cut), list)
