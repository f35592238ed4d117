"""A place belongs to one batch at a time, and what stands in it is replaced only if the next one says so."""

from pathlib import Path

import orjson
import pytest

from llmbatch_contract import layout
from llmbatch_contract.errors import InvariantError, OutputTakenError
from llmbatch_worker.finalizing.cleaning import remove_work
from llmbatch_worker.finalizing.owning import check_place, read_owner, release_output, take_output
from llmbatch_worker.stores.local import LocalStore
from outputs.finished import finished

THEN = "2026-01-02T03:04:05.000Z"


@pytest.fixture
def place(tmp_path: Path) -> LocalStore:
    return LocalStore((tmp_path / "place").as_uri())


def _take(place: LocalStore, uid: str, *, overwrite: bool = False) -> None:
    take_output(place, uid, f"batch-{uid}", "team", overwrite=overwrite, now=THEN)


def _summary(uid: str, **fields: object) -> bytes:
    return orjson.dumps({"uid": uid, "name": f"batch-{uid}", "namespace": "team", "completed_at": THEN, **fields})


def test_a_batch_may_take_its_place_again_and_again(place: LocalStore) -> None:
    _take(place, "a")
    _take(place, "a")
    owner = read_owner(place)
    assert owner is not None
    assert (owner.uid, owner.name, owner.since) == ("a", "batch-a", THEN)


def test_a_place_where_another_batch_is_writing_is_taken(place: LocalStore) -> None:
    _take(place, "a")
    sentence = f"is being written by the batch 'batch-a' of namespace 'team' since {THEN}; .*owner.json, or set spec"
    with pytest.raises(OutputTakenError, match=sentence):
        _take(place, "b")
    with pytest.raises(OutputTakenError, match=sentence):
        check_place(place, None, overwrite=False)
    check_place(place, "a", overwrite=False)


def test_a_place_where_another_batch_has_written_is_taken_and_left_as_it_was(place: LocalStore) -> None:
    place.put("summary.json", _summary("a"))
    sentence = f"holds the results of the batch 'batch-a' of namespace 'team', which ended at {THEN}; give another"
    with pytest.raises(OutputTakenError, match=sentence):
        _take(place, "b")
    with pytest.raises(OutputTakenError, match=sentence):
        check_place(place, None, overwrite=False)
    assert place.names("") == ["summary.json"]


def test_a_place_with_a_summary_of_its_own_is_a_batchs_own(place: LocalStore) -> None:
    place.put("summary.json", _summary("a"))
    _take(place, "a")


@pytest.mark.parametrize("data", [b"no json", b"[]", b"{}"])
def test_a_summary_that_no_batch_wrote_is_not_overwritten(place: LocalStore, data: bytes) -> None:
    place.put("summary.json", data)
    with pytest.raises(OutputTakenError, match="is there but is no batch's"):
        _take(place, "b")


@pytest.mark.parametrize("data", [b"", b"no json", b"[]", b"{}"])
def test_a_damaged_note_of_an_owner_is_replaced(place: LocalStore, data: bytes) -> None:
    place.put(layout.OWNER, data)
    _take(place, "b")
    assert (owner := read_owner(place)) is not None
    assert owner.uid == "b"


def test_with_overwrite_the_place_is_taken_and_the_first_batch_cannot_write_any_more(tmp_path: Path) -> None:
    first = finished(tmp_path)
    first.fill()
    place = LocalStore(first.job.output_uri)
    take_output(place, "u", "first", "team", overwrite=False)
    _take(place, "b", overwrite=True)
    with pytest.raises(OutputTakenError, match="is being written by the batch 'batch-b'"):
        first.finalize()
    assert first.names() == [layout.OWNER]


def test_finalize_does_not_write_over_another_batch_even_if_nobody_asked_before(tmp_path: Path) -> None:
    first = finished(tmp_path)
    first.fill()
    first.finalize()
    before = first.objects()
    with pytest.raises(OutputTakenError, match="holds the results of the batch 'triage'"):
        first.as_batch("b").finalize()
    assert first.objects() == before


def test_overwriting_removes_what_the_first_batch_wrote_and_nothing_else(tmp_path: Path) -> None:
    first = finished(tmp_path, output={"layout": "sharded", "compression": "gzip"})
    first.fill()
    first.finalize()
    for foreign in ("notes.txt", "results/README", "results/more/00000.jsonl", "old/results.csv", "results.csv"):
        path = first.output / foreign
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("mine")
    second = first.as_batch("b", format="csv", layout="merged", compression="none", overwrite=True)
    take_output(LocalStore(first.job.output_uri), "b", "second", "default", overwrite=True)
    assert "results/00000.jsonl.gz" in first.names()  # until there is something to write
    second.finalize()
    assert second.names() == [
        "errors.jsonl", "notes.txt", "old/results.csv", "report.json", "results.csv", "results/README",
        "results/more/00000.jsonl", "summary.json",
    ]  # fmt: skip


def test_what_is_to_be_removed_is_known_even_after_a_kill_between(tmp_path: Path) -> None:
    first = finished(tmp_path, output={"format": "csv"})
    first.fill()
    first.finalize()
    place = LocalStore(first.job.output_uri)
    second = first.as_batch("b", format="jsonl", overwrite=True)
    take_output(place, "b", "second", "default", overwrite=True)
    place.remove(["summary.json"])  # and here it was killed
    second.finalize()
    assert second.names() == ["errors.jsonl", "report.json", "results.jsonl", "summary.json"]


def test_a_place_that_was_given_up_is_free(place: LocalStore) -> None:
    _take(place, "a")
    assert not release_output(place, "b")
    assert release_output(place, "a")
    assert not release_output(place, "a")
    _take(place, "b")


def test_who_fails_to_finalize_keeps_the_place(tmp_path: Path) -> None:
    made = finished(tmp_path)
    place = LocalStore(made.job.output_uri)
    take_output(place, "u", "triage", "default", overwrite=False)
    with pytest.raises(InvariantError):
        made.finalize()
    assert made.names() == [layout.OWNER]


def test_removing_work_leaves_everything_that_has_other_names(tmp_path: Path) -> None:
    made = finished(tmp_path)
    made.fill(parts=2)
    foreign = {
        "plan.json.bak": b"", "notes/plan.json": b"", "shards/00000/part-1.jsonl": b"", "shards/README": b"",
        "other/shards/00000/done.json": b"", "Input": b"",
    }  # fmt: skip
    for name, data in foreign.items():
        made.store.put(name, data)
    place = LocalStore(made.job.output_uri)
    take_output(place, "u", "triage", "default", overwrite=False)
    assert remove_work(made.store, place, "u") == 1 + 3 + 5 + 3 + 1  # plan, claims, parts, ends, owner
    assert made.store.names("") == sorted(foreign)
    assert place.names("") == []
    assert remove_work(made.store, place, "u") == 0


def test_removing_work_does_not_touch_the_word_of_another_batch(tmp_path: Path, place: LocalStore) -> None:
    _take(place, "b")
    made = finished(tmp_path)
    remove_work(made.store, place, "u")
    assert read_owner(place) is not None


def test_the_plan_is_removed_last(tmp_path: Path) -> None:
    made = finished(tmp_path, items=30, shard_size=1)
    made.fill()
    removed: list[str] = []

    class Recording(LocalStore):
        def remove(self, names: object) -> None:
            assert isinstance(names, list)
            removed.extend(names)

    remove_work(Recording(made.job.store_uri), None, "u")
    assert len(removed) == 91
    assert removed[-1] == layout.PLAN


def test_a_batch_that_goes_on_replaces_its_own_earlier_outputs(tmp_path: Path) -> None:
    made = finished(tmp_path, output={"layout": "sharded"})
    made.fill()
    made.finalize()
    first = made.objects()
    assert made.finalize(now="2026-01-01T00:02:00.000Z")["uid"] == "u"
    second = made.objects()
    assert {n for n in first if first[n] != second[n]} == {"summary.json"}
