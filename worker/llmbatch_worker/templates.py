"""Texts with `{{ fields }}` of an item, and expressions over them: the only file that knows the template engine.

Neither can reach files, the network or Python, and both are stopped when they loop too long. Messages of errors name
the template and the field, never the item's content.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from minijinja import Environment, TemplateError

from llmbatch_contract.errors import InvalidError
from llmbatch_contract.records import Item

_FUEL = 200_000
FUNCTIONS = frozenset({"range", "dict", "debug", "namespace", "cycler", "joiner", "lipsum"})
"""A field may be called like one of them: it is the function only where it is called."""
_CALLED = re.compile(r"(?<![\w.])(\w+)\s*\(")
_BEFORE, _AFTER = "{{ (", ") | tojson }}"


class RenderError(Exception):
    """An item's fields do not fit a template; the item is a dead letter."""


class Templates:
    """Compiled templates by name. Compiling raises InvalidError, rendering RenderError."""

    def __init__(self) -> None:
        self._engine = _engine()
        self._fields: set[str] = set()

    def add(self, name: str, source: str) -> str:
        """Compile a template; `name` is its path in the manifest, and what `render` asks for."""
        try:
            self._engine.add_template(name, source)
            self._fields |= _fields(self._engine.undeclared_variables_in_template(name), source)
        except TemplateError as error:
            raise InvalidError(f"{name}: line {error.line or 1} of the template: {_reason(error)}") from error
        return name

    @property
    def fields(self) -> frozenset[str]:
        """Names that the templates take from an item."""
        return frozenset(self._fields)

    def render(self, name: str, item: Item) -> str:
        """The text of a template for an item."""
        try:
            return self._engine.render_template(name, **item)
        except TemplateError as error:
            reason = _reason(error) + self._missing(name, item) * (error.kind == "UndefinedError")
            raise RenderError(f"{name}: line {error.line or 1} of the template: {reason}") from error

    def _missing(self, name: str, item: Item) -> str:
        missing = self._engine.undeclared_variables_in_template(name) - FUNCTIONS - item.keys()
        return f"; the item has no {', '.join(sorted(missing))}" if missing else ""


class Expression:
    """A compiled expression, as it stands in `{% if %}`. Compiling raises InvalidError, evaluating RenderError."""

    def __init__(self, name: str, source: str, filters: Mapping[str, Callable[..., Any]] | None = None) -> None:
        self._name, self._source = name, source
        self._engine = _engine(filters)
        try:
            # In parentheses, for the engine overlooks what stands behind an expression and cannot be read.
            self._engine.add_template(name, f"{_BEFORE}{source}{_AFTER}")
            names = self._engine.undeclared_variables_in_template(name)
            self.paths = frozenset(self._engine.undeclared_variables_in_template(name, nested=True))
            """Fields, and fields in fields as in `customer.tier`, that it asks for."""
        except TemplateError as error:
            raise InvalidError(f"{name}: {self._place(error)}{_reason(error)}") from error
        self.fields = _fields(names, source)
        """Names that it takes from an item."""

    def value(self, item: Item) -> str:
        """What comes of it, as JSON. An exception of a filter passes through."""
        try:
            return self._engine.render_template(self._name, **item)
        except TemplateError as error:
            raise RenderError(f"{self._name}: {_reason(error)}") from error

    def _place(self, error: TemplateError) -> str:
        if error.range is None:
            return ""
        before = self._source.encode()[: max(0, error.range[0] - len(_BEFORE))].decode(errors="ignore")
        return f"{place_in(self._source, len(before))}: "


def is_filter(name: str) -> bool:
    """Whether the engine has a filter of that name."""
    return _kind_of_error(f"''|{name}") != "UnknownFilter"


def is_test(name: str) -> bool:
    """Whether the engine has a test of that name."""
    return _kind_of_error(f"'' is {name}") != "UnknownTest"


def _kind_of_error(expression: str) -> str | None:
    try:
        _engine().eval_expr(expression)
    except TemplateError as error:
        return error.kind
    return None


def place_in(source: str, at: int) -> str:
    """Line and column of a character, for messages; the column alone where there is one line."""
    before = source[:at]
    column = f"column {at - (before.rfind(chr(10)) + 1) + 1}"
    return f"line {before.count(chr(10)) + 1}, {column}" if "\n" in source else column


def _engine(filters: Mapping[str, Callable[..., Any]] | None = None) -> Environment:
    return Environment(
        undefined_behavior="strict", fuel=_FUEL, debug=False, keep_trailing_newline=True, filters=dict(filters or {})
    )


def _fields(names: set[str], source: str) -> frozenset[str]:
    return frozenset(names - (FUNCTIONS & set(_CALLED.findall(source))))


def _reason(error: TemplateError) -> str:
    if error.kind == "OutOfFuel":
        return "takes too many steps; is there an endless loop?"
    return error.detail or error.message.partition(" (in ")[0]
