"""Names of the working objects in a store. `docs/store.md` describes them.

Next to outputs in an object store or on a volume they are below `_llmbatch/<uid>/`: names with `_` at their start are
passed over by the engines that read folders of data.

plan.json                           the plan: shards, counts, digest
input                               the items, where the input itself has no byte ranges (inline, gzip)
shards/00012/claim-0003             attempt 3 took shard 12 (create-if-absent)
shards/00012/sent-0003-00004096     attempt 3 may have sent the shard's first 4,096 items
shards/00012/stop-0003              attempt 3 stopped in order
shards/00012/part-0003-00007.jsonl  its 7th part of records
shards/00012/done.json              every item of the shard has a record; names the parts that count
delivered/000012                    its 12th note of how far it has come with posting results to `deliver.url`
"""

import re
from dataclasses import dataclass

WORK_FOLDER = "_llmbatch"
"""Beside the outputs: of every batch that writes there, a folder named after its uid."""
OWNER = f"{WORK_FOLDER}/owner.json"
"""Beside the outputs: which batch writes there (create-if-absent); removed with its working objects."""

PLAN = "plan.json"
UNPACKED_INPUT = "input"
DELIVERED_PREFIX = "delivered/"

_OWN = re.compile(
    r"plan\.json|input|telemetry\.json|delivered/\d{6,}|"
    r"shards/\d{5,}/(claim-\d{4,}|sent-\d{4,}-\d{8,}|stop-\d{4,}|part-\d{4,}-\d{5,}\.jsonl|done\.json)"
)
_PART = re.compile(r"(?:^|/)part-(\d+)-(\d+)\.jsonl$")
_CLAIM = re.compile(r"(?:^|/)claim-(\d+)$")
_SENT = re.compile(r"(?:^|/)sent-(\d+)-(\d+)$")
_STOP = re.compile(r"(?:^|/)stop-(\d+)$")
_DELIVERED = re.compile(r"(?:^|/)delivered/(\d{6,})$")


def shard_prefix(shard: int) -> str:
    """The folder of a shard, with a trailing slash."""
    return f"shards/{shard:05d}/"


def claim(shard: int, attempt: int) -> str:
    """The claim of an attempt on a shard."""
    return f"{shard_prefix(shard)}claim-{attempt:04d}"


def sent(shard: int, attempt: int, items: int) -> str:
    """The mark that says how many of a shard's items an attempt may have sent."""
    return f"{shard_prefix(shard)}sent-{attempt:04d}-{items:08d}"


def stop(shard: int, attempt: int) -> str:
    """The mark of an attempt that stopped in order."""
    return f"{shard_prefix(shard)}stop-{attempt:04d}"


def part(shard: int, attempt: int, number: int) -> str:
    """One part of records."""
    return f"{shard_prefix(shard)}part-{attempt:04d}-{number:05d}.jsonl"


def done(shard: int) -> str:
    """The end of a shard."""
    return f"{shard_prefix(shard)}done.json"


def delivered(number: int) -> str:
    """A mark of a delivery."""
    return f"{DELIVERED_PREFIX}{number:06d}"


def delivered_marks(names: list[str]) -> list[int]:
    """The numbers in a listing of such marks, sorted."""
    return sorted(int(m[1]) for m in map(_DELIVERED.search, names) if m)


@dataclass(frozen=True)
class ShardObjects:
    """What a listing of a shard's folder says."""

    claims: tuple[int, ...]
    parts: tuple[tuple[int, int], ...]
    """(attempt, number), sorted."""
    sent: dict[int, int]
    """Most items that each attempt may have sent."""
    stops: tuple[int, ...]
    is_done: bool


def read_listing(names: list[str]) -> ShardObjects:
    """Sort a listing of one shard's folder by kind; unknown names are ignored."""
    sent_marks: dict[int, int] = {}
    for m in filter(None, map(_SENT.search, names)):
        attempt, items = int(m[1]), int(m[2])
        sent_marks[attempt] = max(items, sent_marks.get(attempt, 0))
    return ShardObjects(
        claims=tuple(sorted(int(m[1]) for m in map(_CLAIM.search, names) if m)),
        parts=tuple(sorted((int(m[1]), int(m[2])) for m in map(_PART.search, names) if m)),
        sent=sent_marks,
        stops=tuple(sorted(int(m[1]) for m in map(_STOP.search, names) if m)),
        is_done=any(n.endswith("/done.json") for n in names),
    )


def is_working_object(name: str) -> bool:
    """Whether a name below a batch's working folder is one that LLMBatch gives. Nothing else is ever removed."""
    return _OWN.fullmatch(name) is not None


def work_folder(output_uri: str, uid: str) -> str:
    """The working folder of a batch beside its outputs."""
    return f"{output_uri.rstrip('/')}/{WORK_FOLDER}/{uid}"
