"""The input file of the OpenAI Batch API: each line is a whole request.

https://platform.openai.com/docs/api-reference/batch/request-input
"""

from collections.abc import Iterable, Iterator

import orjson

from llmbatch_contract.errors import InputError
from llmbatch_contract.records import Item
from llmbatch_contract.spec import Api
from llmbatch_worker.inputs.jsonl import jsonl_rows
from llmbatch_worker.inputs.rows import Row, Rows

ID_FIELD = "custom_id"
FIELDS = [ID_FIELD, "method", "url", "body"]
_APIS = {f"/v1{api.path}": api for api in Api}


def looks_like_openai(item: Item) -> bool:
    """Whether an item is a request of this format."""
    return item.keys() >= set(FIELDS)


def read_openai(blocks: Iterable[bytes], name: str, start: int = 0) -> Iterator[Row]:
    """Rows as in `read_jsonl`, each checked to be a request."""
    for rows in openai_rows(blocks, name, start):
        yield from rows.one_by_one()


def openai_rows(blocks: Iterable[bytes], name: str, start: int = 0) -> Iterator[Rows]:
    """The same rows, many at a time."""
    for rows in jsonl_rows(blocks, name, start):
        for line, item in zip(rows.lines, rows.items, strict=True):
            problem = _problem(item)
            if problem is not None:
                raise InputError(f"{name}:{line}: {problem}")
        yield rows


def api_of(item: Item) -> Api:
    """The API that a request asks."""
    return _APIS[item["url"]]


def _problem(item: Item) -> str | None:
    if item.get("method", "POST") != "POST":
        return f"method must be POST, not {orjson.dumps(item['method']).decode()}"
    url = item.get("url")
    if not isinstance(url, str) or url not in _APIS:
        given = "missing" if url is None else f"{url!r}"
        return f"url must be one of {', '.join(_APIS)}, not {given}"
    if not isinstance(item.get("body"), dict):
        return "body must be the JSON object of a request"
    if item["body"].get("stream"):
        return "body.stream: a batch cannot stream; remove it"
    return None
