from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract.usage import Pricing, Usage

_TOKENS = st.integers(0, 10**9)
_PRICES = st.decimals(min_value=0, max_value=1000, places=3).map(float)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    prompt, answer = draw(_TOKENS), draw(_TOKENS)
    return Usage(prompt, answer, draw(st.integers(0, prompt)), draw(st.integers(0, answer)))


@pytest.mark.parametrize(
    ("usage", "pricing", "cost"),
    [
        pytest.param(Usage(1_000_000, 0), Pricing(input_per_million=2), 2.0, id="a million prompt tokens"),
        pytest.param(
            Usage(0, 1_000_000), Pricing(input_per_million=2, output_per_million=8), 8.0, id="a million answer tokens"
        ),
        pytest.param(Usage(500, 500), Pricing(input_per_million=2, output_per_million=8), 0.005, id="a small request"),
        pytest.param(
            Usage(1_000_000, 0, cached=750_000),
            Pricing(input_per_million=2, cached_input_per_million=0.5),
            0.875,
            id="cached tokens at their own price",
        ),
        pytest.param(
            Usage(1_000_000, 0, cached=750_000), Pricing(input_per_million=2), 2.0, id="cached tokens without a price"
        ),
        pytest.param(
            Usage(1_000_000, 0, cached=1_000_000),
            Pricing(input_per_million=2, cached_input_per_million=0),
            0.0,
            id="cached tokens that are free",
        ),
        pytest.param(
            Usage(0, 1_000_000, reasoning=900_000),
            Pricing(input_per_million=0, output_per_million=8),
            8.0,
            id="reasoning is part of the answer",
        ),
        pytest.param(Usage(), Pricing(input_per_million=2), 0.0, id="nothing used"),
        pytest.param(Usage(10, 10), None, None, id="no prices known"),
    ],
)
def test_tokens_cost_what_the_price_list_says(usage: Usage, pricing: Pricing | None, cost: float | None) -> None:
    assert usage.cost(pricing) == (None if cost is None else pytest.approx(cost))


@given(usage=usages(), prompt=_PRICES, cached=_PRICES, answer=_PRICES)
def test_the_cost_is_the_exact_sum_but_for_rounding(usage: Usage, prompt: float, cached: float, answer: float) -> None:
    pricing = Pricing(input_per_million=prompt, cached_input_per_million=cached, output_per_million=answer)
    fresh = usage.input - usage.cached
    exact = fresh * Fraction(prompt) + usage.cached * Fraction(cached) + usage.output * Fraction(answer)
    assert usage.cost(pricing) == pytest.approx(float(exact / 10**6), rel=1e-9, abs=1e-12)


@given(usages(), usages(), usages())
def test_usage_adds_up_in_any_order(first: Usage, second: Usage, third: Usage) -> None:
    assert first + second + third == third + (second + first)
    assert (first + second).total == first.total + second.total
    assert first + Usage() == first


@given(usages())
def test_a_record_reads_back_as_the_usage_it_was_written_from(usage: Usage) -> None:
    assert Usage.from_record(usage.record()) == usage
    assert usage.record()["total_tokens"] == usage.input + usage.output


def test_a_record_leaves_out_what_the_endpoint_did_not_use() -> None:
    assert Usage(3, 4).record() == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    assert Usage.from_record({}) == Usage()
