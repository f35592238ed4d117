"""What the reconciler does when an object of a batch is refused or its outputs could not be written."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.reports import StopReason
from llmbatch_contract.status import ConditionType, ItemCounts, LLMBatchStatus, OutputPlaces, Phase
from llmbatch_operator.facts import BatchRef, Body
from llmbatch_operator.jobs import job
from llmbatch_operator.kube import CallError, Kube
from llmbatch_operator.observed import CreateJob
from llmbatch_operator.reconcile import Reconciler
from llmbatch_operator.sessions import Sessions
from llmbatch_operator.settings import read_settings
from operator_tests.kube_bodies import batch_body, job_body
from operator_tests.operator_builders import FINALIZE, PLAN, REF, manifest, status

_SETTINGS = read_settings({})


@dataclass
class _Cluster:
    """An API server that has no room for ConfigMaps."""

    written: list[Body] = field(default_factory=list)
    patched: list[Body] = field(default_factory=list)

    async def apply_config_map(self, body: Body) -> None:
        raise CallError(403, "exceeded quota")

    async def patch_job(self, namespace: str, name: str, spec: Body) -> Body | None:
        self.patched.append(spec)
        return None

    async def write_status(self, ref: BatchRef, body: Body) -> Body | None:
        self.written.append(body)
        return {}


@dataclass
class _Bench:
    cluster: _Cluster = field(default_factory=_Cluster)
    ended: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sessions = Sessions(lambda _uid: None)
        self.reconciler = Reconciler(
            cast("Kube", self.cluster), self.sessions, _SETTINGS, "", b"key",
            tell=lambda _body, _event: None, again=lambda _uid, _s: None,
            on_gone=lambda _uid: None, on_ended=self.ended.append,
        )  # fmt: skip


def _body(was: LLMBatchStatus, **spec: Any) -> Body:
    body = batch_body(**spec)
    body["status"] = was.dump()
    return body


async def test_a_batch_whose_configuration_is_refused_is_halted_all_the_same() -> None:
    """Else a quota of ConfigMaps would keep a cancelled batch from ending."""
    bench = _Bench()
    bench.sessions.cache.put_batch(_body(status(Phase.PLANNING, observed_generation=0), cancel=True))
    bench.sessions.cache.put_job(job_body(PLAN))
    await bench.reconciler.reconcile(REF.uid)
    assert bench.cluster.patched == [{"suspend": True}]
    said = LLMBatchStatus.model_validate(bench.cluster.written[-1])
    assert [c.message for c in said.conditions if c.type is ConditionType.BLOCKED] == ["exceeded quota"]


_PLACES = OutputPlaces(results="r", errors="e", summary="s")
_HALF = ItemCounts(total=40, succeeded=20)


@pytest.mark.parametrize(
    ("was", "is_removed"),
    [
        pytest.param(status(Phase.SUCCEEDED, items=_HALF, output=_PLACES), True, id="with outputs"),
        pytest.param(status(Phase.FAILED), True, id="without answers"),
        pytest.param(status(Phase.FAILED, items=_HALF), False, id="with answers but without outputs"),
    ],
)
async def test_working_objects_go_when_their_answers_are_in_the_outputs(was: LLMBatchStatus, is_removed: bool) -> None:
    bench = _Bench()
    bench.sessions.cache.put_batch(_body(was))
    await bench.reconciler.reconcile(REF.uid)
    assert bench.ended == ([REF.uid] if is_removed else [])


def test_what_an_endpoint_said_names_no_variable_of_the_pod() -> None:
    """Kubernetes expands $(NAME) in arguments."""
    reason = StopReason(category=Category.AUTH, message="no key $(SECRET) for $5")
    body = job(REF, manifest(), CreateJob(FINALIZE, stop=reason), _SETTINGS)
    arguments = body["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "no key $$(SECRET) for $$5" in arguments[-1]
