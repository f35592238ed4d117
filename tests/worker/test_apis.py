"""Answers of the four APIs in one form, and questions in theirs."""

from typing import Any

import pytest

from llmbatch_contract.spec import Api
from llmbatch_contract.usage import Usage
from llmbatch_worker.apis import UnexpectedShapeError, chat_body, read_answer, responses_body

SYSTEM = {"role": "system", "content": "Be kind."}
USER = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object"}


def test_a_conversation_is_passed_to_chat_as_it_is() -> None:
    assert chat_body([SYSTEM, USER], None, strict=False) == {"messages": [SYSTEM, USER]}


def test_chat_asks_for_structured_output_by_response_format() -> None:
    body = chat_body([USER], SCHEMA, strict=True)
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
    }


def test_responses_take_the_system_message_as_instructions() -> None:
    assert responses_body([SYSTEM, USER], None, strict=False) == {"instructions": "Be kind.", "input": [USER]}


def test_a_lone_system_message_stays_in_the_input_of_responses() -> None:
    assert responses_body([SYSTEM], None, strict=False) == {"input": [SYSTEM]}


def test_responses_ask_for_structured_output_by_text_format() -> None:
    wanted = {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": False}
    assert responses_body([USER], SCHEMA, strict=False)["text"] == {"format": wanted}


_CHAT: dict[str, Any] = {"model": "m", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}


def test_usage_with_its_details_is_read() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert read_answer(Api.CHAT, _CHAT | {"usage": usage}).usage == Usage(10, 5, 4, 3)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None, "prompt_tokens_details": None}])
def test_usage_that_is_missing_is_nothing(usage: Any) -> None:
    assert read_answer(Api.CHAT, _CHAT | {"usage": usage}).usage == Usage()


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param({"prompt_tokens": "10", "completion_tokens": "5"}, id="texts"),
        pytest.param({"prompt_tokens": 10.5, "completion_tokens": 5.0}, id="fractions"),
        pytest.param({"prompt_tokens": [1]}, id="a list"),
        pytest.param({"prompt_tokens": {"total": 1}}, id="an object"),
        pytest.param({"prompt_tokens": True}, id="true"),
        pytest.param({"prompt_tokens": -5, "completion_tokens": -1}, id="negative"),
        pytest.param({"prompt_tokens": 10**30}, id="more than JSON can hold"),
    ],
)
def test_usage_of_a_strange_kind_never_gets_further_than_the_reader(usage: Any) -> None:
    try:
        read = read_answer(Api.CHAT, _CHAT | {"usage": usage}).usage
    except UnexpectedShapeError:
        return
    for amount in (read.input, read.output, read.cached, read.reasoning):
        assert type(amount) is int
        assert 0 <= amount < 2**63


@pytest.mark.parametrize("api", Api)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"choices": None, "output": None, "data": None},
        {"choices": {}, "output": [1], "data": "x"},
        {"choices": [None], "output": {"a": 1}, "data": [None]},
        {"choices": [{"message": "x"}], "output": [{"type": "message"}], "data": [{"embedding_": 1}]},
    ],
)
def test_a_body_of_another_shape_is_told_as_such(api: Api, body: Any) -> None:
    with pytest.raises(UnexpectedShapeError, match=api.value):
        read_answer(api, body)
