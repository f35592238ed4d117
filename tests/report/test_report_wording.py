"""Numbers on the page are those that people read."""

import pytest

from llmbatch_cli.report import wording
from llmbatch_cli.report.axes import amounts, magnitudes, seconds


@pytest.mark.parametrize(
    ("part", "of", "said"),
    [
        (0, 0, "–"), (0, 10, "0 %"), (1, 100_000, "< 0.1 %"), (1, 3, "33.3 %"), (5, 10, "50 %"),
        (99_999, 100_000, "> 99.9 %"),
        (10, 10, "100 %"), (15, 10, "150 %"),
    ],
)  # fmt: skip
def test_a_share_is_all_only_of_all(part: float, of: float, said: str) -> None:
    assert wording.share(part, of) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.04, "0 s"), (0.5, "0.5 s"), (2.0000001, "2 s"), (59.9, "60 s"), (59.96, "1 min"),
     (961, "16 min 1 s"), (7500, "2 h 5 min"),
     (90_000, "1 d 1 h"), (864_000, "10 d")],
)  # fmt: skip
def test_a_duration_has_its_two_largest_units(value: float, said: str) -> None:
    assert wording.duration(value) == said


@pytest.mark.parametrize(
    ("ms", "said"),
    [(None, "–"), (0.456, "0.46 ms"), (7.5, "7.5 ms"), (850.4, "850 ms"), (1000, "1.00 s"),
     (12_345, "12.3 s"), (125_000, "2 min 5 s")],
)  # fmt: skip
def test_a_latency_has_three_digits(ms: float | None, said: str) -> None:
    assert wording.latency(ms) == said


@pytest.mark.parametrize(
    ("amount", "said"),
    [(0, "0.00 USD"), (0.0154, "0.0154 USD"), (0.00001, "0.0000100 USD"), (0.4, "0.40 USD"),
     (1.005, "1.00 USD"), (12_345.678, "12,345.68 USD")],
)  # fmt: skip
def test_an_amount_has_as_many_digits_as_it_needs(amount: float, said: str) -> None:
    assert wording.money(amount, "USD") == said


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0"), (999, "999"), (1000, "1k"), (12_345, "12.3k"), (2.5e6, "2.5M"), (1e10, "10B")]
)
def test_a_number_in_little_room_is_short(number: float, said: str) -> None:
    assert wording.compact(number) == said


@pytest.mark.parametrize("most", [0, 1e-6, 0.3, 1, 7, 10, 99, 100, 1234, 1e7, 1e12])
def test_an_axis_of_amounts_holds_the_most_with_few_ticks(most: float) -> None:
    for axis in (amounts(most), amounts(most, is_tight=True)):
        assert axis.high >= most
        assert 2 <= len(axis.ticks) <= 6
        assert all(0 <= axis.at(value) <= 1 for value, _ in axis.ticks)


@pytest.mark.parametrize("end", [0, 0.05, 0.4, 3, 59, 61, 3599, 7200, 86_400, 1e6, 1e9])
def test_an_axis_of_time_has_few_ticks(end: float) -> None:
    assert 1 <= len(seconds(end).ticks) <= 7


@pytest.mark.parametrize(("least", "most"), [(1, 1), (0.001, 0.001), (5, 6), (10, 20_000), (0.01, 1e8)])
def test_a_logarithmic_axis_goes_from_the_least_to_the_most(least: float, most: float) -> None:
    axis = magnitudes(least, most, wording.short_latency)
    assert axis.at(least) == 0
    assert axis.at(axis.high) == 1
    assert len(axis.ticks) <= 12
