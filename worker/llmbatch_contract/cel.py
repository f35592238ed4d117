"""Rules of the manifest as the API server checks them, in CEL. They stand beside the validators that say the same.

A rule's sentence is the validator's own, `field: what is wrong with it`, so that both tell a user the same.
scripts/crds.py writes the rules into the CRD. Nothing here checks anything.
"""

import re
from typing import Any

JsonSchema = dict[str, Any]


def split_sentence(sentence: str) -> tuple[str, str]:
    """The field that a sentence begins with, empty if with none, and what it says of it."""
    field, found, rest = sentence.partition(": ")
    return (field, rest) if found and " " not in field else ("", sentence)


def rule(sentence: str, expression: str, **names: str) -> JsonSchema:
    """What must hold, and what to say where it does not.

    In the sentence `{self.api}` stands for the value of that expression, `{name}` for that of `names["name"]`.
    """
    field, says = split_sentence(sentence)
    if field.startswith("metadata"):  # the API server knows no path into it
        field, says = "", sentence
    words = {"messageExpression": _expression(says, names)} if "{" in says else {"message": says}
    return {"rule": expression, **words, **({"fieldPath": f".{field}"} if field else {})}


def _expression(sentence: str, names: dict[str, str]) -> str:
    """The sentence as a sum of texts and expressions."""
    parts = re.split(r"(\{.*?\})", sentence)
    return " + ".join(_term(part, names) for part in parts if part)


def _term(part: str, names: dict[str, str]) -> str:
    if not part.startswith("{"):
        return f'"{part}"'
    inside = part.strip("{}")
    return names.get(inside, inside)


def immutable(field: str, *, required: bool = False) -> JsonSchema:
    """A field that may be neither changed nor added nor removed."""
    same = f"self.{field} == oldSelf.{field}"
    if not required:
        same = f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || {same})"
    return rule(f"{field}: is immutable; make a new LLMBatch", same)


def rules(*each: JsonSchema) -> JsonSchema:
    """Rules as a part of a JSON schema."""
    return {"x-kubernetes-validations": list(each)}
