"""Logs as JSON on stderr, one line for each record, so that what collects a cluster's logs can take them apart.

    {"time": "2026-01-31T12:00:00.123Z", "level": "info", "logger": "llmbatch_worker.pods", "message": "…",
     "batch": "triage", "trace_id": "…", "shard": 3}

Fields come from `start_logs` and from the `extra` of each record. Nothing here raises; no line is longer than 8 KiB.
"""

import json
import logging
import math
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TextIO

Field = str | int | float | bool | None

LONGEST_LINE = 8192
"""Bytes, with the end of the line."""

_OURS = ("llmbatch", "llmbatch_cli", "llmbatch_contract", "llmbatch_operator", "llmbatch_telemetry", "llmbatch_worker")
_OWN_KEYS = frozenset({"time", "level", "logger", "message", "exception"})
_OF_ALL_RECORDS = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
_LENGTHS = (4000, 1000, 200, 40)
"""How long texts of a line may be, in characters; the next one is tried when the line is still too long."""


def start_logs(*, level: int = logging.INFO, has_error_texts: bool = True, **fields: Field) -> None:
    """Write this program's records from `level` on and those of libraries from `warning` on, with these fields.

    Without `has_error_texts`, only types and places of exceptions are written: a message may quote an item.
    """
    root = logging.getLogger()
    for before in [handler for handler in root.handlers if isinstance(handler, _Lines)]:
        root.removeHandler(before)
    handler = _Lines(sys.stderr)
    is_utf8 = (handler.stream.encoding or "").lower().replace("-", "") == "utf8"
    handler.setFormatter(JsonLine(fields, has_error_texts=has_error_texts, is_ascii=not is_utf8))
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)


class JsonLine(logging.Formatter):
    """Makes the line of a record."""

    def __init__(self, fields: Mapping[str, Field], *, has_error_texts: bool = True, is_ascii: bool = False) -> None:
        super().__init__()
        self._fields = dict(fields)
        self._has_error_texts = has_error_texts
        self._is_ascii = is_ascii

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON, whatever the record holds."""
        try:
            own, more = self._own(record), self._more(record)
        except Exception as error:  # noqa: BLE001
            own, more = _head(record) | {"message": f"a record could not be written: {type(error).__name__}"}, {}
        for length in _LENGTHS:
            line = self._line({**_cut(own, length), **_cut(more, length)})
            if _is_short(line):
                return line
        return self._line({**_cut(own, _LENGTHS[-1]), "is_cut": True})

    def _own(self, record: logging.LogRecord) -> dict[str, Field]:
        own = _head(record) | {"message": _message(record)}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            own["exception"] = _with_text(error) if self._has_error_texts else _without_text(error)
        return own

    def _more(self, record: logging.LogRecord) -> dict[str, Field]:
        """Fields in all records, and those of this one. What is no plain value, such as an object, is left out."""
        extra = {key: value for key, value in vars(record).items() if key not in _OF_ALL_RECORDS}
        plain = {key: value for key, value in (self._fields | extra).items() if isinstance(value, Field)}
        return {f"{key}_" if key in _OWN_KEYS else key: value for key, value in plain.items()}

    def _line(self, fields: Mapping[str, Field]) -> str:
        return json.dumps(fields, ensure_ascii=self._is_ascii, separators=(", ", ": "))


class _Lines(logging.StreamHandler[TextIO]):
    """Logging that fails, as when stderr is closed, fails silently: nothing is left to tell it to."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing."""


def _head(record: logging.LogRecord) -> dict[str, Field]:
    at = datetime.fromtimestamp(record.created, UTC)
    time = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"time": time, "level": record.levelname.lower(), "logger": record.name}


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001
        # A message that does not fit its arguments says more than nothing.
        return str(record.msg)


def _with_text(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()


def _without_text(error: BaseException) -> str:
    """The types and the places of an exception and of those behind it, without anything they say."""
    return "\nafter ".join(
        f"{_type_of(each)}\n{''.join(traceback.format_tb(each.__traceback__))}".rstrip() for each in _chain(error)
    )


def _type_of(error: BaseException) -> str:
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    parts = ", ".join(map(_type_of, error.exceptions)) if isinstance(error, BaseExceptionGroup) else ""
    return f"{kind}({parts})" if parts else kind


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _cut(fields: Mapping[str, Field], length: int) -> dict[str, Field]:
    return {_short(key, length): _value(value, length) for key, value in fields.items()}


def _value(value: Field, length: int) -> Field:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return _short(str(value), length)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    # More digits than other programs read are written as a text; Python refuses to write very many.
    return int(value) if abs(value) < 1 << 63 else hex(value)[:length]


def _short(text: str, length: int) -> str:
    """Without its middle, where it is too long: an exception ends with what matters."""
    if len(text) > length:
        text = f"{text[: length // 2]} … {text[-length // 2 :]}"
    return text.encode("utf-8", "replace").decode()


def _is_short(line: str) -> bool:
    return len(line) < LONGEST_LINE // 4 or len(line.encode()) < LONGEST_LINE
