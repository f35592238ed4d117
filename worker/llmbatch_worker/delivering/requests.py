"""Results cut into requests: always the same ones, so that one that is sent again has the same id. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from llmbatch_contract.model import Model

MOST_BYTES = 4 << 20
"""Of a body; a single result that is larger goes alone."""
_AROUND_BYTES = 1024
"""What a body has beside results: names, of at most 63 + 253 characters, and numbers."""


class BatchNames(Model):
    """Whose results they are."""

    namespace: str = Field(description="Namespace of the batch.")
    name: str = Field(description="Its name.")
    uid: str = Field(description="Identity of its run: another batch of the same name has another.")


class Message(Model):
    """What is posted."""

    type: Literal["results"] = Field(description="What it is; later versions may have others.")
    batch: BatchNames = Field(description="Whose results they are.")
    number: int = Field(ge=0, description="Number of the request, from 0. Requests may overtake each other.")
    first: int = Field(ge=0, description="Number of the first item in it, from 0 in the whole input.")
    results: list[dict[str, Any]] = Field(description="The results, in the order of the input.")


@dataclass(frozen=True, slots=True)
class Line:
    """One result."""

    index: int
    """Number of its item."""
    id: str
    data: bytes
    """As JSON."""


@dataclass(frozen=True, slots=True)
class Request:
    """Results that go together."""

    number: int
    first: int
    """Number of the first item."""
    last: int
    results: int
    body: bytes


def cut(lines: Iterable[Line], batch: BatchNames, batch_size: int, number: int) -> Iterator[Request]:
    """Requests of at most `batch_size` results, numbered from `number`, in order."""
    waiting: list[Line] = []
    size = _AROUND_BYTES
    for line in lines:
        if waiting and (len(waiting) == batch_size or size + len(line.data) + 1 > MOST_BYTES):
            yield _request(waiting, batch, number)
            waiting, size, number = [], _AROUND_BYTES, number + 1
        waiting.append(line)
        size += len(line.data) + 1
    if waiting:
        yield _request(waiting, batch, number)


def request_id(batch: BatchNames, number: int) -> str:
    """The `webhook-id` of a request, the same at every try. It holds no dots, as the signature wants it."""
    return f"{batch.uid}-results-{number}"


def _request(lines: list[Line], batch: BatchNames, number: int) -> Request:
    """The results stand in the body as they were written."""
    empty = Message(type="results", batch=batch, number=number, first=lines[0].index, results=[]).dump_json()
    body = empty.removesuffix(b"]}") + b",".join(line.data for line in lines) + b"]}"
    return Request(number, lines[0].index, lines[-1].index, len(lines), body)
