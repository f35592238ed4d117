import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_cli.simulator.windows import SlidingWindow

_gaps = st.lists(st.tuples(st.floats(0, 20, allow_nan=False), st.integers(1, 7)), min_size=1, max_size=80)


@given(gaps=_gaps, allowed=st.integers(1, 12), window_s=st.sampled_from([0.5, 1.0, 10.0, 60.0]))
def test_no_stretch_of_a_window_holds_more_than_allowed(
    gaps: list[tuple[float, int]], allowed: int, window_s: float
) -> None:
    window = SlidingWindow(allowed, window_s)
    now, admitted = 0.0, list[tuple[float, int]]()
    for gap_s, amount in gaps:
        now += gap_s
        if window.fits(amount, now):
            window.charge(amount, now)
            admitted.append((now, amount))
    for start, _ in admitted:
        assert sum(amount for at, amount in admitted if at >= start and start + window_s > at) <= allowed


@given(gaps=_gaps, allowed=st.integers(1, 12), amount=st.integers(1, 12))
def test_what_is_rejected_fits_after_the_wait_and_not_before(
    gaps: list[tuple[float, int]], allowed: int, amount: int
) -> None:
    window, now = _filled(gaps, allowed)
    wait_s = window.wait_s(amount, now)
    if amount > allowed:
        assert wait_s == 10.0
    elif wait_s == 0:
        assert window.fits(amount, now)
    else:
        assert not window.fits(amount, now + wait_s * 0.999 - 1e-6)
        assert window.fits(amount, now + wait_s + 1e-6)


@given(gaps=_gaps, allowed=st.integers(1, 12))
def test_the_log_holds_no_more_entries_than_the_window_allows(gaps: list[tuple[float, int]], allowed: int) -> None:
    window, _ = _filled(gaps, allowed)
    assert len(window) <= allowed
    assert len(window._times) <= 2 * allowed + 1


@given(gaps=_gaps, allowed=st.integers(1, 12))
def test_the_window_is_whole_again_after_its_reset(gaps: list[tuple[float, int]], allowed: int) -> None:
    window, now = _filled(gaps, allowed)
    assert window.remaining(now + window.reset_s(now) + 1e-6) == allowed


def test_a_lower_limit_counts_what_was_charged_before() -> None:
    window = SlidingWindow(5, 10.0)
    for second in range(5):
        window.charge(1, float(second))
    window.allowed = 2
    assert window.remaining(4.0) == 0
    assert window.wait_s(1, 4.0) == pytest.approx(9.0)


def _filled(gaps: list[tuple[float, int]], allowed: int) -> tuple[SlidingWindow, float]:
    window, now = SlidingWindow(allowed, 10.0), 0.0
    for gap_s, amount in gaps:
        now += gap_s
        if window.fits(amount, now):
            window.charge(amount, now)
    return window, now
