"""The termination message of a pod: it fits where Kubernetes puts it, whatever a pod has to say."""

from typing import Any, TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmbatch_contract.categories import Category
from llmbatch_contract.model import Model
from llmbatch_contract.pods import LAST_WORDS_BYTES, ErrorCount, FinalCounts, LastWords, PodError, Stage
from llmbatch_contract.progress import Sample, ShardProgress
from llmbatch_contract.reports import PlanFacts, StopReason
from llmbatch_contract.usage import Usage

M = TypeVar("M", bound=Model)


def _built(model: type[M], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[M]:
    """Values of a model; st.builds would give fields by both of their names."""
    return st.fixed_dictionaries(fields).map(lambda values: model(**values))


_counts = st.integers(0, 2**53)
_texts = st.one_of(st.text(max_size=50), st.text(max_size=9).map(lambda text: text * 700))
_categories = st.sampled_from(Category)
_samples = _built(Sample, item_id=_texts, message=_texts)
_usage = st.builds(Usage, _counts, _counts, _counts, _counts)

_progress = _built(
    ShardProgress,
    shard=_counts,
    attempt=_counts,
    items=_counts,
    succeeded=_counts,
    failed=_counts,
    usage=_usage,
    latency=st.integers(0, 300).map(lambda buckets: dict.fromkeys(range(buckets), 2**53)),
    errors=st.dictionaries(_categories, _counts),
    samples=st.dictionaries(_categories, _samples),
    unwritten_errors=st.dictionaries(_categories, _counts),
)
_error_counts = _built(ErrorCount, category=_categories, count=_counts, sample=st.none() | _samples)
_final = _built(
    FinalCounts,
    items=_counts,
    succeeded=_counts,
    failed=_counts,
    cancelled=_counts,
    attempts=_counts,
    retries=_counts,
    resent=_counts,
    usage=_usage,
    latency_ms=st.fixed_dictionaries({name: st.none() | st.floats(0, 1e9) for name in ("p50", "p95", "p99")}),
    errors=st.lists(_error_counts, max_size=len(Category)),
    output_bytes=_counts,
    results_name=st.just("results.jsonl"),
)
_words = _built(
    LastWords,
    stage=st.sampled_from(Stage),
    plan=st.none() | _built(PlanFacts, items=_counts, shards=_counts, first_misfit=st.none() | _texts),
    progress=st.none() | _progress,
    final=st.none() | _final,
    stop=st.none() | _built(StopReason, category=_categories, message=_texts),
    error=st.none() | _built(PodError, kind=st.just("StoreError"), message=_texts),
)

_LONG = "\x00" * 5000
_ALL_CATEGORIES = dict.fromkeys(Category, 2**53)
_ALL_SAMPLES = dict.fromkeys(Category, Sample(item_id="item-00000017", message="The endpoint says: " + "no " * 100))
_LATENCIES = dict.fromkeys(range(40, 150), 10_000)


@given(words=_words)
@example(
    words=LastWords(
        stage=Stage.RUN,
        plan=PlanFacts(items=2**53, shards=2**53, first_misfit=_LONG),
        stop=StopReason(category=Category.QUOTA_EXHAUSTED, message=_LONG),
        error=PodError(kind="InputChangedError", message=_LONG),
    )
)
def test_last_words_fit_whatever_they_are(words: LastWords) -> None:
    data = words.cut()
    assert len(data) <= LAST_WORDS_BYTES
    read = LastWords.load(data)
    assert (read.stage, read.stop is None, read.error is None) == (words.stage, words.stop is None, words.error is None)


@given(words=_words)
def test_what_fits_is_said_in_full(words: LastWords) -> None:
    if len(words.dump_json()) <= LAST_WORDS_BYTES:
        assert LastWords.load(words.cut()) == words


@pytest.mark.parametrize("message_chars", [10, 1000, 100_000])
def test_counts_survive_whatever_a_message_is_like(message_chars: int) -> None:
    progress = ShardProgress(
        shard=3,
        attempt=2,
        items=1000,
        succeeded=900,
        failed=100,
        errors=_ALL_CATEGORIES,
        samples=_ALL_SAMPLES,
        latency=_LATENCIES,
    )
    error = PodError(kind="StoreError", message="x" * message_chars)
    read = LastWords.load(LastWords(stage=Stage.SHARD, progress=progress, error=error).cut())
    assert read.progress is not None
    assert read.progress.model_copy(update={"samples": _ALL_SAMPLES, "latency": _LATENCIES}) == progress


def test_final_counts_survive_every_kind_of_error() -> None:
    errors = [ErrorCount(category=c, count=2**53, sample=sample) for c, sample in _ALL_SAMPLES.items()]
    final = FinalCounts(
        items=2**53,
        succeeded=2**53,
        failed=2**53,
        cancelled=0,
        attempts=2**53,
        retries=2**53,
        resent=2**53,
        usage=Usage(2**53, 2**53, 2**53, 2**53),
        latency_ms={"p50": 1234.5678, "p95": 2345.6789, "p99": 3456.7891},
        errors=errors,
        output_bytes=2**53,
        results_name="results.jsonl",
    )
    read = LastWords.load(LastWords(stage=Stage.FINALIZE, final=final).cut())
    assert read.final is not None
    assert [(error.category, error.count) for error in read.final.errors] == [(e.category, e.count) for e in errors]


def test_a_long_message_ends_in_an_ellipsis() -> None:
    words = LastWords(stage=Stage.PLAN, error=PodError(kind="InputError", message="line 1: " + "x" * 5000))
    error = LastWords.load(words.cut()).error
    assert error is not None
    assert error.message == "line 1: " + "x" * 991 + "…"
