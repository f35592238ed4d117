"""Percentiles from counts in buckets, against the exact ones of the same latencies."""

import json
import math
import random
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmbatch_contract.latency import Latencies, count_latency, merge_latencies, percentile_ms
from llmbatch_contract.progress import ShardProgress

_WITHIN = 0.045
_LATENCIES = st.lists(st.floats(0.001, 1e7), min_size=1, max_size=200)
_SHARES = st.sampled_from(["0.5", "0.9", "0.95", "0.99", "0.999", "1"])


def sketch(latencies: list[float]) -> Latencies:
    counts: Latencies = {}
    for latency_ms in latencies:
        count_latency(counts, latency_ms)
    return counts


def exact_percentile(latencies: list[float], share: str) -> float:
    rank = math.ceil(Fraction(share) * len(latencies))
    return sorted(latencies)[rank - 1]


@given(latencies=_LATENCIES, share=_SHARES)
@example(latencies=[float(n) for n in range(1, 1001)], share="0.95")
@example(latencies=[1.0, 2.0, 4.0, 8.0], share="0.5")
@example(latencies=[2 ** (n / 8) for n in range(200)], share="0.9")
def test_a_percentile_is_within_four_and_a_half_percent_of_the_exact_one(latencies: list[float], share: str) -> None:
    found = percentile_ms(sketch(latencies), float(share))
    assert found is not None
    assert found == pytest.approx(exact_percentile(latencies, share), rel=_WITHIN)


def test_the_percentiles_of_many_latencies_are_right_within_the_promise() -> None:
    rng = random.Random(7)
    latencies = [rng.lognormvariate(6, 1) for _ in range(20_000)]
    counts = sketch(latencies)
    for share in ("0.5", "0.95", "0.99"):
        found = percentile_ms(counts, float(share))
        assert found == pytest.approx(exact_percentile(latencies, share), rel=_WITHIN)


@given(parts=st.lists(_LATENCIES, max_size=5), order=st.randoms(use_true_random=False))
def test_merging_gives_the_same_in_any_order_as_counting_all_at_once(
    parts: list[list[float]], order: random.Random
) -> None:
    sketches = [sketch(part) for part in parts]
    order.shuffle(sketches)
    merged: Latencies = {}
    for counts in sketches:
        merge_latencies(merged, counts)
    assert merged == sketch([latency for part in parts for latency in part])


def test_merging_leaves_the_merged_one_as_it_was() -> None:
    more = sketch([5.0])
    merge_latencies(counts := sketch([5.0]), more)
    assert (sum(counts.values()), sum(more.values())) == (2, 1)


@given(latencies=_LATENCIES)
def test_a_higher_share_never_has_a_lower_latency(latencies: list[float]) -> None:
    counts = sketch(latencies)
    found = [percentile_ms(counts, share) or 0 for share in (0, 0.25, 0.5, 0.95, 0.99, 1)]
    assert found == sorted(found)


def test_nothing_counted_has_no_percentile() -> None:
    assert percentile_ms({}, 0.5) is None


@pytest.mark.parametrize("latency_ms", [0.0, -1.0], ids=["a clock that stood still", "a clock that was set back"])
def test_a_latency_of_nothing_is_counted_as_a_very_short_one(latency_ms: float) -> None:
    found = percentile_ms(sketch([latency_ms]), 0.5)
    assert found == pytest.approx(0.001, rel=_WITHIN)


@given(latencies=_LATENCIES)
def test_counts_survive_json_whose_names_are_texts(latencies: list[float]) -> None:
    word = ShardProgress(shard=0, attempt=1, items=1, latency=sketch(latencies))
    assert all(isinstance(name, str) for name in json.loads(word.dump_json())["latency"])
    assert ShardProgress.load(word.dump_json()) == word
