"""Texts with fields of an item."""

from typing import Any

import pytest

from llmbatch_contract.errors import InvalidError
from llmbatch_worker.templates import RenderError, Templates


def _render(source: str, **item: Any) -> str:
    templates = Templates()
    return templates.render(templates.add("spec.request.prompt", source), item)


@pytest.mark.parametrize(
    ("source", "item", "text"),
    [
        pytest.param("Hi {{ name }}!\n", {"name": "Ann"}, "Hi Ann!\n", id="a field, and the last newline stays"),
        pytest.param("{{ a.b[0] }}", {"a": {"b": ["x"]}}, "x", id="a field in a field"),
        pytest.param("{% for t in tags %}{{ t }};{% endfor %}", {"tags": ["x", "y"]}, "x;y;", id="a loop"),
        pytest.param("{{ body | upper }}", {"body": "hi"}, "HI", id="a filter"),
        pytest.param("{{ html }}", {"html": "<b>&amp;</b>"}, "<b>&amp;</b>", id="nothing is escaped"),
        pytest.param("{{ n }}", {"n": 3}, "3", id="a number"),
        pytest.param("{{ x | default('?') }}", {}, "?", id="a default for a missing field"),
        pytest.param("{{ name }}", {"name": "n", "self": 1, "template_name": 2}, "n", id="fields of any name"),
        pytest.param("{{ t }}", {"t": "{{ secret }}"}, "{{ secret }}", id="a field is no template"),
        pytest.param("ü{{ t }}", {"t": "😀"}, "ü😀", id="any script"),
    ],
)
def test_a_template_is_rendered(source: str, item: dict[str, Any], text: str) -> None:
    assert _render(source, **item) == text


@pytest.mark.parametrize(
    "source", ["{{ a", "{% if a %}", "{% include 'x' %}{{", "{{ a | nofilter }}", "{% for x in %}{% endfor %}"]
)
def test_a_template_that_is_none_is_refused_with_its_place(source: str) -> None:
    with pytest.raises((InvalidError, RenderError), match=r"spec\.request\.prompt: line 1"):
        _render("" + source, a=1)


def test_a_missing_field_is_named_with_the_line() -> None:
    with pytest.raises(RenderError, match=r"line 2 .*; the item has no missing"):
        _render("a\n{{ a }} {{ missing | upper }}", a=1)


def test_a_template_that_never_ends_is_stopped() -> None:
    with pytest.raises(RenderError, match="too many steps"):
        _render("{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}")


@pytest.mark.parametrize(
    "source",
    ["{% include '/etc/passwd' %}", "{{ a.__class__.__mro__ }}", "{{ ''.__class__ }}", "{% import 'os' as o %}"],
)
def test_a_template_reaches_neither_files_nor_python(source: str) -> None:
    with pytest.raises((RenderError, InvalidError)):
        _render(source + "{{ nothing }}", a="x")


def test_the_content_of_an_item_is_in_no_message() -> None:
    with pytest.raises(RenderError) as caught:
        _render("{{ a.b.c }}", a={"x": "TOPSECRET"})
    assert "TOPSECRET" not in str(caught.value)


def test_the_fields_of_all_templates_are_known() -> None:
    templates = Templates()
    templates.add("one", "{{ a }} {% for x in items %}{{ x }}{% endfor %} {{ range(3) }}")
    templates.add("two", "{{ b.c }}")
    assert templates.fields == {"a", "items", "b"}
