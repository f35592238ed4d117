"""Counts merged from reports that come late, twice, in the wrong order or not at all."""

import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.categories import Category
from llmbatch_contract.progress import BatchProgress, Sample, ShardProgress, Totals
from llmbatch_contract.usage import Usage

_FAILURES = [Category.TIMEOUT, Category.REFUSAL, Category.INVALID_OUTPUT]


@dataclass
class _Shard:
    """A shard as it is worked on: records are written in parts, an attempt may die, the next one goes on."""

    number: int
    items: int
    attempt: int = 1
    failures: tuple[Category, ...] = ()
    succeeded: int = 0
    waiting: tuple[Category | None, ...] = ()

    @property
    def written(self) -> int:
        return self.succeeded + len(self.failures)

    def step(self, rng: random.Random) -> None:
        """Answer an item, write down what was answered, or die and be taken over."""
        what = rng.choice(["answer", "answer", "answer", "write", "die"])
        if what == "answer" and self.written + len(self.waiting) < self.items:
            self.waiting += (rng.choice([None, None, *_FAILURES]),)
        elif what == "write":
            self.succeeded += self.waiting.count(None)
            self.failures += tuple(f for f in self.waiting if f)
            self.waiting = ()
        elif what == "die":
            self.attempt, self.waiting = self.attempt + 1, ()

    def word(self) -> ShardProgress:
        unwritten_failed = sum(1 for f in self.waiting if f)
        return ShardProgress(
            shard=self.number,
            attempt=self.attempt,
            items=self.items,
            succeeded=self.succeeded,
            failed=len(self.failures),
            retries=2 * len(self.failures),
            resent=self.attempt - 1,
            usage=Usage(10 * self.written, self.succeeded),
            latency={3: self.written} if self.written else {},
            errors={c: self.failures.count(c) for c in dict.fromkeys(self.failures)},
            samples={c: Sample(item_id=str(self.number), message=c) for c in self.failures},
            unwritten_succeeded=len(self.waiting) - unwritten_failed,
            unwritten_errors={Category.TIMEOUT: unwritten_failed},
        )


@st.composite
def histories(draw: st.DrawFn) -> list[list[ShardProgress]]:
    """For each shard, all that was ever said of it, in order."""
    rng = draw(st.randoms(use_true_random=False))
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    steps = draw(st.integers(0, 30))
    return [_history(_Shard(number, items), rng, steps) for number, items in enumerate(sizes)]


def _history(shard: _Shard, rng: random.Random, steps: int) -> list[ShardProgress]:
    words = [shard.word()]
    for _ in range(steps):
        if words[-1].is_done:
            break
        shard.step(rng)
        words.append(shard.word())
    return words


def merged(words: list[ShardProgress], shards: int = 10) -> BatchProgress:
    progress = BatchProgress(items=100, shards=shards)
    for word in words:
        progress.merge(word)
    return progress


def counts(progress: BatchProgress) -> Totals:
    """The totals without the samples, which are any of many."""
    return replace(progress.totals(), samples={})


@settings(max_examples=200, deadline=None)
@given(history=histories(), rng=st.randoms(use_true_random=False))
def test_any_order_repetition_and_loss_give_the_totals_of_the_latest_words(
    history: list[list[ShardProgress]], rng: random.Random
) -> None:
    latest = [words[-1] for words in history]
    heard = latest + [word for words in history for word in words if rng.random() < 0.7]
    heard += rng.sample(heard, len(heard) // 2)
    rng.shuffle(heard)
    progress = merged(heard)
    assert counts(progress) == counts(merged(latest))
    totals = progress.totals()
    assert progress.failed == totals.failed + totals.unwritten_failed
    assert progress.answered == progress.failed + totals.succeeded + totals.unwritten_succeeded
    assert progress.shards_done == sum(word.is_done for word in latest)
    assert [progress.is_shard_done(n) for n in range(len(latest))] == [word.is_done for word in latest]


@settings(max_examples=200, deadline=None)
@given(history=histories(), rng=st.randoms(use_true_random=False))
def test_counts_never_go_backwards_whatever_comes_when(history: list[list[ShardProgress]], rng: random.Random) -> None:
    heard = [word for words in history for word in words]
    rng.shuffle(heard)
    progress = BatchProgress(items=100, shards=len(history))
    before = progress.totals()
    for word in heard:
        progress.merge(word)
        after = progress.totals()
        assert after.finished >= before.finished
        assert (after.succeeded, after.failed) >= (before.succeeded, 0)
        assert after.failed >= before.failed
        assert after.retries >= before.retries
        assert after.usage.total >= before.usage.total
        assert all(after.errors[c] >= n for c, n in before.errors.items())
        before = after


@given(history=histories())
def test_totals_add_up_to_the_sum_of_the_shards(history: list[list[ShardProgress]]) -> None:
    latest = [words[-1] for words in history]
    totals = merged(latest).totals()
    assert totals.succeeded == sum(w.succeeded for w in latest)
    assert totals.failed == sum(w.failed for w in latest) == sum(totals.errors.values())
    assert totals.resent == sum(w.resent for w in latest)
    assert sum(totals.latency.values()) == totals.finished
    assert set(totals.samples) == set(totals.errors)


@given(history=histories(), cut=st.integers(0, 10))
def test_words_said_after_a_restart_give_the_totals_of_one_that_heard_everything(
    history: list[list[ShardProgress]], cut: int
) -> None:
    heard_late = [word for words in history for word in [*words[cut:], words[-1]]]
    everything = [word for words in history for word in words]
    assert counts(merged(heard_late)) == counts(merged(everything))


def test_totals_are_a_value_that_later_words_do_not_touch() -> None:
    progress = merged([ShardProgress(shard=0, attempt=1, items=2, succeeded=1, latency={1: 1})])
    before = progress.totals()
    progress.merge(ShardProgress(shard=0, attempt=1, items=2, succeeded=2, latency={1: 2}))
    assert (before.succeeded, before.latency) == (1, {1: 1})
    progress.totals().latency[1] = 99
    assert progress.totals().latency == {1: 2}


def test_a_stale_attempt_does_not_displace_its_successor() -> None:
    stale = ShardProgress(shard=0, attempt=1, items=9, succeeded=3, unwritten_succeeded=5)
    successor = ShardProgress(shard=0, attempt=2, items=9, succeeded=3)
    for words in ([stale, successor], [successor, stale]):
        assert merged(words).totals().unwritten_succeeded == 0


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        pytest.param({"resent": 0}, {"resent": 3}, id="more was sent again"),
        pytest.param({"retries": 1}, {"retries": 4}, id="more was tried again"),
    ],
)
def test_of_two_words_on_the_same_answers_the_one_that_counts_more_is_the_later(
    earlier: dict[str, int], later: dict[str, int]
) -> None:
    words = [ShardProgress(shard=0, attempt=2, items=9, succeeded=3, **counts) for counts in (earlier, later)]
    assert counts(merged(words)) == counts(merged(words[::-1]))


def test_a_word_on_a_finished_shard_changes_nothing() -> None:
    done = ShardProgress(shard=0, attempt=1, items=2, succeeded=2)
    progress = merged([done, done, ShardProgress(shard=0, attempt=2, items=2, succeeded=1)])
    assert (progress.totals().succeeded, progress.shards_done, progress.is_shard_done(0)) == (2, 1, True)


def test_a_shard_of_no_items_is_done() -> None:
    assert merged([ShardProgress(shard=0, attempt=1, items=0)]).shards_done == 1


def test_the_commonest_errors_come_first_and_equals_by_name() -> None:
    errors = {Category.TIMEOUT: 2, Category.AUTH: 7, Category.CONNECTION: 2, Category.REFUSAL: 1}
    totals = Totals(errors=errors)
    assert totals.top_errors(3) == [(Category.AUTH, 7), (Category.CONNECTION, 2), (Category.TIMEOUT, 2)]
    assert Totals().top_errors() == []


@given(history=histories())
def test_a_word_survives_json(history: list[list[ShardProgress]]) -> None:
    for words in history:
        assert ShardProgress.load(words[-1].dump_json()) == words[-1]
