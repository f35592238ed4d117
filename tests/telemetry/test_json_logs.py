"""A record is one line of JSON with its fields, whatever is in it."""

import io
import json
import logging
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_telemetry.logs import LONGEST_LINE, JsonLine

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3000) | st.binary()


def line_of(message: object, *args: object, form: JsonLine | None = None, **extra: Any) -> dict[str, Any]:
    record = logging.LogRecord("llmbatch_worker.pods", logging.WARNING, __file__, 1, message, args, None)
    vars(record).update(extra)
    return read((form or JsonLine({})).format(record))


def read(line: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    assert "\n" not in line
    assert len(line.encode()) < LONGEST_LINE
    value = json.loads(line, parse_constant=refuse)
    assert isinstance(value, dict)
    return value


def test_a_line_has_time_level_logger_message_and_fields() -> None:
    form = JsonLine({"batch": "triage", "shard": None})
    line = line_of("shard %d: done", 3, form=form, shard=3, category="timeout", created=1_800_000_000.1239)
    assert line == {
        "time": "2027-01-15T08:00:00.123Z",
        "level": "warning",
        "logger": "llmbatch_worker.pods",
        "message": "shard 3: done",
        "batch": "triage",
        "shard": 3,
        "category": "timeout",
    }


@given(st.text() | st.binary(), st.dictionaries(st.text(), _SCALARS, max_size=20), st.booleans())
def test_any_record_is_one_valid_line(message: Any, extra: dict[str, Any], is_ascii: bool) -> None:
    line = line_of(message, form=JsonLine(extra, is_ascii=is_ascii), **{f"x{key}": extra[key] for key in extra})
    assert line["logger"] == "llmbatch_worker.pods"


@pytest.mark.parametrize(
    ("message", "args"),
    [
        pytest.param("%d items", ("many",), id="arguments that do not fit"),
        pytest.param("%s", (), id="no arguments"),
        pytest.param(object(), (), id="no text"),
        pytest.param("x" * 100_000, (), id="too long"),
        pytest.param("\x00" * 100_000, (), id="too long when escaped"),
        pytest.param("😀" * 100_000, (), id="too long in bytes"),
        pytest.param("half a pair \ud83d", (), id="half a pair"),
    ],
)
def test_odd_messages_are_lines_too(message: object, args: tuple[object, ...]) -> None:
    assert line_of(message, *args)["message"]


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    message = line_of(f"begin{'x' * 50_000}end")["message"]
    assert message.startswith("begin")
    assert message.endswith("end")


def test_what_cannot_be_written_does_not_raise() -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert "RuntimeError" in line_of(Bad())["message"]


def test_very_many_fields_are_cut() -> None:
    line = line_of("hello", form=JsonLine({f"field{number}": "x" * 100 for number in range(1000)}))
    assert (line["message"], line["is_cut"]) == ("hello", True)


def test_a_field_named_as_one_of_the_line_does_not_replace_it() -> None:
    line = line_of("hello", form=JsonLine({"message": "other", "time": "never"}))
    assert (line["message"], line["message_"], line["time_"]) == ("hello", "other", "never")


def test_an_object_as_a_field_is_left_out() -> None:
    assert "thing" not in line_of("hello", thing=object())


def failure() -> Any:
    try:
        try:
            raise KeyError("content of an item")
        except KeyError as error:
            raise ValueError("more content") from error
    except ValueError:
        return sys.exc_info()


def test_an_exception_is_one_field() -> None:
    text = line_of("broke", exc_info=failure())["exception"]
    assert "ValueError: more content" in text
    assert "test_json_logs.py" in text


def test_the_texts_of_exceptions_can_be_left_out() -> None:
    error = failure()
    error[1].add_note("a note with content")
    group = ExceptionGroup("content", [error[1], OSError("content")])
    text = line_of("broke", form=JsonLine({}, has_error_texts=False), exc_info=(type(error[1]), error[1], error[2]))[
        "exception"
    ]
    assert text.startswith("ValueError\n")
    assert "after KeyError\n" in text
    assert "in failure" in text
    of_group = line_of("broke", form=JsonLine({}, has_error_texts=False), exc_info=(type(group), group, None))
    assert of_group["exception"] == "ExceptionGroup(ValueError, OSError)"


_PROGRAM = """
import logging, warnings, sys
from llmbatch_telemetry.logs import start_logs
start_logs(batch="once")
start_logs(batch="triage", trace_id="ab")
logging.getLogger("llmbatch_worker.pods").info("für %s", "alle", extra={"shard": 3})
logging.getLogger("llmbatch_worker.pods").debug("not this")
logging.getLogger("aiohttp").info("not this")
logging.getLogger("aiohttp").warning("but this")
warnings.warn("and this")
sys.stderr.close()
logging.getLogger("llmbatch_worker.pods").info("nobody hears this")
"""


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_program_writes_lines_to_stderr(encoding: str) -> None:
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, b"")
    lines = [read(line) for line in io.StringIO(ended.stderr.decode()).read().splitlines()]
    assert [line["message"] for line in lines][:2] == ["für alle", "but this"]
    assert "and this" in lines[2]["message"]
    assert (lines[0]["shard"], lines[0]["batch"], lines[0]["trace_id"]) == (3, "triage", "ab")
    assert len(lines) == 3
