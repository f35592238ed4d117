"""The limit of an LLMEndpoint holds whatever happens to pods, messages, watches and the operator.

`world_sharing.py` says what is real and what is simulated; here is what happens to it.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from llmbatch_contract.reports import LEASE_S
from operator_tests.world_sharing import SharingPod, SharingWorld

_PICK = st.integers(0, 1000)


class LimitsWorld(RuleBasedStateMachine):
    """Some batches of two namespaces, one endpoint."""

    @initialize(batches=st.integers(1, 3), pods=st.integers(1, 5))
    def batches_run(self, batches: int, pods: int) -> None:
        self.world = SharingWorld(batches)
        for number in range(pods):
            self.world.start_pod(number)
        self.world.in_peace(8)

    def one(self, pick: int) -> SharingPod:
        return self.world.pods[pick % len(self.world.pods)]

    # What happens all the time

    @rule(pick=_PICK)
    def a_pod_reports(self, pick: int) -> None:
        self.world.report(self.one(pick))

    @rule(pick=_PICK)
    def a_reply_gets_lost(self, pick: int) -> None:
        self.world.report(self.one(pick), arrives=False)

    @rule(pick=_PICK)
    def a_reply_comes_late(self, pick: int) -> None:
        self.world.report(self.one(pick), is_late=True)

    @rule(pick=_PICK)
    def a_late_reply_comes(self, pick: int) -> None:
        self.world.arrive(self.one(pick))

    @rule(seconds=st.sampled_from([0.1, 1, 1, 5, 20, 100, LEASE_S]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)
        for pod in self.world.pods:  # no reply takes longer than a worker waits for it
            pod.late = pod.late if seconds < 10 else None

    @rule(count=st.integers(1, 5))
    def news_arrives(self, count: int) -> None:
        self.world.hear(count)

    @rule(number=_PICK)
    def the_operator_looks_at_a_batch(self, number: int) -> None:
        self.world.open(number)

    @rule(seconds=st.integers(1, 5))
    def all_goes_well_for_a_while(self, seconds: int) -> None:
        self.world.in_peace(seconds)

    # What happens now and then

    @rule(batch=_PICK)
    def a_pod_starts(self, batch: int) -> None:
        if len(self.world.pods) < 12:
            self.world.start_pod(batch)

    @rule(pick=_PICK)
    def a_pod_leaves(self, pick: int) -> None:
        self.world.leave(self.one(pick))

    @rule(pick=_PICK)
    def a_pod_is_killed(self, pick: int) -> None:
        self.world.end(self.one(pick))

    @rule(pick=_PICK)
    def a_node_is_lost(self, pick: int) -> None:
        self.world.lose(self.one(pick))

    @rule(number=_PICK)
    def a_batch_is_deleted(self, number: int) -> None:
        self.world.delete_batch(number)

    @rule(limit=st.sampled_from([100.0, 300.0, 600.0, 900.0]))
    def somebody_changes_the_limit(self, limit: float) -> None:
        self.world.set_limit(limit)

    @rule()
    def the_operator_restarts(self) -> None:
        self.world.restart()

    @invariant()
    def the_limit_holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        """When all is well again, those who are there have nearly all of it: nothing is kept for the dead for ever."""
        if not hasattr(self, "world"):
            return
        self.world.in_peace(int(LEASE_S) + 60, at_once=30)
        self.world.in_peace(30)
        if working := self.world.working():
            used = sum(pod.may_use(self.world.now) for pod in working)
            assert used >= 0.8 * self.world.limits[-1], [(p.name, p.grant, p.is_paused) for p in working]


TestLimitsWorld = LimitsWorld.TestCase
TestLimitsWorld.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def _share(world: SharingWorld, *pods: SharingPod) -> float:
    return sum(pod.may_use(world.now) for pod in pods)


def test_after_a_restart_a_pod_keeps_what_it_has_and_a_new_one_waits_until_all_were_heard() -> None:
    world = SharingWorld(2)
    old, silent = world.start_pod(0), world.start_pod(1)
    world.in_peace(80)
    before = _share(world, old)
    assert before > 0
    world.restart()
    new = world.start_pod(0)
    world.report(old)
    assert _share(world, old) == before, "no session is open yet"
    for _ in range(10):
        world.pass_time(1)
        world.hear(100)
        world.open(0)
        world.report(old)
        world.report(new)
    assert _share(world, old) == before
    assert _share(world, new) == 0, "the other batch has not been heard of"
    world.open(1)
    world.report(silent)
    world.in_peace(10)
    assert _share(world, new) > 0


def test_the_share_of_a_pod_that_ended_while_the_operator_was_away_is_free() -> None:
    world = SharingWorld(1)
    gone = world.start_pod(0)
    world.in_peace(80)
    world.end(gone)
    world.restart()
    new = world.start_pod(0)
    world.in_peace(80)
    assert _share(world, new) > 500


def test_the_share_of_a_pod_that_was_deleted_by_force_is_free_when_it_cannot_use_it_any_more() -> None:
    world = SharingWorld(1)
    gone = world.start_pod(0)
    world.in_peace(80)
    world.lose(gone)
    new = world.start_pod(0)
    world.in_peace(int(LEASE_S) - 10)
    assert _share(world, gone) > 500
    assert _share(world, new) < 50
    world.in_peace(90)
    assert _share(world, new) > 500


def test_a_pod_that_never_started_is_not_waited_for() -> None:
    world = SharingWorld(1)
    pod = world.start_pod(0)
    world.in_peace(80)
    stuck = world.start_pod(0)
    stuck.is_running, stuck.started_at = False, float("inf")
    world.restart()
    world.in_peace(10)
    other = world.start_pod(0)
    world.in_peace(5)
    assert _share(world, other) == 0
    world.in_peace(10)
    assert _share(world, other) > 0
    assert _share(world, pod) > 0


def test_after_a_restart_pods_of_a_batch_that_was_just_deleted_count_until_they_end() -> None:
    world = SharingWorld(2)
    doomed, other = world.start_pod(0), world.start_pod(1)
    world.in_peace(80)
    held = _share(world, doomed)
    assert held > 0
    world.delete_batch(0)
    world.restart()
    world.in_peace(20)
    assert _share(world, doomed) == held, "nobody has told it to end"
    assert _share(world, doomed, other) <= 600
    world.end(doomed)
    world.in_peace(80)
    assert _share(world, other) > 500


def test_a_pod_that_vanishes_after_a_restart_counts_though_its_batch_was_not_looked_at_yet() -> None:
    world = SharingWorld(1)
    gone, other = world.start_pod(0), world.start_pod(0)
    world.in_peace(80)
    held = _share(world, gone)
    world.restart()
    world.lose(gone)
    world.hear(100)
    world.in_peace(20)
    assert _share(world, gone) == held
    assert _share(world, gone, other) <= 600
