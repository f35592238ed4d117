"""A new manifest that asks a finished batch's dead letters again. Pure; main.py creates it.

Its input is `deadLettersOf` the old batch; everything else is asked in the same way.
"""

import copy
import re
from collections.abc import Collection, Sequence
from typing import Any

from llmbatch_cli.kubectl.batches import Batch, has_own_form
from llmbatch_contract.errors import BatchStateError

RETRY_OF = "llmbatch.dev/retry-of"
"""Label of the new batch: the name of the old one."""
_NAME_CHARS = 63
_NOT_KEPT = ("suspend", "cancel", "shardSize")
"""Fields of the spec that were about the old batch's course and size."""


def retry_manifest(document: dict[str, Any], batch: Batch, name: str, categories: Sequence[str]) -> dict[str, Any]:
    """The manifest of the batch `name` for the dead letters of another; no categories are all.

    The old one's own labels and annotations stay behind: those of a deployment tool would make it the tool's.
    """
    spec = {key: value for key, value in copy.deepcopy(batch.spec).items() if key not in _NOT_KEPT}
    spec["input"] = _input(batch, categories)
    if isinstance(spec.get("output"), dict):
        spec["output"] = _output(spec["output"], name)
    return {
        "apiVersion": document["apiVersion"],
        "kind": document["kind"],
        "metadata": {"name": name, "namespace": batch.namespace, "labels": {RETRY_OF: batch.name}},
        "spec": spec,
    }


def require_dead_letters(batch: Batch, categories: Collection[str]) -> None:
    """Raise BatchStateError where there is nothing to ask again."""
    if not batch.is_finished:
        raise BatchStateError(
            f"{batch.name} is {batch.phase}: its dead letters can be asked again when it is finished; "
            f"`kubectl llmbatch cancel {batch.name}` ends it now"
        )
    if not has_own_form(batch):
        raise BatchStateError(f"{batch.name} writes its errors in OpenAI's form, which does not hold the items")
    if not batch.items.dead_letters:
        raise BatchStateError(f"{batch.name} has no dead letters: nothing to ask again")
    tallied = {e.category: e.count for e in batch.errors}
    # A status may name the commonest reasons only.
    if categories and sum(tallied.values()) >= batch.items.dead_letters and not tallied.keys() & set(categories):
        raise BatchStateError(
            f"{batch.name} has no dead letters of category {', '.join(categories)}; it has: {', '.join(tallied)}"
        )


def retried(batch: Batch, categories: Collection[str]) -> int:
    """How many items are asked again, as far as the status tells."""
    if not categories:
        return batch.items.dead_letters
    return sum(e.count for e in batch.errors if e.category in categories)


def free_name(batch: str, taken: Collection[str]) -> str:
    """`tickets-retry-1`, or the first number that is free; a retry of a retry counts on."""
    base = re.sub(r"-retry-\d+$", "", batch)
    names = (_numbered(base, number) for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _numbered(base: str, number: int) -> str:
    ending = f"-retry-{number}"
    return base[: _NAME_CHARS - len(ending)].rstrip("-.") + ending


def _input(batch: Batch, categories: Sequence[str]) -> dict[str, Any]:
    """Dead letters hold items as JSON objects, whatever the format of the file they came from."""
    old = batch.spec.get("input")
    old = old if isinstance(old, dict) else {}
    kept = {key: old[key] for key in ("format", "idField") if old.get(key) is not None}
    if kept.get("format") in ("csv", "parquet"):
        kept["format"] = "jsonl"
    wanted = {"categories": list(categories)} if categories else {}
    return {"deadLettersOf": {"name": batch.name, **wanted}, **kept}


def _output(old: dict[str, Any], name: str) -> dict[str, Any]:
    """Written in the same way, in a folder of its own: the old one's outputs stay."""
    kept = {key: value for key, value in old.items() if key != "overwrite"}
    if isinstance(uri := kept.get("uri"), str):
        kept["uri"] = f"{uri.rstrip('/')}/{name}/"
    if isinstance(volume := kept.get("pvc"), dict):
        kept["pvc"] = volume | {"path": f"{str(volume.get('path', '')).rstrip('/')}/{name}"}
    return kept
