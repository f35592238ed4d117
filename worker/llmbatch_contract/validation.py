"""Turns what pydantic says about a manifest into problems a person can act on.

`check_manifest` is the one way from parsed YAML or JSON to an LLMBatch, `check_endpoint` to an LLMEndpoint.
"""

import difflib
from collections.abc import Sequence
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from llmbatch_contract.cel import split_sentence
from llmbatch_contract.errors import ManifestError, Problem
from llmbatch_contract.llmendpoint import KIND as ENDPOINT_KIND
from llmbatch_contract.llmendpoint import LLMEndpoint
from llmbatch_contract.spec import API_VERSION, KIND, LLMBatch

Location = tuple[int | str, ...]
_Model = TypeVar("_Model", bound=BaseModel)

_PASSED_OVER_METADATA = frozenset(
    (
        *("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "ownerReferences"),
        *("finalizers", "generateName", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"),
    )
)


def check_manifest(document: object, source: str, line_of: dict[Location, int] | None = None) -> LLMBatch:
    """Read a parsed manifest.

    `line_of` maps a location such as `("spec", "input", "uri")` to its 1-based line in `source`.
    Raises ManifestError with every problem found.
    """
    return _checked(LLMBatch, KIND, document, source, line_of or {})


def check_endpoint(document: object, source: str, line_of: dict[Location, int] | None = None) -> LLMEndpoint:
    """The same for an LLMEndpoint."""
    return _checked(LLMEndpoint, ENDPOINT_KIND, document, source, line_of or {})


def _checked(model: type[_Model], kind: str, document: object, source: str, lines: dict[Location, int]) -> _Model:
    if (problem := _not_of_the_kind(kind, document)) is not None:
        raise ManifestError(source, (problem,))
    assert isinstance(document, dict)
    try:
        return model.model_validate(_without_server_fields(document), by_alias=True, by_name=False)
    except ValidationError as error:
        found = [_problem(e, model, lines) for e in error.errors(include_url=False)]
        raise ManifestError(source, tuple(dict.fromkeys(found))) from error


def _not_of_the_kind(kind: str, document: object) -> Problem | None:
    if not isinstance(document, dict):
        return Problem("", f"holds no manifest: it must start with apiVersion: {API_VERSION} and kind: {kind}")
    if document.get("kind") != kind:
        return Problem("kind", f"must be {kind}, not {document.get('kind', 'missing')}")
    if document.get("apiVersion") != API_VERSION:
        return Problem("apiVersion", f"must be {API_VERSION}, not {document.get('apiVersion', 'missing')}")
    return None


def _without_server_fields(document: dict[str, Any]) -> dict[str, Any]:
    """Drop what only a cluster writes, so that `kubectl get -o yaml` output runs locally too."""
    kept = {k: v for k, v in document.items() if k != "status"}
    if isinstance(metadata := document.get("metadata"), dict):
        kept["metadata"] = {k: v for k, v in metadata.items() if k not in _PASSED_OVER_METADATA}
    return kept


def _problem(error: ErrorDetails, model: type[BaseModel], lines: dict[Location, int]) -> Problem:
    location = tuple(part for part in error["loc"] if part != "[key]")
    message = _unknown_field(model, location) if error["type"] == "extra_forbidden" else _sentence(error)
    if error["type"] == "value_error":  # a rule over several fields names the field first
        field, message = split_sentence(message)
        location = (*location, *field.split(".")) if field else location
    return Problem(_path(location), message, _line(location, lines))


def _line(location: Location, lines: dict[Location, int]) -> int | None:
    """The line of the field, or of the nearest one around it that the file has."""
    for end in range(len(location), 0, -1):
        if location[:end] in lines:
            return lines[location[:end]]
    return None


def _path(location: Location) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _sentence(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    given = _short(error["input"])
    match error["type"]:
        case "missing":
            return "is required"
        case "literal_error" | "enum":
            return f"must be {str(context['expected']).replace(chr(39), '')}, not {given}"
        case "value_error":
            return str(context["error"])
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"must hold fields, not {given}"
        case "list_type":
            return f"must be a list, not {given}"
        case "string_type" if isinstance(error["input"], bool | int | float):
            return f"must be text, not {given}; put quotes around it"
        case "string_type":
            return f"must be text, not {given}"
        case "invalid_key":
            return "names must be text; put quotes around them"
        case "string_too_long":
            return f"must be at most {_characters(context['max_length'])} long, not {given}"
        case "too_long":
            return f"must hold at most {_number(context['max_length'])}, not more"
        case "finite_number":
            return "must be a finite number"
        case "int_type" | "int_parsing" | "int_from_float":
            return f"must be a whole number, not {given}"
        case "float_type" | "float_parsing":
            return f"must be a number, not {given}"
        case "bool_type" | "bool_parsing":
            return f"must be true or false, not {given}"
        case "greater_than":
            return f"must be more than {_number(context['gt'])}, not {given}"
        case "greater_than_equal":
            return f"must be at least {_number(context['ge'])}, not {given}"
        case "less_than_equal":
            return f"must be at most {_number(context['le'])}, not {given}"
        case "string_too_short" | "too_short":
            return "must not be empty"
        case _:
            return f"{error['msg'][:1].lower()}{error['msg'][1:]}, not {given}"


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _characters(count: int) -> str:
    return f"{count:,} character" if count == 1 else f"{count:,} characters"


def _short(value: object) -> str:
    """The value as it stands in YAML."""
    text = repr(value) if isinstance(value, str) else "null" if value is None else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= 60 else text[:57] + "..."


def _unknown_field(model: type[BaseModel], location: Location) -> str:
    known = _fields_at(model, location[:-1])
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.6)
    if close:
        return f"is unknown; did you mean {close[0]}?"
    return f"is unknown; known here: {', '.join(known)}"


def _fields_at(model: type[BaseModel], location: Location) -> Sequence[str]:
    is_key = False
    for part in location:
        if isinstance(part, int) or is_key:
            is_key = False
            continue
        field = next(f for n, f in model.model_fields.items() if part in (n, f.alias))
        is_key = get_origin(field.annotation) is dict
        model = next(m for m in _models_in(field.annotation))
    return [f.alias or n for n, f in model.model_fields.items()]


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in get_args(annotation) for m in _models_in(arg)]
