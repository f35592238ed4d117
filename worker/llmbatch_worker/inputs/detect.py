"""Which format and packing an input has, from its name and its first bytes. Pure."""

import re

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
    ".parquet": InputFormat.PARQUET,
    ".parq": InputFormat.PARQUET,
    ".pq": InputFormat.PARQUET,
}
_TABS = (".tsv", ".tab")
_PACKED = (".gz", ".zst", ".zstd")
_PARQUET_MAGIC = b"PAR1"
_ZIP_MAGIC = b"PK\x03\x04"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_HTML = (b"<!doctype html", b"<html")
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
"""Control characters other than white space and escapes."""


def format_by_name(name: str) -> InputFormat | None:
    """The format that a name says, packed or not."""
    plain = _unpacked(name)
    return next((f for suffix, f in _BY_SUFFIX.items() if plain.endswith(suffix)), None)


def says_tabs(name: str) -> bool:
    """Whether its cells are separated by tabs, by its name."""
    return _unpacked(name).endswith(_TABS)


def _unpacked(name: str) -> str:
    plain = name.lower()
    return next((plain.removesuffix(p) for p in _PACKED if plain.endswith(p)), plain)


def says_parquet(name: str) -> bool:
    """Whether it is Parquet by its name, and not packed once more."""
    return format_by_name(name) is InputFormat.PARQUET and not name.lower().endswith(_PACKED)


def detect_format(asked: InputFormat, name: str, head: bytes) -> InputFormat:
    """The format of an input that begins with `head`, unpacked; `asked` wins unless it is auto. Raises InputError."""
    if head.startswith(_PARQUET_MAGIC) or InputFormat.PARQUET is asked:
        return _parquet(asked, name)
    _check_text(name, head)
    if asked is not InputFormat.AUTO:
        return asked
    named = format_by_name(name)
    if named in (InputFormat.CSV, InputFormat.PARQUET):
        return named
    first_line = head.removeprefix(UTF8_BOM).lstrip().partition(b"\n")[0]
    if first_line.startswith(b"[") and named is None:
        raise InputError(f"{name}: is one JSON list; write one object a line, as `jq -c .[]` does, and call it .jsonl")
    if named is None and not first_line.startswith(b"{"):
        return InputFormat.CSV
    return InputFormat.OPENAI if _is_openai(first_line) else InputFormat.JSONL


def _check_text(name: str, head: bytes) -> None:
    """What is no text could be read as a CSV file with a strange header."""
    if head.startswith(_ZIP_MAGIC):
        raise InputError(f"{name}: is a zip file, as the workbooks of Excel are; save it as CSV, or pack it with gzip")
    if head.startswith(_UTF16_BOMS) or _NO_TEXT.search(head.partition(b"\n")[0]):
        raise InputError(f"{name}:1: is UTF-16 or no text at all; save it as UTF-8")
    if head.removeprefix(UTF8_BOM).lstrip()[:20].lower().startswith(_HTML):
        raise InputError(f"{name}:1: is a web page, not a file of items; does the link need a login?")


def _parquet(asked: InputFormat, name: str) -> InputFormat:
    if asked not in (InputFormat.AUTO, InputFormat.PARQUET):
        raise InputError(f"{name}: is Parquet, but spec.input.format is {asked.value}; set it to parquet, or remove it")
    return InputFormat.PARQUET


def _is_openai(first_line: bytes) -> bool:
    try:
        first = orjson.loads(first_line)
    except orjson.JSONDecodeError:  # longer than the head: look at what there is of it
        return all(f'"{field}"'.encode() in first_line for field in FIELDS)
    return isinstance(first, dict) and looks_like_openai(first)
