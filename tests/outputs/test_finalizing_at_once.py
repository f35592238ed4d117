"""Two processes finalize one batch, or one goes on for a batch that was deleted: what was finished stays whole."""

from pathlib import Path

import orjson
import pytest

from llmbatch_contract import layout
from llmbatch_contract.errors import OutputTakenError, StoreError
from llmbatch_worker.finalizing.cleaning import remove_work
from llmbatch_worker.finalizing.owning import read_owner, release_output, take_output
from outputs.finished import Finished, finished
from s3_servers import Bucket

pytest_plugins = ["s3_fixture"]

_SHARDED = {"layout": "sharded"}


def _take(made: Finished, uid: str = "u", *, overwrite: bool = False) -> None:
    take_output(made.output_store, uid, "name", "team", overwrite=overwrite)


class _Killed(BaseException):
    """Nothing is done any more, as after SIGKILL."""


def _killed_in_the_middle(made: Finished) -> None:
    def on_items(items: int) -> None:
        if items > made.plan.items // 2:
            raise _Killed

    with pytest.raises(_Killed):
        made.finalize(on_items=on_items)


@pytest.mark.parametrize("form", [{}, _SHARDED], ids=["merged", "sharded"])
def test_who_is_overtaken_leaves_what_the_other_has_written(tmp_path: Path, form: dict[str, str]) -> None:
    made = finished(tmp_path, items=60, output=form)
    made.fill()
    made.finalize()
    whole = made.objects()
    made.output_store.remove(whole)
    calls = iter(range(100))

    def on_items(_items: int) -> None:
        if next(calls) == 3:
            made.finalize()
            remove_work(made.store, made.output_store, "u")

    with pytest.raises(StoreError):
        made.finalize(on_items=on_items)
    assert made.objects() == whole


def test_who_fails_leaves_what_another_may_be_writing(tmp_path: Path) -> None:
    made = finished(tmp_path, items=12, output=_SHARDED)
    made.fill()

    def on_items(items: int) -> None:
        if items > 6:
            raise StoreError("no more")

    with pytest.raises(StoreError):
        made.finalize(on_items=on_items)
    assert "results/00000.jsonl" in made.names()


def test_who_comes_after_all_was_cleared_up_gives_the_summary_and_changes_nothing(
    tmp_path: Path, moto_s3: Bucket
) -> None:
    made = finished(tmp_path, output=_SHARDED, bucket=moto_s3)
    made.fill()
    summary = made.finalize()
    remove_work(made.store, made.output_store, "u")
    whole = made.objects()
    assert made.finalize(now="2031-01-01T00:00:00.000Z") == summary
    assert made.objects() == whole


@pytest.mark.parametrize("form", [{}, _SHARDED], ids=["merged", "sharded"])
def test_a_batch_that_lost_its_place_meanwhile_writes_no_results_there(tmp_path: Path, form: dict[str, str]) -> None:
    made = finished(tmp_path, output=form)
    made.fill()
    _take(made)
    calls = iter(range(100))

    def on_items(_items: int) -> None:
        if next(calls) == 1:
            release_output(made.output_store, "u")
            _take(made, "v")

    with pytest.raises(OutputTakenError):
        made.finalize(on_items=on_items)
    assert not {"summary.json", "results.jsonl", "results/_manifest.json"} & set(made.names())
    assert (owner := read_owner(made.output_store)) is not None
    assert owner.uid == "v"


def test_half_of_the_results_of_a_deleted_batch_is_removed_with_its_work(tmp_path: Path) -> None:
    made = finished(tmp_path, items=12, output=_SHARDED)
    made.fill()
    made.output_store.put("results/notes.txt", b"a stranger's")
    _take(made)
    _killed_in_the_middle(made)
    assert "results/00000.jsonl" in made.names()
    remove_work(made.store, made.output_store, "u")
    assert made.names() == ["results/notes.txt"]


def test_half_of_the_results_of_another_batch_is_replaced_with_overwrite(tmp_path: Path) -> None:
    made = finished(tmp_path, items=12, shard_size=2, output=_SHARDED)
    made.fill()
    _take(made)
    _killed_in_the_middle(made)
    made.output_store.put("results/00009.jsonl", b"{}\n")
    other = made.as_batch("v", overwrite=True)
    _take(other, "v", overwrite=True)
    other.finalize()
    manifest = orjson.loads(other.output_store.read("results/_manifest.json"))
    there = [name for name in other.names() if name.startswith("results/0")]
    assert there == [f"results/{row['name']}" for row in manifest]


def test_what_was_there_before_in_the_folder_of_results_is_never_taken_for_half_of_ours(tmp_path: Path) -> None:
    made = finished(tmp_path, items=12, output=_SHARDED)
    made.fill()
    made.output_store.put("results/99999.jsonl", b"a stranger's")
    _take(made)
    _killed_in_the_middle(made)
    remove_work(made.store, made.output_store, "u")
    assert made.output_store.read("results/99999.jsonl") == b"a stranger's"


def test_what_is_replaced_is_removed_once(tmp_path: Path) -> None:
    made = finished(tmp_path, items=12, output=_SHARDED)
    made.fill()
    made.finalize()
    other = made.as_batch("v", overwrite=True)
    _take(other, "v", overwrite=True)
    _killed_in_the_middle(other)
    before = other.output_store.read(layout.OWNER)
    assert orjson.loads(before)["replaces"] == []
    assert orjson.loads(before)["writes"] == ["results/"]
