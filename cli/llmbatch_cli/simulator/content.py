"""The texts in a request: those of its messages, its input or its prompts, and how many tokens they are.

asked.py calls one reader per shape. A token is four characters: crude, but the same everywhere.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from llmbatch_cli.simulator.errors import invalid, missing, wrong_type


def count_tokens(text: str) -> int:
    return max(1, (len(text) + 3) // 4)


@dataclass(frozen=True, slots=True)
class Content:
    """`texts` are what is asked about; `count` is how many separate inputs they make."""

    texts: tuple[str, ...]
    tokens: int
    count: int = 1


def _content(texts: Iterable[str]) -> Content:
    held = tuple(texts)
    return Content(held, sum(map(count_tokens, held)) or 1)


def read_messages(param: str, messages: Any) -> Content:
    if not isinstance(messages, list):
        raise wrong_type(param, "an array of objects")
    if not messages:
        message = f"Invalid '{param}': empty array. Expected an array with minimum length 1."
        raise invalid(message, param, "empty_array")
    return _content(_texts_of_messages(param, messages))


def _texts_of_messages(param: str, messages: list[Any]) -> Iterator[str]:
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise wrong_type(f"{param}[{index}]", "an object")
        if not isinstance(message.get("role"), str):
            raise missing(f"{param}[{index}].role")
        yield from _texts_of_parts(f"{param}[{index}].content", message.get("content"))


def _texts_of_parts(param: str, content: Any) -> Iterator[str]:
    """A text, or parts of which only the texts count; an assistant's message may have no content."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for index, part in enumerate(content):
            if not isinstance(part, dict):
                raise wrong_type(f"{param}[{index}]", "an object")
            if isinstance(part.get("text"), str):
                yield part["text"]
    elif content is not None:
        raise wrong_type(param, "a string or an array of parts")


def read_response_input(value: Any, instructions: Any) -> Content:
    if instructions is not None and not isinstance(instructions, str):
        raise wrong_type("instructions", "a string")
    if isinstance(value, str):
        texts: Iterable[str] = (value,)
    elif isinstance(value, list):
        texts = _texts_of_items(value)
    else:
        raise wrong_type("input", "a string or an array of items")
    return _content([instructions, *texts] if instructions else texts)


def _texts_of_items(items: list[Any]) -> Iterator[str]:
    """Messages; other items, such as the results of tools, have no texts that count."""
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise wrong_type(f"input[{index}]", "an object")
        yield from _texts_of_parts(f"input[{index}].content", item.get("content"))


def read_prompts(param: str, value: Any) -> Content:
    """A text, token numbers, or a list of either."""
    inputs = value if isinstance(value, list) and not _is_token_list(value) else [value]
    if not inputs or [] in inputs:
        raise invalid(f"Invalid '{param}': it must not be empty.", param, "empty_array")
    if not all(isinstance(each, str) or _is_token_list(each) for each in inputs):
        raise wrong_type(param, "a string, an array of strings, or arrays of tokens")
    texts = tuple(each if isinstance(each, str) else " ".join(map(str, each)) for each in inputs)
    tokens = sum(count_tokens(each) if isinstance(each, str) else len(each) for each in inputs)
    return Content(texts, tokens, len(inputs))


def _is_token_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(each) is int for each in value)
