"""A batch, an operator and a cluster in memory; and what must hold at every moment, and at the end.

world = World(sizes=(3, 2))           a batch of five items in two shards
world.second()                        everything that is due happens once
world.cluster.edit(cancel=True)       what users do
world.run_to_the_end()                peace, until the batch has ended; checks the outcome
"""

from typing import Any

from builders import manifest
from llmbatch_contract.pods import Stage
from llmbatch_contract.status import LLMBatchStatus, Phase
from llmbatch_operator.facts import STAGE_LABEL, Body
from operator_tests.operator_builders import CONFIG_MAP, REF
from operator_tests.world_cluster import KINDS, LIMIT, WorldCluster
from operator_tests.world_objects import NAMESPACE, WorldPod, is_finished
from operator_tests.world_operator import WorldOperator
from operator_tests.world_pods import Conduct, WorldPods
from operator_tests.world_store import WorldStore
from operator_tests.world_told import WorldTold

ENDPOINT = "shared"
"""Name of the LLMEndpoint, in batches that refer to one."""
_ASKING = (Stage.CANARY, Stage.SHARD, Stage.RUN)
_LONGEST_S = 600
_UNTIL_TOLD_S = 7
"""After an end that the operator has written without hearing the answer, so much may pass until it looks again."""
_CREATED = "2026-11-22T00:00:00Z"


class World:
    """One batch and everything around it."""

    def __init__(
        self,
        sizes: tuple[int, ...] = (3, 2),
        conduct: Conduct | None = None,
        *,
        is_small: bool = False,
        traceparent: str | None = None,
        endpoint: Body | None = None,
        **spec: Any,
    ) -> None:
        """`sizes` are those of the shards; `endpoint` is the spec of an LLMEndpoint that the batch refers to.

        The other keywords are fields of the spec.
        """
        items: Body = {"items": [{"n": n} for n in range(sum(sizes))]}
        defaults = {
            "parallelism": 2,
            "input": items if is_small else CONFIG_MAP,
            "limits": {"requestsPerMinute": LIMIT},
        }
        body = manifest(REF.name, **defaults | spec)
        if endpoint is not None:
            body["spec"]["endpoint"] = {"ref": ENDPOINT}
        body["metadata"] |= {"namespace": NAMESPACE, "uid": REF.uid, "generation": 1, "creationTimestamp": _CREATED}
        if traceparent is not None:
            body["metadata"]["annotations"] = {"traceparent": traceparent}
        self.conduct = conduct or Conduct()
        self.transitions: set[tuple[Phase, Phase]] = set()
        self.store = WorldStore(sizes)
        self.cluster = WorldCluster(body)
        if endpoint:
            self.cluster.put_endpoint(ENDPOINT, **endpoint)
        self.cluster.on_status, self.cluster.on_job = self._check_status, self._check_job
        self.operator = WorldOperator(self.cluster)
        self.told = WorldTold(self.operator)
        self.pods = WorldPods(self.cluster, self.store, self.conduct, self.operator.report)

    @property
    def status(self) -> LLMBatchStatus:
        """As the API server has it."""
        assert self.cluster.batch is not None
        return LLMBatchStatus.model_validate(self.cluster.batch.get("status") or {"phase": "Pending"})

    @property
    def spec(self) -> Body:
        """As the API server has it."""
        assert self.cluster.batch is not None
        spec: Body = self.cluster.batch["spec"]
        return spec

    def alive(self, *stages: Stage) -> list[WorldPod]:
        """Pods that have not ended, of all stages or some."""
        return [p for p in self.cluster.pods.values() if not p.is_over and (not stages or p.stage in stages)]

    def second(self) -> None:
        """Everything that is due happens, and nothing goes wrong."""
        self.cluster.seconds += 1
        for kind in KINDS:
            self.operator.hear(kind, 1000)
        self.operator.look_at_reports()
        self.operator.look()
        for job in list(self.cluster.jobs.values()):
            self.cluster.control(job)
        for pod in list(self.cluster.pods.values()):
            self.pods.step(pod)
        self.told.check()
        self.check_limit()

    def seconds(self, most: int) -> None:
        """So many seconds; fewer if the batch has ended."""
        for _ in range(most):
            if self.status.phase.is_final and not self.alive():
                return
            self.second()

    def until(self, phase: Phase) -> None:
        """Until the batch is in a phase."""
        for _ in range(_LONGEST_S):
            if self.status.phase is phase:
                return
            self.second()
        raise AssertionError(f"it never was {phase}: {self.status}")

    def run_to_the_end(self) -> LLMBatchStatus:
        """The final status."""
        self.seconds(_LONGEST_S)
        self._check_end()
        for _ in range(_UNTIL_TOLD_S):
            self.second()
        self.told.check_end(self.status)
        return self.status

    def check_held(self) -> None:
        """Suspended, it has no pods."""
        assert self.status.phase is Phase.SUSPENDED, self.status
        assert self.alive() == []

    def check_limit(self) -> None:
        """What pods were granted that may use it is within the limit."""
        asking = [p for p in self.alive(*_ASKING) if p.phase == "Running"]
        assert sum(p.grant.requests_per_minute or 0 for p in asking) <= LIMIT, asking

    def _check_status(self, old: Body | None, new: Body) -> None:
        """At every write: counts add up and never go backwards, and an end is an end."""
        after = LLMBatchStatus.model_validate(new)
        counts = after.items
        if counts is not None:
            parts = counts.pending + counts.running + counts.succeeded + counts.failed + counts.cancelled
            assert parts == counts.total, counts
        if not old or "phase" not in old:
            return
        before = LLMBatchStatus.model_validate(old)
        if before.phase is not after.phase:
            self.transitions.add((before.phase, after.phase))
        # An end may be written twice, if the answer to the first write got lost.
        assert not before.phase.is_final or after.phase is before.phase, f"{before.phase} became {after.phase}"
        if before.items is not None:
            assert counts is not None
            assert counts.total == before.items.total
            assert counts.succeeded >= before.items.succeeded
            assert counts.failed >= before.items.failed

    def _check_job(self, body: Body) -> None:
        """At every Job that is made: nobody asks while outputs are written, and nothing comes after the end."""
        if body["metadata"]["labels"][STAGE_LABEL] == Stage.CLEAN.value:
            assert self.cluster.batch is None, "what a batch needs would be removed"
            return
        assert not self.status.phase.is_final
        if body["metadata"]["labels"][STAGE_LABEL] == Stage.SHARD.value:
            assert self.alive(Stage.CANARY) == [], "two pods would have the same shard"
        if body["metadata"]["labels"][STAGE_LABEL] == Stage.FINALIZE.value:
            assert self.alive(*_ASKING) == [], "outputs are written while pods still ask"

    def _check_end(self) -> None:
        status = self.status
        assert status.phase.is_final, (status, list(self.cluster.jobs))
        assert self.alive() == []
        assert all(is_finished(job) or job["spec"].get("suspend") for job in self.cluster.jobs.values())
        summary = self.store.summary
        if summary is None:
            assert self.store.plan is None or status.phase in (Phase.FAILED, Phase.CANCELLED)
            return
        assert status.items is not None
        assert status.output is not None
        told = (status.items.total, status.items.succeeded, status.items.failed, status.items.cancelled)
        assert told == (summary.items, summary.succeeded, summary.failed, summary.cancelled)
        if summary.cancelled:
            assert status.phase in (Phase.FAILED, Phase.CANCELLED)
        elif status.phase in (Phase.SUCCEEDED, Phase.COMPLETED_WITH_ERRORS):
            assert (status.phase is Phase.COMPLETED_WITH_ERRORS) == bool(summary.failed)
