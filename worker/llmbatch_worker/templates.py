"""Texts with `{{ fields }}` of an item: the only file that knows the template engine.

Templates cannot reach files, the network or Python, and are stopped when they loop too long. Messages of errors name
the template and the field, never the item's content.
"""

from minijinja import Environment, TemplateError

from llmbatch_contract.errors import InvalidError
from llmbatch_contract.records import Item

_FUEL = 200_000
_GLOBALS = frozenset({"range", "dict", "debug", "namespace", "cycler", "joiner", "lipsum"})


class RenderError(Exception):
    """An item's fields do not fit a template; the item is a dead letter."""


class Templates:
    """Compiled templates by name. Compiling raises InvalidError, rendering RenderError."""

    def __init__(self) -> None:
        self._engine = Environment(undefined_behavior="strict", fuel=_FUEL, debug=False, keep_trailing_newline=True)
        self._fields: set[str] = set()

    def add(self, name: str, source: str) -> str:
        """Compile a template; `name` is its path in the manifest, and what `render` asks for."""
        try:
            self._engine.add_template(name, source)
            self._fields |= self._engine.undeclared_variables_in_template(name) - _GLOBALS
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
        missing = self._engine.undeclared_variables_in_template(name) - _GLOBALS - item.keys()
        return f"; the item has no {', '.join(sorted(missing))}" if missing else ""


def _reason(error: TemplateError) -> str:
    if error.kind == "OutOfFuel":
        return "takes too many steps; is there an endless loop?"
    return error.detail or error.message.partition(" (in ")[0]
