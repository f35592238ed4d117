"""Which format and packing an input has, from its name and its first bytes. Pure."""

import orjson

from llmbatch_contract.errors import InputError
from llmbatch_contract.spec import InputFormat
from llmbatch_worker.inputs.lines import UTF8_BOM
from llmbatch_worker.inputs.openai_batch import FIELDS, looks_like_openai

_BY_SUFFIX = {
    ".jsonl": InputFormat.JSONL,
    ".ndjson": InputFormat.JSONL,
    ".csv": InputFormat.CSV,
    ".tsv": InputFormat.CSV,
    ".tab": InputFormat.CSV,
}
_GZIP_MAGIC = b"\x1f\x8b"


def is_gzip(head: bytes) -> bool:
    """Whether the bytes begin a gzip file (RFC 1952, section 2.3.1)."""
    return head.startswith(_GZIP_MAGIC)


def detect_format(asked: InputFormat, name: str, head: bytes) -> InputFormat:
    """The format of an input that begins with `head`, unpacked; `asked` wins unless it is auto. Raises InputError."""
    if asked is not InputFormat.AUTO:
        return asked
    plain = name.lower().removesuffix(".gz")
    named = next((f for suffix, f in _BY_SUFFIX.items() if plain.endswith(suffix)), None)
    if named is InputFormat.CSV:
        return named
    first_line = head.removeprefix(UTF8_BOM).lstrip().partition(b"\n")[0]
    if first_line.startswith(b"[") and named is None:
        raise InputError(f"{name}: is one JSON list; write one object a line, as `jq -c .[]` does, and call it .jsonl")
    if named is None and not first_line.startswith(b"{"):
        return InputFormat.CSV
    return InputFormat.OPENAI if _is_openai(first_line) else InputFormat.JSONL


def _is_openai(first_line: bytes) -> bool:
    try:
        first = orjson.loads(first_line)
    except orjson.JSONDecodeError:  # longer than the head: look at what there is of it
        return all(f'"{field}"'.encode() in first_line for field in FIELDS)
    return isinstance(first, dict) and looks_like_openai(first)
