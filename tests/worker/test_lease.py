"""How long a grant holds without a word: never longer than whoever gave it counts on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract.reports import LEASE_S, Grant
from llmbatch_worker.limits.lease import Lease

GRANT = Grant(number=1, requests_per_minute=60)


@pytest.mark.parametrize(
    ("grant", "is_over"),
    [
        pytest.param(GRANT, True, id="requests"),
        pytest.param(Grant(number=1, tokens_per_minute=1), True, id="tokens"),
        pytest.param(Grant(number=1, input_tokens_per_minute=1), True, id="input tokens"),
        pytest.param(Grant(number=1, concurrency=1), True, id="concurrency"),
        pytest.param(Grant(number=1), False, id="no limit"),
    ],
)
def test_only_limits_need_a_lease(grant: Grant, is_over: bool) -> None:
    lease = Lease()
    lease.renew(100, grant)
    assert not lease.is_over(100 + LEASE_S)
    assert lease.is_over(100.1 + LEASE_S) is is_over


_STEPS = st.lists(st.tuples(st.floats(0, 400), st.floats(0, 50), st.booleans(), st.floats(0, 400)), max_size=30)


@given(steps=_STEPS)
def test_whoever_counts_a_lease_from_its_reply_never_sees_it_used_for_longer(
    steps: list[tuple[float, float, bool, float]],
) -> None:
    """Time passes, a report goes, is answered on its way or lost, and the reply takes its time."""
    lease, now, free_at = Lease(), 0.0, 0.0
    for pause_s, way_s, is_answered, back_s in steps:
        now += pause_s
        reported_at = now
        if is_answered:
            free_at = now + way_s + LEASE_S
        if is_answered and back_s < 200:
            now += way_s + back_s
            lease.renew(reported_at, GRANT)
        for later_s in (0.0, 1.0, LEASE_S - 1, LEASE_S, LEASE_S + 60):
            if lease.has_begun and not lease.is_over(now + later_s):
                assert now + later_s <= free_at
