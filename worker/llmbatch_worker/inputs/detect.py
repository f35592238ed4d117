"""Which format and packing an input has, from its name and its first bytes. Pure."""

import orjson

from llmbatch_contract.spec import InputFormat
from llmbatch_worker.inputs.lines import UTF8_BOM
from llmbatch_worker.inputs.openai_batch import looks_like_openai

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
    """The format of an input whose unpacked bytes begin with `head`; `asked` wins unless it is auto."""
    if asked is not InputFormat.AUTO:
        return asked
    plain = name.lower().removesuffix(".gz")
    named = next((f for suffix, f in _BY_SUFFIX.items() if plain.endswith(suffix)), None)
    if named is InputFormat.CSV:
        return named
    first_line = head.removeprefix(UTF8_BOM).lstrip().partition(b"\n")[0]
    if named is None and not first_line.startswith(b"{"):
        return InputFormat.CSV
    return InputFormat.OPENAI if _is_openai(first_line) else InputFormat.JSONL


def _is_openai(first_line: bytes) -> bool:
    try:
        first = orjson.loads(first_line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(first, dict) and looks_like_openai(first)
