"""Reads an expression of `spec.input.where` as its user meant it: what cannot be meant is an error, said with a hint.

The template engine compares values of any kinds. To it, text is always more than a number and null always less, so that
`stars < 3` takes no item of a CSV file, where all fields are text, and nobody is told. Here, a field that is compared
with a number or a text that stands in the expression must be one: `Comparisons` writes a filter behind it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from llmbatch_contract.errors import InvalidError
from llmbatch_worker.templates import FUNCTIONS, is_filter, is_test, place_in

USUAL = "an expression is as in `lang == 'de' and stars < 3`"
FILTER = "same_kind"

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<number>\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<name>[^\W\d]\w*)
    |(?P<sign>==|!=|<=|>=|//|\*\*|[-+*/%~|()\[\]{},:.<>=])""",
    re.VERBOSE | re.DOTALL,
)
_ORDERS = {"<", "<=", ">", ">="}
_COMPARISONS = _ORDERS | {"==", "!="}
_END_COMPARISON = {"and", "or", "if", "else", ",", ":", "="}
_WORDS = {"and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"}
_NEEDS_MORE = {"and", "or", "not", "in", "is", "if", "else"}
_CLOSED_BY = {"(": ")", "[": "]", "{": "}"}
_NO_FIELD_AFTER = {".", "|", "is", "~"}
_NO_VALUE_BEFORE = {".", "|", "(", "[", "~"}
_NEVER_CLOSED = "a quote is never closed"
_STRAIGHT = "use straight quotes"
_NO_BRACES = "leave {{ and }} out"
_CHARACTERS = {
    "&": "say `and`", "!": "say `not`, or `!=`", "?": "say `a if condition else b`", "'": _NEVER_CLOSED,
    '"': _NEVER_CLOSED, "‘": _STRAIGHT, "’": _STRAIGHT, "“": _STRAIGHT, "”": _STRAIGHT, "„": _STRAIGHT,
}  # fmt: skip
_PAIRS = {("|", "|"): "say `or`", ("<", ">"): "say `!=`"}
_NOT_OURS = {
    "AND": "say `and`", "OR": "say `or`", "NOT": "say `not`", "IN": "say `in`", "IS": "say `is`, as in `lang is none`",
    "LIKE": "say `'…' in text`, or `text is startingwith '…'`", "BETWEEN": "say `1 <= n and n <= 5`",
}  # fmt: skip


class KindError(Exception):
    """A field is compared with what it can never be like; or it is not there (`missing`)."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


_END = _Token("end", "", -1, -1)


class _Level(NamedTuple):
    """What is between two brackets."""

    opened: _Token
    is_call: bool = False
    has_compared: bool = False


class _Comparison(NamedTuple):
    field: str
    end: int
    """Where the field ends in the expression."""
    kind: str
    said: str
    is_order: bool


class Comparisons:
    """An expression whose comparisons are checked as it is evaluated. Raises InvalidError with `name` and the place."""

    def __init__(self, name: str, source: str) -> None:
        tokens = _tokens(name, source)
        _check_signs(name, source, tokens)
        _check_names(name, source, tokens)
        self._found = list(_comparisons(source, tokens))
        self.source = self._written(source)
        """The expression, with `field|same_kind(…)` for each field."""

    def _written(self, source: str) -> str:
        for number, found in sorted(enumerate(self._found), key=lambda each: -each[1].end):
            check = f"|{FILTER}({number}, {found.field} is defined)"
            source = source[: found.end] + check + source[found.end :]
        return source

    def same_kind(self, value: Any, number: int, is_defined: bool) -> Any:
        """The filter: the value, if it is of the kind that it is compared with. Raises KindError."""
        field, _, kind, said, is_order = self._found[number]
        if value is None and not is_defined:
            raise KindError(field, f"field {field} is missing; say `{field} is defined and {said}`")
        if value is None and is_order:
            raise KindError(field, f"field {field} is null; say `{field} is not none and {said}`")
        found = _kind_of(value)
        if value is not None and found != kind:
            way_out = _way_out(field, found)
            raise KindError(field, f"field {field} is {found}, which `{said}` takes for {kind}; {way_out}")
        return int(value) if isinstance(value, bool) else value  # to the engine, false is less than 0


def _kind_of(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return "a number"
    return "text" if isinstance(value, str) else "a list or an object"


def _way_out(field: str, found: str) -> str:
    if found == "text":
        return f"say `{field}|int` or `{field}|float`"
    if found == "a number":
        return f"leave the quotes out, or say `{field}|string`"
    return f"compare what is in it, as `{field}|length`"


# Reading


def _tokens(name: str, source: str) -> list[_Token]:
    tokens, at = [], 0
    if source.lstrip().startswith("{{"):
        raise _error(name, source, source.index("{{"), f"this is an expression, no template; {_NO_BRACES}")
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            hint = _CHARACTERS.get(source[at], USUAL)
            raise _error(name, source, at, f"{source[at]!r} means nothing here; {hint}")
        assert found.lastgroup is not None
        if found.lastgroup != "space":
            tokens.append(_Token(found.lastgroup, found[0], *found.span()))
        at = found.end()
    return tokens


def _error(name: str, source: str, at: int, what: str) -> InvalidError:
    return InvalidError(f"{name}: {place_in(source, at)}: {what}")


def _check_names(name: str, source: str, tokens: Sequence[_Token]) -> None:
    """Of functions, filters and tests: the engine looks for them only when it comes to them."""
    for at, token in enumerate(tokens):
        if token.kind != "name":
            continue
        before = [each.text for each in tokens[max(0, at - 2) : at]]
        is_called = [each.text for each in tokens[at + 1 : at + 2]] == ["("] and token.text not in FUNCTIONS | _WORDS
        if before[-1:] == ["|"] and not is_filter(token.text):
            raise _error(name, source, token.start, f"there is no filter {token.text!r}; {USUAL}")
        if (before[-1:] == ["is"] or before == ["is", "not"]) and token.text not in _WORDS and not is_test(token.text):
            raise _error(name, source, token.start, f"there is no test {token.text!r}; {USUAL}")
        if is_called and before[-1:] not in (["."], ["|"], ["is"]) and before != ["is", "not"]:
            raise _error(name, source, token.start, f"there is no function {token.text!r}; {USUAL}")


def _check_signs(name: str, source: str, tokens: Sequence[_Token]) -> None:
    """Refuse what other languages write, and `1 < n < 5`, which would be `(1 < n) < 5`."""
    levels = [_Level(_END)]
    for before, token in zip([_END, *tokens], tokens, strict=False):
        if hint := _hint(before, token, levels[-1]):
            raise _error(name, source, token.start, f"{token.text!r} means nothing here; {hint}")
        if token.text in _CLOSED_BY:
            levels.append(_Level(token, is_call=token.text == "(" and before.kind == "name"))
        elif token.text in _CLOSED_BY.values():
            if _CLOSED_BY.get(levels.pop().opened.text) != token.text:
                raise _error(name, source, token.start, f"{token.text!r} closes nothing that was opened")
        elif token.text in _END_COMPARISON or token.text in _COMPARISONS:
            levels[-1] = levels[-1]._replace(has_compared=token.text in _COMPARISONS)
    if len(levels) > 1:
        raise _error(name, source, levels[-1].opened.start, f"{levels[-1].opened.text!r} is never closed")
    if not tokens or tokens[-1].text in _NEEDS_MORE or (tokens[-1].kind == "sign" and tokens[-1].text not in ")]}"):
        raise _error(name, source, len(source), f"something is missing at the end; {USUAL}")


def _hint(before: _Token, token: _Token, level: _Level) -> str | None:
    if token.text == "=" and not level.is_call:
        return "to compare, say `==`"
    if hint := _PAIRS.get((before.text, token.text)):
        return hint
    if token.text in _COMPARISONS and level.has_compared:
        return "compare two things at a time: `1 < n and n < 5`"
    ends_value = before.kind in {"name", "text", "number"} or before.text in {")", "]"}
    return _NOT_OURS.get(token.text) if ends_value and before.text not in _WORDS else None


def _comparisons(source: str, tokens: Sequence[_Token]) -> Iterator[_Comparison]:
    """Fields that are compared with numbers or texts that stand in the expression."""
    for at, token in enumerate(tokens):
        is_order = token.text in _ORDERS
        before, after = tokens[:at], tokens[at + 1 :]
        if token.text in _COMPARISONS:
            if (field := _last_field(before)) and (value := _first_value(after)):
                yield _comparison(source, field, value, field[0].start, value[-1].end, is_order=is_order)
            if (value := _last_value(before)) and (field := _first_field(after)):
                yield _comparison(source, field, value, value[0].start, field[-1].end, is_order=is_order)
        elif token == (token.kind, "in", token.start, token.end) and token.kind == "name":
            field = _last_field(before[:-1] if before and before[-1].text == "not" else before)
            if field and (value := _first_list(after)):
                yield _comparison(source, field, value[:1], field[0].start, value[-1].end, is_order=False)


def _comparison(
    source: str, field: Sequence[_Token], value: Sequence[_Token], start: int, end: int, *, is_order: bool
) -> _Comparison:
    kind = "text" if value[-1].kind == "text" else "a number"
    return _Comparison("".join(token.text for token in field), field[-1].end, kind, source[start:end], is_order)


def _last_field(tokens: Sequence[_Token]) -> Sequence[_Token]:
    """The field at the end, as in `not customer.tier`; empty if there is none."""
    if not tokens or not _is_field(tokens[-1]):
        return ()
    start = len(tokens) - 1
    while start >= 2 and tokens[start - 1].text == "." and _is_field(tokens[start - 2]):
        start -= 2
    before = [token.text for token in tokens[max(0, start - 2) : start]]
    is_part = before[-1:] and (before[-1] in _NO_FIELD_AFTER or before == ["is", "not"])
    return () if is_part else tokens[start:]


def _first_field(tokens: Sequence[_Token]) -> Sequence[_Token]:
    if not tokens or not _is_field(tokens[0]):
        return ()
    end = 1
    while len(tokens) > end + 1 and tokens[end].text == "." and _is_field(tokens[end + 1]):
        end += 2
    return () if tokens[end : end + 1] and tokens[end].text in _NO_VALUE_BEFORE else tokens[:end]


def _is_field(token: _Token) -> bool:
    return token.kind == "name" and token.text not in _WORDS


def _first_value(tokens: Sequence[_Token]) -> Sequence[_Token]:
    """The number or text at the start; empty if there is none, or if more is made of it, as in `'a'|length`."""
    sign = 1 if tokens and tokens[0].text == "-" else 0
    found = tokens[: sign + 1]
    if len(found) <= sign or found[-1].kind not in {"number", "text"}:
        return ()
    return () if tokens[sign + 1 : sign + 2] and tokens[sign + 1].text in _NO_VALUE_BEFORE else found


def _last_value(tokens: Sequence[_Token]) -> Sequence[_Token]:
    if not tokens or tokens[-1].kind not in {"number", "text"}:
        return ()
    return () if len(tokens) > 1 and tokens[-2].text in _NO_FIELD_AFTER else tokens[-1:]


def _first_list(tokens: Sequence[_Token]) -> Sequence[_Token]:
    """The values of a list at the start, if all are numbers, or all are texts; with the bracket behind them."""
    if not tokens or tokens[0].text not in {"[", "("}:
        return ()
    end = next((at for at, token in enumerate(tokens) if token.text in {"]", ")"}), 0)
    values = [token for token in tokens[1:end] if token.text not in {",", "-"}]
    same = len({token.kind for token in values}) == 1 and values[0].kind in {"number", "text"}
    return (*values, tokens[end]) if same else ()
