"""Links into a trace viewer."""

import json
from typing import Any

import pytest

from kubectl_cli.batch_documents import batch, status
from llmbatch_cli.kubectl.traces import HINT, traces_of
from llmbatch_cli.trace_links import Traced, check_template, trace_link
from llmbatch_contract.errors import InvalidError

_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
_TRACED = Traced(_ID, "shop", "tickets", item="a/b ü&c", index="7")
_JAEGER = "http://jaeger/trace/{trace_id}?uiFind={item}"


@pytest.mark.parametrize(
    ("template", "link"),
    [
        pytest.param(_JAEGER, f"http://jaeger/trace/{_ID}?uiFind=a%2Fb%20%C3%BC%26c", id="quoted for a URL"),
        pytest.param("x://{namespace}/{batch}/{index}", "x://shop/tickets/7", id="whose item it is"),
        pytest.param("http://x", "http://x", id="no placeholder"),
        pytest.param("{trace_id}{trace_id}", _ID * 2, id="one of them twice"),
        pytest.param(
            'http://grafana/explore?left={"q":[{}],"t":"{trace_id}"}',
            f'http://grafana/explore?left={{"q":[{{}}],"t":"{_ID}"}}',
            id="braces of another kind stay",
        ),
    ],
)
def test_a_link_is_made_from_a_template(template: str, link: str) -> None:
    assert trace_link(template, _TRACED) == link


@pytest.mark.parametrize(
    ("template", "link"),
    [
        pytest.param("http://x?uiFind={item}", "http://x", id="the only one"),
        pytest.param("http://x?a={item}&b=1&c={index}#d", "http://x?b=1#d", id="first and last"),
        pytest.param("http://x?a=1&b={batch}", "http://x?a=1&b=tickets", id="one that has a value"),
        pytest.param("http://x?a=id-{item}&b=", "http://x?a=id-&b=", id="words of the template stay"),
        pytest.param("http://x/{item}?", "http://x/?", id="not a parameter"),
    ],
)
def test_a_link_to_the_whole_batch_has_no_empty_parameters(template: str, link: str) -> None:
    assert trace_link(template, Traced(_ID, "shop", "tickets")) == link


def test_what_an_item_is_called_is_no_template() -> None:
    assert trace_link("http://x/{item}", Traced("", "", "", item="{trace_id}")) == "http://x/%7Btrace_id%7D"


@pytest.mark.parametrize("name", ["trace", "TRACE_ID", "__class__", "0"])
def test_an_unknown_placeholder_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(InvalidError, match=rf"^\{{{name}\}} .* is unknown; there are \{{trace_id\}}, \{{item\}}"):
        check_template(f"http://jaeger/{{{name}}}")


def _listed(template: str, *letters: dict[str, Any]) -> tuple[list[str], list[str]]:
    told: list[str] = []
    blocks = iter(["".join(json.dumps(letter) + "\n" for letter in letters).encode()])
    lines = traces_of(blocks, batch(status(traceId=_ID)), template, told.append)
    return [line.decode() for line in lines], told


def test_a_dead_letter_leads_to_its_own_span() -> None:
    other = "0" * 31 + "1"
    letter = {"id": "a", "index": 0, "error": {"category": "timeout"}, "trace_id": other}
    assert _listed("{trace_id}/{item}/{index}", letter) == ([f"a\ttimeout\t{other}/a/0\n"], [])


def test_a_dead_letter_without_a_trace_has_that_of_the_batch() -> None:
    assert _listed("{trace_id}/{index}", {"id": "a"}) == ([f"a\tunknown\t{_ID}/\n"], [])


def test_an_id_keeps_to_its_line_and_column() -> None:
    assert _listed("{item}", {"id": "a\tb\nc\x1b[1m"}) == ([r"a b c [1m" + "\tunknown\ta%09b%0Ac%1B%5B1m\n"], [])


def test_without_a_template_trace_ids_are_listed_and_links_explained() -> None:
    assert _listed("", {"id": "a", "error": {"category": "auth"}}) == ([f"a\tauth\t{_ID}\n"], [HINT])


def test_a_wrong_template_is_refused_before_anything_is_read() -> None:
    with pytest.raises(InvalidError):
        traces_of(iter([]), batch(), "{nothing}", print)
