"""Writes docs/deliver.schema.json, the JSON schema of requests with results, from their model.

Run by `make docs`; a test compares the file with what this writes to another place, given as its argument.
"""

import json
import sys
from pathlib import Path
from typing import Any, NotRequired, get_args, get_origin

from pydantic import BaseModel, Field, create_model

from llmbatch_contract.records import ResultRecord
from llmbatch_worker.delivering.requests import Message
from notify_schema import DIALECT, without_titles
from reference_words import RESULT_FIELDS

FILE = Path(__file__).resolve().parents[1] / "docs" / "deliver.schema.json"
_LEFT_OUT = ("response",)


def schema() -> dict[str, Any]:
    """What every request is. Fields that are not known are allowed: later versions may have more."""
    found = without_titles(Message.model_json_schema(mode="serialization"))
    found["properties"]["results"]["items"] = _record()
    return {"$schema": DIALECT, **_open(found), "title": "A request of LLMBatch with results"}


def _record() -> Any:
    """One result. What may be null is said, for it is never left out."""
    types = {name: type_ for name, type_ in ResultRecord.__annotations__.items() if name not in _LEFT_OUT}
    fields: dict[str, Any] = {
        name: (_inner(type_), Field(default=None if _may_lack(type_) else ..., description=RESULT_FIELDS[name]))
        for name, type_ in types.items()
    }
    model: type[BaseModel] = create_model("Result", **fields)
    made = model.model_json_schema()
    return {
        "description": "One result, as in a results.jsonl.",
        "type": "object",
        "required": made["required"],
        "properties": {name: _without_names(each) for name, each in made["properties"].items()},
    }


def _may_lack(type_: Any) -> bool:
    return get_origin(type_) is NotRequired


def _inner(type_: Any) -> Any:
    return get_args(type_)[0] if _may_lack(type_) else type_


def _without_names(field: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in field.items() if name not in ("title", "default")}


def _open(part: Any) -> Any:
    """The same, open to fields of later versions."""
    if isinstance(part, list):
        return [_open(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {name: _open(value) for name, value in part.items() if not (name == "additionalProperties" and not value)}


if __name__ == "__main__":
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    file.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
