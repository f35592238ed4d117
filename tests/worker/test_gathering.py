"""Finalize writes each item once, in input order, or says loudly that it cannot."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from builders import Document
from llmbatch_contract import layout
from llmbatch_contract.categories import Category
from llmbatch_contract.errors import InvariantError, LLMBatchError
from llmbatch_contract.reports import StopReason
from sharded import Sharded, letter, put, result, sharded

STOP = StopReason(category=Category.AUTH, message="the key is wrong")
FORMATS = ["jsonl", "csv", "openai"]


def _made(folder: Path, output: str = "jsonl") -> Sharded:
    return sharded(folder, output={"uri": "out", "format": output})


def _answered(made: Sharded) -> Sharded:
    made.write_all()
    for shard in made.plan.shards:
        made.tamper(shard.number, lambda records: [r | {"response": {"status_code": 200}} for r in records])
    return made


def _published(made: Sharded) -> list[str]:
    return sorted(path.name for path in made.output.iterdir() if "#" not in path.name)


def test_records_come_out_in_input_order_however_they_were_written(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    log = made.claimed(0)
    put(log, result(2))
    put(log, letter(0), result(1))
    log.finish(log.progress)
    made.write(2, [6])
    made.write(1, [5, letter(4), 3])
    summary = made.finalize()
    assert [r["index"] for r in made.lines("results.jsonl")] == [1, 2, 3, 5, 6]
    assert [r["index"] for r in made.lines("errors.jsonl")] == [0, 4]
    assert summary["items"] == {"total": 7, "succeeded": 5, "failed": 2, "cancelled": 0}


def test_of_two_records_of_an_item_the_first_counts_once(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    put(made.claimed(0), result(0), result(1))
    made.write(0, [result(1, output="later"), letter(0), 2])
    made.write(1, [3, 4, 5, 4, 3])
    made.write(2, [6])
    summary = made.finalize()
    assert [r["output"] for r in made.lines("results.jsonl")] == [f"answer {n}" for n in range(7)]
    assert made.lines("errors.jsonl") == []
    assert summary["usage"]["total_tokens"] == 7 * 3


def test_a_part_of_a_stale_attempt_that_the_shard_does_not_name_adds_nothing(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    made.write_all()
    made.store.create(layout.part(0, 1, 7), orjson.dumps(result(0, output="stale")) + b"\n")
    made.finalize()
    assert [r["output"] for r in made.lines("results.jsonl")] == [f"answer {n}" for n in range(7)]


_Tampering = Callable[[list[Document]], list[Document]]


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda records: records[1:], id="a record is missing"),
        pytest.param(lambda _records: [], id="all are missing"),
        pytest.param(lambda records: [records[0] | {"index": 1}, *records[1:]], id="the index of a neighbour"),
        pytest.param(lambda records: [records[0] | {"index": 0}, *records[1:]], id="an index before the shard"),
        pytest.param(lambda records: [records[0] | {"index": 6}, *records[1:]], id="an index after the shard"),
        pytest.param(lambda records: [*records, records[0] | {"index": 99}], id="an index that nobody has"),
    ],
)
def test_a_part_that_was_tampered_with_is_an_error_and_no_output_appears(
    tmp_path: Path, change: _Tampering, output: str
) -> None:
    made = _answered(_made(tmp_path, output))
    made.tamper(1, change)
    with pytest.raises(InvariantError):
        made.finalize()
    assert _published(made) == []


def test_a_record_with_the_id_of_another_item_is_an_error_where_items_are_read(tmp_path: Path) -> None:
    made = _answered(_made(tmp_path, "csv"))
    made.tamper(1, lambda records: [records[0] | {"id": "id-5"}, *records[1:]])
    with pytest.raises(InvariantError, match="is about 'id-5', not 'id-3'"):
        made.finalize()
    assert _published(made) == []


@pytest.mark.parametrize("data", [b"", b'{"id": "id-3", "ind', b"\x00\xff\n"], ids=["empty", "cut", "no text"])
def test_a_part_that_is_damaged_is_an_error_for_the_user_and_no_output_appears(tmp_path: Path, data: bytes) -> None:
    made = _answered(_made(tmp_path))
    made.store.put(layout.part(1, 1, 0), data)
    with pytest.raises(LLMBatchError):
        made.finalize()
    assert _published(made) == []


def test_a_part_that_is_gone_is_an_error_and_no_output_appears(tmp_path: Path) -> None:
    made = _answered(_made(tmp_path))
    (tmp_path / "state" / layout.part(1, 1, 0)).unlink()
    with pytest.raises(LLMBatchError, match="part-0001-00000"):
        made.finalize()
    assert _published(made) == []


def test_a_shard_that_nobody_worked_on_is_an_error_that_counts_its_items(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    made.write(0, [0, 1, 2])
    made.write(2, [6])
    with pytest.raises(InvariantError, match=r"^3 items of shard 1 \(from item 3\) have neither"):
        made.finalize()
    assert _published(made) == []


@pytest.mark.parametrize("output", FORMATS)
def test_after_a_stop_what_was_not_answered_is_in_errors_with_the_reason(tmp_path: Path, output: str) -> None:
    made = _made(tmp_path, output)
    answer = {"status_code": 200, "request_id": "", "body": {}}
    made.write(1, [result(4, response=answer)], done=False)
    summary = made.finalize(STOP)
    errors = made.lines("errors.jsonl")
    assert len(errors) == 6
    assert all("the key is wrong" in e["error"]["message"] for e in errors)
    assert summary["items"] == {"total": 7, "succeeded": 1, "failed": 0, "cancelled": 6}
    if output != "openai":
        assert [(e["id"], e["index"], e["item"]["text"]) for e in errors][:2] == [
            ("id-0", 0, "text 0"),
            ("id-1", 1, "text 1"),
        ]


def test_an_input_that_changed_before_finalize_is_an_error_where_items_are_needed(tmp_path: Path) -> None:
    made = _made(tmp_path, "csv")
    made.write_all()
    (tmp_path / "in.jsonl").write_text("".join(f'{{"id": "id-{n}", "text": "other {n}"}}\n' for n in range(7)))
    with pytest.raises(LLMBatchError, match="has changed since it was planned"):
        made.finalize()
    assert _published(made) == []


def test_earlier_outputs_stay_as_they_are_when_finalize_fails(tmp_path: Path) -> None:
    made = _answered(_made(tmp_path))
    made.finalize()
    before = {path.name: path.read_bytes() for path in made.output.iterdir()}
    made.tamper(2, lambda _records: [])
    with pytest.raises(InvariantError):
        made.finalize()
    assert {path.name: path.read_bytes() for path in made.output.iterdir() if "#" not in path.name} == before
