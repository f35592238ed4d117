"""The whole operator against a cluster in memory, with random edits, deaths, lagging watches and restarts.

What is promised, whatever happens: a batch that its user lets end, ends; counts add up and never go backwards; outputs
exist for what was planned; nobody asks any more when the outputs are being written.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from builders import manifest
from llmbatch_contract.pods import Stage
from llmbatch_contract.status import LLMBatchStatus, Phase
from llmbatch_operator.facts import STAGE_LABEL, Body
from operator_tests.world_cluster import Fault, WorldCluster
from operator_tests.world_objects import NAMESPACE, WorldPod, is_finished
from operator_tests.world_operator import WorldOperator
from operator_tests.world_pods import Conduct, WorldPods
from operator_tests.world_store import WorldStore

_ASKING = (Stage.SHARD, Stage.RUN)
_KINDS = ("batch", "job", "pod")
_ROUNDS = 400
_UID = "3f2a1c00-0000-4000-8000-000000000000"


class OperatorWorld(RuleBasedStateMachine):
    """One batch and everything that may happen to it."""

    @initialize(
        sizes=st.lists(st.integers(1, 20), min_size=0, max_size=4).map(tuple),
        is_small=st.booleans(),
        is_suspended=st.booleans(),
        parallelism=st.integers(1, 3),
        conduct=st.builds(
            Conduct,
            is_input_good=st.sampled_from([True, True, True, False]),
            is_input_there=st.sampled_from([True, True, True, False]),
            fails_every=st.sampled_from([0, 0, 2, 3]),
            stops_after=st.sampled_from([None, None, None, 0, 3]),
            dying=st.sampled_from([*[None] * 8, *Stage]),
        ),
        max_failure_percent=st.sampled_from([None, None, 10]),
        deadline_s=st.sampled_from([None, None, None, 30]),
        peace=st.integers(0, 15),
    )
    def begin(
        self,
        sizes: tuple[int, ...],
        is_small: bool,
        is_suspended: bool,
        parallelism: int,
        conduct: Conduct,
        max_failure_percent: int | None,
        deadline_s: int | None,
        peace: int,
    ) -> None:
        """Somebody applies a batch."""
        source: Body = {"items": [{"n": n} for n in range(sum(sizes))]} if is_small else {"configMap": _CONFIG_MAP}
        spec: dict[str, Any] = {"parallelism": parallelism, "suspend": is_suspended, "input": source}
        if deadline_s is not None:
            spec["active_deadline_seconds"] = deadline_s
        if max_failure_percent is not None:
            spec["failure_policy"] = {"maxFailurePercent": max_failure_percent, "minItems": 2}
        body = manifest(**spec)
        body["metadata"] |= {"namespace": NAMESPACE, "uid": _UID, "generation": 1}
        self.conduct, self.was_cancelled = conduct, False
        self.store = WorldStore(sizes)
        self.cluster = WorldCluster(body)
        self.cluster.on_status, self.cluster.on_job = self.check_status, self.check_job
        self.operator = WorldOperator(self.cluster)
        self.pods = WorldPods(self.cluster, self.store, conduct, lambda pod, report: self.operator.report(pod, report))
        self.all_goes_well_for_a_while(peace)

    # What happens by itself

    @rule(kind=st.sampled_from(_KINDS), count=st.integers(1, 5))
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

    @rule(data=st.data(), steps=st.integers(1, 4))
    def a_pod_goes_on(self, data: st.DataObject, steps: int) -> None:
        pod = self.some_pod(data)
        for _ in range(steps):
            if pod is not None and pod.uid in self.cluster.pods:
                self.pods.step(pod)

    @rule(rounds=st.integers(1, 5))
    def all_goes_well_for_a_while(self, rounds: int) -> None:
        for _ in range(rounds):
            self.a_second_of_peace()

    # What users do

    @rule(is_suspended=st.booleans())
    def somebody_suspends_or_resumes(self, is_suspended: bool) -> None:
        self.cluster.edit(suspend=is_suspended)

    @rule()
    def somebody_cancels(self) -> None:
        self.cluster.edit(cancel=True)

    @rule(parallelism=st.integers(1, 5))
    def somebody_changes_the_parallelism(self, parallelism: int) -> None:
        self.cluster.edit(parallelism=parallelism)

    @rule()
    def somebody_spoils_the_spec(self) -> None:
        """In a way that the API server does not see."""
        self.cluster.edit(parallelism=0)

    @rule(data=st.data())
    def somebody_deletes_a_job(self, data: st.DataObject) -> None:
        if self.cluster.jobs:
            self.cluster.delete_job(data.draw(st.sampled_from(sorted(self.cluster.jobs))))

    @rule(data=st.data())
    def somebody_deletes_a_pod(self, data: st.DataObject) -> None:
        if (pod := self.some_pod(data)) is not None:
            self.cluster.delete_pod(pod)

    # What goes wrong

    @rule(data=st.data())
    def a_pod_dies(self, data: st.DataObject) -> None:
        if (pod := self.some_pod(data)) is not None:
            self.pods.kill(pod)

    @rule(data=st.data())
    def a_node_is_lost(self, data: st.DataObject) -> None:
        if (pod := self.some_pod(data)) is not None:
            self.cluster.remove_pod(pod)

    @rule()
    def the_operator_restarts(self) -> None:
        self.operator.restart()

    @rule(faults=st.lists(st.sampled_from([None, *Fault]), min_size=1, max_size=4))
    def the_api_server_fails(self, faults: list[Fault | None]) -> None:
        self.cluster.faults.extend(faults)

    @precondition(lambda self: not self.conduct.is_input_there)
    @rule()
    def the_input_comes(self) -> None:
        self.conduct.is_input_there = True

    # What must hold

    def check_status(self, old: Body | None, new: Body) -> None:
        """At every write of the status."""
        after = LLMBatchStatus.model_validate(new)
        counts = after.items
        if counts is not None:
            parts = counts.pending + counts.running + counts.succeeded + counts.failed + counts.cancelled
            assert parts == counts.total, counts
        if not old or "phase" not in old:
            return
        before = LLMBatchStatus.model_validate(old)
        assert not before.phase.is_final or after.phase is before.phase, f"{before.phase} became {after.phase}"
        if before.items is not None:
            assert counts is not None
            assert counts.total == before.items.total
            assert counts.succeeded >= before.items.succeeded
            assert counts.failed >= before.items.failed

    def check_job(self, body: Body) -> None:
        """At every Job that is made."""
        assert not self.is_final
        if body["metadata"]["labels"][STAGE_LABEL] == Stage.FINALIZE.value:
            asking = [p.name for p in self.cluster.pods.values() if p.stage in _ASKING and not p.is_over]
            assert asking == [], "outputs are written while pods still ask"

    def teardown(self) -> None:
        """Peace: everything that is due happens, and nothing goes wrong any more."""
        if not hasattr(self, "cluster"):
            return
        self.cluster.faults.clear()
        self.conduct.is_input_there = True
        was_held = self.status.phase is Phase.SUSPENDED and self.is_suspended
        self.rounds_of_peace(60)
        if self.is_suspended and not self.is_final and (was_held or self.is_valid):
            self.check_suspended()
        self.cluster.edit(suspend=False, parallelism=2)
        self.rounds_of_peace(_ROUNDS)
        self.check_end()

    def check_suspended(self) -> None:
        live = [p for p in self.cluster.pods.values() if not p.is_over]
        assert self.status.phase is Phase.SUSPENDED, self.status
        assert live == []

    def check_end(self) -> None:
        status = self.status
        assert status.phase.is_final, (status, list(self.cluster.jobs))
        assert [p.name for p in self.cluster.pods.values() if not p.is_over] == []
        assert all(is_finished(job) or job["spec"].get("suspend") for job in self.cluster.jobs.values())
        summary = self.store.summary
        if summary is None:
            assert self.store.plan is None or status.phase in (Phase.FAILED, Phase.CANCELLED)
            return
        assert status.items is not None and status.output is not None
        told = (status.items.total, status.items.succeeded, status.items.failed, status.items.cancelled)
        assert told == (summary.items, summary.succeeded, summary.failed, summary.cancelled)
        if summary.cancelled:
            assert status.phase in (Phase.FAILED, Phase.CANCELLED)
        elif status.phase in (Phase.SUCCEEDED, Phase.COMPLETED_WITH_ERRORS):
            assert (status.phase is Phase.COMPLETED_WITH_ERRORS) == bool(summary.failed)

    # How

    @property
    def status(self) -> LLMBatchStatus:
        assert self.cluster.batch is not None
        return LLMBatchStatus.model_validate(self.cluster.batch.get("status") or {"phase": "Pending"})

    @property
    def is_final(self) -> bool:
        return self.status.phase.is_final

    @property
    def spec(self) -> Body:
        assert self.cluster.batch is not None
        spec: Body = self.cluster.batch["spec"]
        return spec

    @property
    def is_suspended(self) -> bool:
        return bool(self.spec.get("suspend"))

    @property
    def is_valid(self) -> bool:
        return bool(self.spec["parallelism"])

    def some_pod(self, data: st.DataObject) -> WorldPod | None:
        pods = list(self.cluster.pods.values())
        return data.draw(st.sampled_from(pods)) if pods else None

    def rounds_of_peace(self, rounds: int) -> None:
        for _ in range(rounds):
            before = self.cluster.seconds
            self.a_second_of_peace()
            assert self.cluster.seconds > before
            if self.is_final and all(p.is_over for p in self.cluster.pods.values()):
                return

    def a_second_of_peace(self) -> None:
        self.cluster.seconds += 1
        for kind in _KINDS:
            self.operator.hear(kind, 1000)
        self.operator.look_at_reports()
        self.operator.look()
        for job in list(self.cluster.jobs.values()):
            self.cluster.control(job)
        for pod in list(self.cluster.pods.values()):
            self.pods.step(pod)


_CONFIG_MAP = {"name": "items", "key": "items.jsonl"}

TestOperatorWorld = OperatorWorld.TestCase
TestOperatorWorld.settings = settings(
    max_examples=int(__import__("os").environ.get("EX", "150")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
