"""Writes docs/notify.schema.json, the JSON schema of what webhooks are sent, from the models.

Run by `make docs`; a test compares the file with what this writes to another place, given as its argument.
"""

import json
import sys
from pathlib import Path
from typing import Any

from llmbatch_operator.notify.payload import Payload

FILE = Path(__file__).resolve().parents[1] / "docs" / "notify.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """What every message is. Fields that are not known are allowed: later versions may have more."""
    found = Payload.model_json_schema(mode="serialization")
    return {"$schema": DIALECT, **without_titles(found), "title": "A message to a webhook of LLMBatch"}


def without_titles(part: Any) -> Any:
    """Without titles, which only repeat names, and without null: what is not known is left out."""
    if isinstance(part, list):
        return [without_titles(each) for each in part]
    if not isinstance(part, dict):
        return part
    named = part.get("properties")
    plain = {k: without_titles(v) for k, v in part.items() if k not in ("title", "default", "properties")}
    if isinstance(named, dict):
        plain["properties"] = {name: without_titles(each) for name, each in named.items()}
    choices = [each for each in plain.pop("anyOf", []) if each != {"type": "null"}]
    return plain | (choices[0] if len(choices) == 1 else {"anyOf": choices} if choices else {})


if __name__ == "__main__":
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    file.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
