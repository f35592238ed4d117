"""Whose place an output is: one batch writes to it, until its `summary.json` says that it has written.

Called before a batch is planned, so that nothing is spent for outputs that could not be written, and by finalize before
it writes. A batch with `overwrite` takes the place of an earlier one, and notes which objects it will replace.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from llmbatch_contract.errors import OutputTakenError, StoreMissingError
from llmbatch_contract.layout import OWNER
from llmbatch_worker.finalizing.names import REPORT_NAME, RESULTS_FOLDER, SUMMARY_NAME, UNDELIVERED_NAME, is_output_name
from llmbatch_worker.stores.protocol import Store

_ELSEWHERE = "give another place in spec.output, or set spec.output.overwrite to replace {what}"


@dataclass(frozen=True)
class Owner:
    """Which batch writes to a place."""

    uid: str
    name: str
    namespace: str
    since: str | None = None
    """UTC, ISO 8601."""
    replaces: list[str] = field(default_factory=list)
    """Objects of an earlier batch that are removed before anything is written."""
    writes: list[str] = field(default_factory=list)
    """Objects that this batch has begun to write one by one: half of them is left, should it never end."""

    def dump_json(self) -> bytes:
        """As it stands in the store."""
        return orjson.dumps(self)

    @property
    def title(self) -> str:
        """The batch in words."""
        return f"the batch {self.name!r} of namespace {self.namespace!r}"


def take_output(output: Store, uid: str, name: str, namespace: str, *, overwrite: bool, now: str | None = None) -> None:
    """Make the place this batch's own; it may be already. `now` is ISO 8601, for messages to others.

    Raises OutputTakenError when another batch has written there, or writes, and `overwrite` does not say to replace it.
    """
    mine = Owner(uid, name, namespace, now)
    is_new = output.create(OWNER, mine.dump_json())
    other = None if is_new else read_owner(output)
    if other is not None and other.uid != uid and not overwrite:
        raise OutputTakenError(_is_written(output, other))
    try:
        summary = _summary_of_another(output, uid)  # looked for last: who ends writes it, and then gives up the place
        if summary is not None and not overwrite:
            raise OutputTakenError(_was_written(output, summary))
    except BaseException:
        if is_new:
            output.remove([OWNER])
        raise
    before = mine if is_new else other
    is_mine = before is not None and before.uid == uid
    to_replace = _to_replace(other, summary)
    if not is_mine and other is not None:
        to_replace = list(dict.fromkeys([*to_replace, *other.writes]))
    after = replace(before if before is not None and is_mine else mine, replaces=to_replace)
    if after != before:
        output.put(OWNER, after.dump_json())


def check_place(output: Store, uid: str | None, *, overwrite: bool) -> None:
    """Look whether `take_output` would succeed, and change nothing. `uid` None: of a batch that is to begin."""
    if overwrite:
        return
    if (summary := _summary_of_another(output, uid)) is not None:
        raise OutputTakenError(_was_written(output, summary))
    if (other := read_owner(output)) is not None and other.uid != uid:
        raise OutputTakenError(_is_written(output, other))


def check_owner(output: Store, uid: str, *, overwrite: bool) -> list[str]:
    """What finalize removes before it writes. Raises OutputTakenError when the place is another batch's by now."""
    owner = read_owner(output)
    if owner is not None and owner.uid != uid:
        raise OutputTakenError(_is_written(output, owner))
    summary = _summary_of_another(output, uid)
    if summary is not None and not overwrite:
        raise OutputTakenError(_was_written(output, summary))
    return _to_replace(owner, summary)


def begin_writing(output: Store, uid: str, names: list[str]) -> None:
    """Note that what was to be replaced is gone, and what is written from now on.

    Where something is that nobody has noted, nothing is noted: it may be a stranger's, and is never to be removed.
    """
    owner = read_owner(output)
    if owner is None or owner.uid != uid:
        return
    writes = owner.writes or [name for name in names if not objects_of(output, [name])]
    if (after := replace(owner, replaces=[], writes=writes)) != owner:
        output.put(OWNER, after.dump_json())


def write_owner_again(output: Store, uid: str) -> None:
    """Write the note of whose place it is once more: that ends when the store takes what is written."""
    owner = read_owner(output)
    if owner is not None and owner.uid == uid:
        output.put(OWNER, owner.dump_json())


def is_unfinished(output: Store, uid: str) -> bool:
    """The place is nobody else's, and nobody has finished in it: a batch may take back what it wrote there."""
    owner = read_owner(output)
    return (owner is None or owner.uid == uid) and not output.exists(SUMMARY_NAME)


def release_output(output: Store, uid: str) -> bool:
    """Give up the place, if it is this batch's: what it has written says so itself, else it is half, and is removed."""
    owner = read_owner(output)
    if owner is None or owner.uid != uid:
        return False
    if owner.writes and is_unfinished(output, uid):
        output.remove(objects_of(output, owner.writes))
    output.remove([OWNER])
    return True


def objects_of(output: Store, names: list[str]) -> list[str]:
    """The objects that names of outputs stand for: a folder for those in it that finalize names."""
    return [
        found
        for name in names
        for found in ([n for n in output.names(name) if is_output_name(n)] if name == RESULTS_FOLDER else [name])
    ]


def read_owner(output: Store) -> Owner | None:
    """Who writes there; None if nobody, or if nobody can tell."""
    found = _read_json(output, OWNER)
    if found is None or not isinstance(uid := found.get("uid"), str):
        return None
    since = found.get("since")
    return Owner(
        uid,
        str(found.get("name")),
        str(found.get("namespace")),
        since if isinstance(since, str) else None,
        _output_names(found.get("replaces")),
        _output_names(found.get("writes")),
    )


def _output_names(found: object) -> list[str]:
    return [name for name in found if is_output_name(name)] if isinstance(found, list) else []


def own_summary(output: Store, uid: str) -> dict[str, Any] | None:
    """The summary of this batch, if it has written all."""
    summary = _read_json(output, SUMMARY_NAME)
    return summary if summary is not None and summary.get("uid") == uid else None


def _summary_of_another(output: Store, uid: str | None) -> dict[str, Any] | None:
    summary = _read_json(output, SUMMARY_NAME)
    return None if summary is None or (uid is not None and summary.get("uid") == uid) else summary


def _to_replace(owner: Owner | None, summary: dict[str, Any] | None) -> list[str]:
    """What was noted before, and what a summary that is still there names; the summary itself first."""
    named = _outputs_of(summary) if summary is not None else []
    return list(dict.fromkeys([*named, *(owner.replaces if owner is not None else ())]))


def _read_json(output: Store, name: str) -> dict[str, Any] | None:
    """An object of JSON; an empty one stands for what is there but is no such thing, None for nothing."""
    try:
        data = output.read(name)
    except StoreMissingError:
        return None
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _outputs_of(summary: dict[str, Any]) -> list[str]:
    """A summary, and the objects that it speaks of."""
    rows = summary.get("output")
    rows = rows.values() if isinstance(rows, dict) else ()
    named = [row.get("name") or str(row.get("uri")).rpartition("/")[2] for row in rows if isinstance(row, dict)]
    beside = [REPORT_NAME] if summary.get("uid") else []
    undelivered = [UNDELIVERED_NAME] if summary.get("delivery") else []
    return [name for name in (SUMMARY_NAME, *named, *beside, *undelivered) if is_output_name(name)]


def _was_written(output: Store, summary: dict[str, Any]) -> str:
    place = output.where("").rstrip("/")
    if not summary.get("uid"):
        return f"{output.where(SUMMARY_NAME)} is there but is no batch's; " + _ELSEWHERE.format(what="it")
    title = Owner("", str(summary.get("name")), str(summary.get("namespace"))).title
    return f"{place} holds the results of {title}, which ended at {summary.get('completed_at')}; " + _ELSEWHERE.format(
        what="them"
    )


def _is_written(output: Store, other: Owner) -> str:
    since = f" since {other.since}" if other.since else ""
    return (
        f"{output.where('').rstrip('/')} is being written by {other.title}{since}; give another place in spec.output, "
        f"or wait until it has ended; if it was deleted, remove {output.where(OWNER)}, "
        "or set spec.output.overwrite to take its place"
    )
