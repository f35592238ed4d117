"""What one attempt on a shard leaves, the next finds; a stale one can do no harm."""

from pathlib import Path

import pytest

from llmbatch_contract import layout
from llmbatch_contract.categories import Category
from llmbatch_contract.errors import ClaimLostError
from llmbatch_contract.usage import Usage
from llmbatch_worker.shardlog import Done
from sharded import letter, put, result, sharded


def test_the_next_attempt_knows_what_was_written_and_what_it_cost(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    put(made.claimed(0), result(0), letter(2))
    again = made.claimed(0)
    assert again.attempt == 2
    assert list(again.recorded) == [1, 0, 1]
    assert (again.progress.succeeded, again.progress.failed, again.progress.retries) == (1, 1, 1)
    assert again.progress.errors == {Category.REFUSAL: 1}
    assert again.progress.usage == Usage(2, 1)


def test_shards_know_nothing_of_each_other(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    put(made.claimed(0), result(0))
    assert list(made.claimed(1).recorded) == [0, 0, 0]
    assert list(made.claimed(2).recorded) == [0]


def test_a_shard_that_is_done_is_not_claimed_again(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    made.write(0, [0, 1, 2])
    done = made.open(0)
    assert isinstance(done, Done)
    assert done.parts == [(1, 0)]
    assert made.store.names(layout.claim(0, 2)) == []


def test_a_second_record_of_an_item_counts_for_nothing(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    put(made.claimed(0), result(0), result(0, output="again"), letter(0))
    again = made.claimed(0)
    assert (again.progress.succeeded, again.progress.failed) == (1, 0)
    assert again.progress.usage == Usage(2, 1)


def test_a_stale_attempt_writes_no_part(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    stale, current = made.claimed(0, "old"), made.claimed(0, "new")
    with pytest.raises(ClaimLostError, match="another process took over shard 0"):
        put(stale, result(0))
    put(current, result(0))
    assert [n for n in made.store.names(layout.shard_prefix(0)) if "part-" in n] == [layout.part(0, 2, 0)]


def test_a_part_that_a_stale_attempt_wrote_in_the_last_moment_is_taken_in_by_the_next(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    first = made.claimed(0)
    put(first, result(0))
    first.add(result(1))  # type: ignore[arg-type]
    late = first.take()
    second = made.claimed(0)
    assert list(second.recorded) == [1, 0, 0]
    assert late is not None
    made.store.create(layout.part(0, 1, 1), b"".join(late.lines))  # it had looked before the second claimed
    assert list(made.claimed(0).recorded) == [1, 1, 0]


def test_the_first_word_that_a_shard_is_done_holds(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    made.write(0, [0, 1, 2])
    before = made.store.read(layout.done(0))
    log = made.claimed(1)
    log.shard = made.shard(0)
    log.finish(log.progress)
    assert made.store.read(layout.done(0)) == before


@pytest.mark.parametrize(
    ("marked", "written", "stopped_at", "resent"),
    [
        pytest.param(0, [], None, 0, id="nothing was sent"),
        pytest.param(3, [0], None, 2, id="killed: all that was marked and has no record"),
        pytest.param(3, [0, 1, 2], None, 0, id="killed after all was written"),
        pytest.param(3, [0], 2, 1, id="stopped in order: only what was taken"),
        pytest.param(3, [0, 1], 2, 0, id="stopped in order with nothing in flight"),
        pytest.param(2, [1], None, 1, id="answers out of order"),
    ],
)
def test_items_that_may_have_been_sent_are_counted_as_resent(
    tmp_path: Path, marked: int, written: list[int], stopped_at: int | None, resent: int
) -> None:
    made = sharded(tmp_path)
    log = made.claimed(0)
    if marked:
        log.may_send(marked)
    if written:
        put(log, *map(result, written))
    if stopped_at is not None:
        log.stop(stopped_at)
    assert made.claimed(0).progress.resent == resent


def test_resent_items_add_up_over_attempts(tmp_path: Path) -> None:
    made = sharded(tmp_path)
    for _ in range(3):
        made.claimed(0).may_send(2)
    assert made.claimed(0).progress.resent == 6


def test_records_that_wait_are_handed_over_once(tmp_path: Path) -> None:
    log = sharded(tmp_path).claimed(0)
    log.outstanding = 2
    log.add(result(0))  # type: ignore[arg-type]
    taken = log.take()
    assert taken is not None
    assert (len(taken.lines), taken.tally.succeeded, log.outstanding) == (1, 1, 1)
    assert log.take() is None
    assert log.buffered_bytes == 0
