"""Writes docs/reference.md from the models, so that the page cannot tell anything else than the program does.

Run by `make docs`; a test compares the page with what this prints (`--print`). Words that no model holds (the fields of
records) stand in reference_words.py and are checked against the types; a field without a description is an error.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from llmbatch_contract.categories import MEANINGS, Category, Rule
from llmbatch_contract.exits import Exit
from llmbatch_contract.llmendpoint import EndpointConditionType, EndpointReason, LLMEndpoint, LLMEndpointStatus
from llmbatch_contract.records import DeadLetter, ErrorDetail, ResultRecord
from llmbatch_contract.spec import LLMBatch
from llmbatch_contract.status import ConditionType, LLMBatchStatus, Phase, Reason
from reference_words import (
    CATEGORIES,
    ENDPOINT,
    ENDPOINT_STATUS,
    ERROR_FIELDS,
    EXITS,
    INTRO,
    LETTER_FIELDS,
    RECORDS,
    REPORT,
    REPORT_FIELDS,
    RESULT_FIELDS,
    STATUS,
    SUMMARY,
    SUMMARY_FIELDS,
)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference.md"

ENDPOINT_PREFIX = "llmendpoint."
"""As `kubectl explain` takes paths; those of LLMBatch stand without."""
OF = {"": "", "[]": "list of ", ".*": "object, each value with "}

CATEGORY = "[category](#failure-categories)"
PLAIN: Mapping[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Any: "anything",
    AwareDatetime: "time",
    Category: CATEGORY,
    Phase: "[phase](#phases)",
    ConditionType: "[condition](#conditions)",
    Reason: "[reason](#reasons)",
    EndpointConditionType: "[condition](#conditions-of-an-endpoint)",
    EndpointReason: "[reason](#reasons-of-an-endpoint)",
}
PLURALS = {"text": "texts", "object": "objects", CATEGORY: "[categories](#failure-categories)"}


def page() -> str:
    """The whole page."""
    parts = [INTRO, *manifest_sections(), *status_sections(), *endpoint_sections(), RECORDS, *record_sections()]
    parts += [*category_section(), *exit_section()]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def manifest_sections() -> Iterator[str]:
    """A table of each model in the manifest, from the top down."""
    yield fields_table(LLMBatch, "")
    yield from nested_sections(LLMBatch, "")


def status_sections() -> Iterator[str]:
    """The status of a batch on a cluster: its fields, and the words it uses."""
    yield STATUS
    yield fields_table(LLMBatchStatus, "status.", is_written=True)
    yield from nested_sections(LLMBatchStatus, "status.", is_written=True)
    yield from words_sections(("Phases", Phase), ("Conditions", ConditionType), ("Reasons", Reason))


def endpoint_sections() -> Iterator[str]:
    """An LLMEndpoint: its manifest and its status."""
    yield ENDPOINT
    yield fields_table(LLMEndpoint, ENDPOINT_PREFIX)
    yield from nested_sections(LLMEndpoint, ENDPOINT_PREFIX)
    yield ENDPOINT_STATUS
    prefix = f"{ENDPOINT_PREFIX}status."
    yield fields_table(LLMEndpointStatus, prefix, is_written=True)
    yield from nested_sections(LLMEndpointStatus, prefix, is_written=True)
    yield from words_sections(
        ("Conditions of an endpoint", EndpointConditionType), ("Reasons of an endpoint", EndpointReason)
    )


def words_sections(*headings: tuple[str, type[Enum]]) -> Iterator[str]:
    """A table of each set of words."""
    for heading, words in headings:
        yield f"### {heading}"
        rows = [(f"`{words[name].value}`", text) for name, text in member_words(words).items()]
        yield table((heading.split()[0][:-1], "Meaning"), rows)


def nested_sections(model: type[BaseModel], prefix: str, *, is_written: bool = False) -> Iterator[str]:
    """A table of each model below one."""
    for path, inner in nested_models(model, prefix):
        yield f"### `{path}`"
        yield " ".join(inspect.cleandoc(inner.__doc__ or "").split())
        yield fields_table(inner, f"{path}.", is_written=is_written)


def nested_models(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Every model below one, with its path, each before what is in it."""
    for name, field in model.model_fields.items():
        inner, each = model_in(field.annotation)
        if inner is not None:
            path = f"{prefix}{field.alias or name}{each}"
            yield path, inner
            yield from nested_models(inner, f"{path}.")


def fields_table(model: type[BaseModel], prefix: str, *, is_written: bool = False) -> str:
    """A row for each field of a model; of one that LLMBatch writes without bounds and defaults."""
    rows = []
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        if not field.description:
            raise SystemExit(f"{model.__name__}.{name} has no description")
        kind, default = type_words(field, path, with_bounds=not is_written), default_words(field)
        rows.append((f"`{path}`", kind, *([] if is_written else [default]), field.description))
    return table(("Field", "Type", *([] if is_written else ["Default"]), "Meaning"), rows)


def type_words(field: FieldInfo, path: str, *, with_bounds: bool) -> str:
    """The type and the bounds of a field, in words."""
    inner, each = model_in(field.annotation)
    if inner is not None:
        anchor = re.sub(r"[^a-z0-9]", "", path.lower())
        return f"{OF[each]}[fields](#{anchor})"
    bounds = bounds_words(field.metadata) if with_bounds else ""
    return f"{annotation_words(field.annotation)}, {bounds}" if bounds else annotation_words(field.annotation)


def model_in(annotation: object) -> tuple[type[BaseModel] | None, str]:
    """The model that a field holds, if it does; and how a path goes to each of them, where it holds several."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    if get_origin(annotation) is Annotated:
        return model_in(get_args(annotation)[0])
    if get_origin(annotation) is list:
        return model_in(get_args(annotation)[0])[0], "[]"
    if get_origin(annotation) is dict:
        return model_in(get_args(annotation)[1])[0], ".*"
    inner = [found for part in get_args(annotation) if (found := model_in(part))[0] is not None]
    return inner[0] if is_union(annotation) and inner else (None, "")


def is_union(annotation: object) -> bool:
    """Whether a type is a union, however it was written."""
    return get_origin(annotation) in (Union, UnionType)


def annotation_words(annotation: Any) -> str:
    """A type in words."""
    if annotation in PLAIN:
        return PLAIN[annotation]
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return annotation_words(arguments[0])
    if is_union(annotation):
        return " or ".join(annotation_words(part) for part in arguments if part is not NoneType)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return choice_words([member.value for member in annotation])
    if get_origin(annotation) is Literal:
        return choice_words(arguments)
    if get_origin(annotation) is list:
        words = annotation_words(arguments[0])
        return f"list of {PLURALS.get(words, words)}"
    if get_origin(annotation) is dict:
        return "object" if arguments[1] is Any else f"object with {annotation_words(arguments[1])} values"
    raise SystemExit(f"no words for the type {annotation}")


def choice_words(values: Sequence[object]) -> str:
    """The values that a field may have."""
    quoted = [f"`{value}`" for value in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def bounds_words(metadata: Sequence[object]) -> str:
    """What a number is held to."""
    low = next((f"at least {m.ge:,}" for m in metadata if isinstance(m, Ge)), "")
    above = next((f"more than {m.gt:,}" for m in metadata if isinstance(m, Gt)), "")
    high = next((f"at most {m.le:,}" for m in metadata if isinstance(m, Le)), "")
    return ", ".join(filter(None, (low, above, high)))


def default_words(field: FieldInfo) -> str:
    """What holds where the field is left out."""
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True, validated_data={})
    match value:
        case Enum():
            return f"`{value.value}`"
        case bool():
            return f"`{str(value).lower()}`"
        case None | BaseModel() | {} | [] | "":
            return ""
        case list():
            return ", ".join(f"`{each}`" for each in value)
        case _:
            return f"`{value}`"


def record_sections() -> Iterator[str]:
    """Tables of the lines of results and errors."""
    for heading, record, words in (
        ("### A line of `results.jsonl`", ResultRecord, RESULT_FIELDS),
        ("### A line of `errors.jsonl`: a dead letter", DeadLetter, LETTER_FIELDS),
        ("### `error` in a dead letter", ErrorDetail, ERROR_FIELDS),
    ):
        yield heading
        yield record_table(record.__annotations__, words)
    yield SUMMARY
    yield words_table(SUMMARY_FIELDS)
    yield REPORT
    yield words_table(REPORT_FIELDS)


def record_table(known: Mapping[str, object], words: Mapping[str, str]) -> str:
    """A row for each field of a record."""
    if list(known) != list(words):
        raise SystemExit(f"fields of a record and their words differ: {sorted(set(known) ^ set(words))}")
    return words_table(words)


def words_table(words: Mapping[str, str]) -> str:
    """A row for each name and its meaning."""
    return table(("Field", "Meaning"), [(f"`{name}`", text) for name, text in words.items()])


def category_section() -> Iterator[str]:
    """The failure categories and the rules they follow."""
    yield CATEGORIES
    yield "\n".join(f"- **{Rule[name].value}**: {lower_first(text)}" for name, text in member_words(Rule).items())
    rows = [(f"`{category.value}`", rule.value, meaning) for category, (rule, meaning) in MEANINGS.items()]
    yield table(("Category", "Rule", "When"), rows)


def exit_section() -> Iterator[str]:
    """The exit codes."""
    yield EXITS
    yield table(("Code", "When"), [(str(Exit[name].value), text) for name, text in member_words(Exit).items()])


def member_words(enum: type[Enum]) -> dict[str, str]:
    """The string after each member of an enum."""
    body = ast.parse(inspect.getsource(enum)).body[0]
    assert isinstance(body, ast.ClassDef)
    words = {}
    for member, text in zip(body.body, body.body[1:], strict=False):
        match member, text:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(said))):
                words[name] = " ".join(said.split())
    if missing := set(enum.__members__) - set(words):
        raise SystemExit(f"{enum.__name__} has members without a description: {sorted(missing)}")
    return words


def lower_first(text: str) -> str:
    """The text with a small first letter."""
    return text[:1].lower() + text[1:]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(page())
    else:
        PAGE.write_text(page())
