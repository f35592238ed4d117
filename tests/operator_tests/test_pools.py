"""Which batches share an endpoint, and how long what their pods have is kept in mind."""

from collections.abc import Collection

from llmbatch_contract.reports import LEASE_S, Report
from llmbatch_contract.sharing import Member
from llmbatch_contract.spec import Limits
from llmbatch_operator.facts import BatchRef
from llmbatch_operator.pools import KEPT_S, Pool, PoolKey, Pools, Worker

_A, _B = BatchRef("team-a", "one", "uid-1"), BatchRef("team-b", "two", "uid-2")
_LIMITS = Limits(requests_per_minute=600)


class _World:
    """Pools at a time."""

    def __init__(self, *expected: Worker) -> None:
        self.now = 0.0
        self.asked: list[PoolKey] = []
        self.expected = expected
        self.pools = Pools(lambda: self.now, self._expected)

    def _expected(self, key: PoolKey) -> Collection[Worker]:
        self.asked.append(key)
        return self.expected

    def pods(self, endpoint: str = "openai") -> int | None:
        """Those that report; None if there is no such pool."""
        pool = self.pools.get(endpoint)
        return None if pool is None else pool.shares.facts(self.now).pods


def _talks(pool: Pool, ref: BatchRef, worker: str = "pod", at: float = 0.0) -> None:
    pool.shares.heard(Member(ref.namespace, ref.uid, worker), Report(worker=worker), at)


def test_batches_that_refer_to_one_endpoint_share_it() -> None:
    pools = _World().pools
    pool = pools.join(_A, "openai", _LIMITS)
    assert pools.join(_B, "openai", _LIMITS) is pool is pools.get("openai")
    assert (pool.label, len(pools)) == ("openai", 1)


def test_batches_with_endpoints_of_their_own_share_nothing() -> None:
    pools = _World().pools
    assert pools.join(_A, None, _LIMITS) is not pools.join(_B, None, _LIMITS)
    assert pools.join(_A, None, _LIMITS).label == "team-a/one"
    assert pools.get("uid-1") is None, "an LLMEndpoint that is called like a batch is another one"


def test_pods_of_the_operator_before_are_looked_for_once_a_pool() -> None:
    world = _World()
    for ref, endpoint in ((_A, "openai"), (_B, "openai"), (_A, "openai")):
        world.pools.join(ref, endpoint, _LIMITS)
    assert world.asked == [PoolKey("openai")]


def test_other_limits_hold_for_those_who_are_there() -> None:
    world = _World()
    less = Limits(requests_per_minute=60)
    world.pools.set_limits("openai", less)  # nobody uses it
    pool = world.pools.join(_A, "openai", _LIMITS)
    world.pools.set_limits("openai", less)
    assert pool.shares.limits == less
    assert world.pools.join(_B, "openai", _LIMITS).shares.limits == less, "a batch may have been read before"


def test_pods_of_a_batch_that_has_ended_keep_their_share_until_they_end() -> None:
    world = _World()
    _talks(world.pools.join(_A, "openai", _LIMITS), _A)
    world.pools.join(_B, "openai", _LIMITS)
    world.pools.leave(_A.uid)
    assert world.pods() == 1
    world.pools.left(_A.uid, "pod")
    assert world.pods() == 0


def test_a_pool_outlives_its_last_batch_for_as_long_as_a_pod_might_ask() -> None:
    world = _World()
    pool = world.pools.join(_A, "openai", _LIMITS)
    world.pools.leave(_A.uid)
    world.now = LEASE_S + 60
    world.pools.tidy()
    assert world.pools.join(_B, "openai", _LIMITS) is pool
    world.pools.leave(_B.uid)
    world.now += KEPT_S
    world.pools.tidy()
    assert len(world.pools) == 0
    world.pools.left(_B.uid, "pod")  # nobody is touched


def test_a_batch_that_comes_back_is_not_forgotten() -> None:
    world = _World()
    pool = world.pools.join(_A, "openai", _LIMITS)
    world.pools.leave(_A.uid)
    world.pools.join(_A, "openai", _LIMITS)
    world.now = 2 * KEPT_S
    world.pools.tidy()
    assert world.pools.get("openai") is pool


def test_the_pool_of_a_single_batch_goes_with_it() -> None:
    world = _World()
    world.pools.join(_A, None, _LIMITS)
    world.pools.leave(_A.uid)
    assert len(world.pools) == 0
    world.pools.leave(_A.uid)


def test_the_end_of_an_expected_pod_is_heard_though_its_batch_has_not_joined() -> None:
    world = _World((_B.uid, "pod"))
    pool = world.pools.join(_A, "openai", _LIMITS)
    _talks(pool, _A)
    world.pools.left(_B.uid, "pod")
    world.pools.join(_B, "openai", _LIMITS)
    world.now = 2 * KEPT_S
    world.pools.tidy()
    assert world.pools.get("openai") is pool


def test_facts_are_a_second_old_at_most_and_not_made_anew_for_everybody() -> None:
    world = _World()
    pool = world.pools.join(_A, "openai", _LIMITS)
    world.pools.join(_B, None, _LIMITS)
    first = pool.facts(0)
    _talks(pool, _A)
    assert pool.facts(0.5) is first
    assert pool.facts(1.5).pods == 1
    world.now = 5
    assert {name: facts.pods for name, facts in world.pools.facts()} == {"openai": 1, None: 0}
