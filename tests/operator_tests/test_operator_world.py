"""The whole operator against a cluster in memory, with random edits, deaths, lagging watches and restarts.

What is promised, whatever happens: a batch that its user lets end, ends; counts add up and never go backwards; outputs
exist for what was planned; nobody asks any more when the outputs are being written. What is told of a batch as metrics
never goes backwards either, and equals the status at the end. `world.py` and `world_told.py` check it.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmbatch_contract.pods import Stage
from llmbatch_contract.status import Phase
from operator_tests.world import ENDPOINT, World
from operator_tests.world_cluster import KINDS, Fault
from operator_tests.world_objects import WorldPod
from operator_tests.world_pods import Conduct

_CONDUCTS = st.builds(
    Conduct,
    is_input_good=st.sampled_from([True, True, True, False]),
    is_input_there=st.sampled_from([True, True, True, False]),
    fails_every=st.sampled_from([0, 0, 2, 3]),
    stops_after=st.sampled_from([None, None, None, 0, 3]),
    dying=st.sampled_from([*[None] * 8, *Stage]),
)
_SPECS = st.fixed_dictionaries(
    {"parallelism": st.integers(1, 3), "suspend": st.booleans()},
    optional={
        "active_deadline_seconds": st.just(30),
        "failure_policy": st.just({"maxFailurePercent": 10, "minItems": 2}),
        "canary": st.sampled_from([{"items": 2}, {"items": 3, "approve": "manual"}, {"items": 50}]),
        "budget": st.just({"maxTokens": 12}),
        "output": st.just({"uri": "s3://answers/nightly"}),
        "window": st.just({"start": "00:02", "end": "00:01"}),
    },
)
_ENDPOINTS = st.fixed_dictionaries(
    {"url": st.sampled_from(["http://a:8000/v1", "http://b:8000/v1"])},
    optional={
        "apiKeySecret": st.sampled_from([{"name": "one", "key": "k"}, {"name": "two", "key": "k"}]),
        "limits": st.just({"requestsPerMinute": 200.0}),
        "allowedNamespaces": st.just(["team-b"]),
        "headers": st.just({"Authorization": "a mistake"}),
    },
)
_SIZES = st.lists(st.integers(1, 20), max_size=4).map(tuple)
_PICK = st.integers(0, 10**6)


class OperatorWorld(RuleBasedStateMachine):
    """One batch and everything that may happen to it."""

    @initialize(
        sizes=_SIZES,
        conduct=_CONDUCTS,
        is_small=st.booleans(),
        spec=_SPECS,
        endpoint=st.none() | st.just({}) | _ENDPOINTS,
        peace=st.integers(0, 15),
    )
    def somebody_applies_a_batch(
        self,
        sizes: tuple[int, ...],
        conduct: Conduct,
        is_small: bool,
        spec: dict[str, Any],
        endpoint: dict[str, Any] | None,
        peace: int,
    ) -> None:
        self.world = World(sizes, conduct, is_small=is_small, endpoint=endpoint, **spec)
        self.cluster, self.operator = self.world.cluster, self.world.operator
        self.world.seconds(peace)

    # What happens by itself

    @rule(kind=st.sampled_from(KINDS), count=st.integers(1, 5))
    def news_arrives(self, kind: str, count: int) -> None:
        self.operator.hear(kind, count)

    @rule()
    def the_operator_looks(self) -> None:
        self.operator.look()

    @rule(seconds=st.sampled_from([1, 1, 1, 5, 20]))
    def time_passes(self, seconds: int) -> None:
        self.cluster.seconds += seconds
        self.operator.look_at_reports()
        self.operator.look()

    @rule()
    def the_job_controller_looks(self) -> None:
        for job in list(self.cluster.jobs.values()):
            self.cluster.control(job)

    @rule(pick=_PICK, steps=st.integers(1, 4))
    def a_pod_goes_on(self, pick: int, steps: int) -> None:
        for pod in self.one_of_the_pods(pick):
            for _ in range(steps):
                if pod.uid in self.cluster.pods:
                    self.world.pods.step(pod)

    @rule(seconds=st.integers(1, 5))
    def all_goes_well_for_a_while(self, seconds: int) -> None:
        self.world.seconds(seconds)

    # What users do

    @rule(is_suspended=st.booleans())
    def somebody_suspends_or_resumes(self, is_suspended: bool) -> None:
        self.cluster.edit(suspend=is_suspended)

    @rule()
    def somebody_cancels(self) -> None:
        self.cluster.edit(cancel=True)

    @rule()
    def somebody_approves(self) -> None:
        if canary := self.world.spec.get("canary"):
            self.cluster.edit(canary={**canary, "approved": True})

    @rule(tokens=st.sampled_from([4, 20, 1000]))
    def somebody_changes_the_budget(self, tokens: int) -> None:
        self.cluster.edit(budget={"maxTokens": tokens})

    @rule(canary=st.sampled_from([None, {"items": 4}]))
    def somebody_changes_the_canary(self, canary: dict[str, Any] | None) -> None:
        self.cluster.edit(canary=canary)

    @rule(endpoint=_ENDPOINTS)
    def somebody_changes_the_endpoint(self, endpoint: dict[str, Any]) -> None:
        self.cluster.put_endpoint(ENDPOINT, **endpoint)

    @precondition(lambda self: self.cluster.endpoints)
    @rule()
    def somebody_deletes_the_endpoint(self) -> None:
        self.cluster.delete_endpoint(ENDPOINT)

    @rule(parallelism=st.integers(1, 5))
    def somebody_changes_the_parallelism(self, parallelism: int) -> None:
        self.cluster.edit(parallelism=parallelism)

    @rule()
    def somebody_spoils_the_spec(self) -> None:
        """In a way that the API server does not see."""
        self.cluster.edit(parallelism=0)

    @rule(pick=_PICK)
    def somebody_deletes_a_job(self, pick: int) -> None:
        if names := sorted(self.cluster.jobs):
            self.cluster.delete_job(names[pick % len(names)])

    @rule(pick=_PICK)
    def somebody_deletes_a_pod(self, pick: int) -> None:
        for pod in self.one_of_the_pods(pick):
            self.cluster.delete_pod(pod)

    # What goes wrong

    @rule(pick=_PICK)
    def a_pod_dies(self, pick: int) -> None:
        for pod in self.one_of_the_pods(pick):
            self.world.pods.kill(pod)

    @rule(pick=_PICK)
    def a_node_is_lost(self, pick: int) -> None:
        for pod in self.one_of_the_pods(pick):
            self.cluster.remove_pod(pod)

    @rule()
    def the_operator_restarts(self) -> None:
        self.operator.restart()

    @rule(faults=st.lists(st.sampled_from([None, *Fault]), min_size=1, max_size=4))
    def the_api_server_fails(self, faults: list[Fault | None]) -> None:
        self.cluster.faults.extend(faults)

    @precondition(lambda self: not self.world.conduct.is_input_there)
    @rule()
    def the_input_comes(self) -> None:
        self.world.conduct.is_input_there = True

    @invariant()
    def what_is_told_never_goes_backwards(self) -> None:
        if hasattr(self, "world"):
            self.world.told.check()

    @invariant()
    def the_limit_of_the_endpoint_holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check_limit()

    def teardown(self) -> None:
        """Nothing goes wrong any more: what is suspended stays so, and when it is resumed it ends."""
        if not hasattr(self, "world"):
            return
        world = self.world
        was_held = world.status.phase is Phase.SUSPENDED
        self.cluster.faults.clear()
        world.conduct.is_input_there = True
        world.seconds(60)
        if world.spec["suspend"] and not world.status.phase.is_final and (was_held or world.spec["parallelism"]):
            world.check_held()
        self.cluster.edit(suspend=False, parallelism=2, canary=None, budget=None)
        self.cluster.put_endpoint(ENDPOINT, url="http://last:8000/v1")
        world.run_to_the_end()

    def one_of_the_pods(self, pick: int) -> list[WorldPod]:
        """Any pod, if there is one."""
        pods = list(self.cluster.pods.values())
        return [pods[pick % len(pods)]] if pods else []


TestOperatorWorld = OperatorWorld.TestCase
TestOperatorWorld.settings = settings(
    max_examples=200, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
