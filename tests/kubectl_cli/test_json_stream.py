"""JSON documents that come in pieces are found whole, in order, wherever the pieces are cut."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmbatch_cli.kubectl.json_stream import JsonStream

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(st.text(), _VALUES, max_size=4)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@given(
    documents=st.lists(_OBJECTS, max_size=5),
    cuts=st.lists(st.integers(0, 10_000), max_size=20),
    between=st.sampled_from(["", "\n", " \r\n\t"]),
    indent=st.sampled_from([None, 4]),
    ascii_only=st.booleans(),
)
def test_documents_come_out_as_they_went_in(
    documents: list[dict[str, Any]], cuts: list[int], between: str, indent: int | None, ascii_only: bool
) -> None:
    texts = [json.dumps(d, indent=indent, ensure_ascii=ascii_only) + between for d in documents]
    stream, found = JsonStream(), []
    for piece in pieces("".join(texts).encode("utf-8", "surrogatepass"), cuts):
        found += stream.feed(piece)
    assert found == documents


def test_a_document_is_given_as_soon_as_it_is_complete() -> None:
    stream = JsonStream()
    assert stream.feed(b'{"a": {"b": "}') == []
    assert stream.feed(b'"}}{"c"') == [{"a": {"b": "}"}}]
    assert stream.feed(b": 1}") == [{"c": 1}]
