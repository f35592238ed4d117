"""Results that are delivered to a webhook: the key is there before the pod, and a condition says what came of it."""

from typing import Any

import pytest

from llmbatch_contract.pods import SIGNING_KEY_VARIABLE, Stage
from llmbatch_contract.progress import Totals
from llmbatch_contract.status import ConditionType, Phase, Reason
from llmbatch_operator.decide import decide
from llmbatch_operator.events import events_of
from llmbatch_operator.facts import Body
from llmbatch_operator.observed import Talk
from llmbatch_operator.pod_environment import pod_environment
from llmbatch_operator.pod_telemetry import PodTelemetry
from llmbatch_operator.status_of import Pace, status_of
from operator_tests.operator_builders import (
    FINALIZE,
    NOW,
    PLANNED,
    PLANNED_CONDITION,
    RUN,
    batch,
    final,
    job,
    manifest,
    status,
    stopping,
)
from operator_tests.world import World

_DELIVER = {"url": "https://bridge.example.com/answers"}
_FINALIZING = status(Phase.FINALIZING, PLANNED_CONDITION)


@pytest.mark.parametrize("stage", [FINALIZE, RUN])
@pytest.mark.parametrize(
    ("counts", "holds", "reason", "message"),
    [
        pytest.param(
            {"delivered": 1200}, True, Reason.DELIVERED, "1,200 results delivered", id="the receiver took all"
        ),
        pytest.param(
            {"delivered": 1, "undelivered": 1500, "delivery_error": "https://b: it answers HTTP 500; 10 tries"},
            False,
            Reason.NOT_DELIVERED,
            "1 result delivered, 1,500 in undelivered.jsonl: https://b: it answers HTTP 500; 10 tries",
            id="the receiver did not take some",
        ),
        pytest.param(
            {"delivered": 0, "undelivered": 1},
            False,
            Reason.NOT_DELIVERED,
            "0 results delivered, 1 in undelivered.jsonl: the receiver did not take them",
            id="the reason did not fit into the last words",
        ),
    ],
)
def test_a_condition_and_an_event_say_what_came_of_it(
    stage: Stage, counts: dict[str, Any], holds: bool, reason: Reason, message: str
) -> None:
    seen = batch(
        jobs=[job(stage, is_complete=True)], talk=Talk(plan=PLANNED, final=final(**counts)), status=_FINALIZING
    )
    decision = decide(seen, NOW)
    assert decision.phase is Phase.SUCCEEDED, "how the batch has ended does not depend on it"
    written = status_of(seen, decision, Pace(Totals()), NOW)
    (told,) = [c for c in written.conditions if c.type is ConditionType.DELIVERED]
    assert (told.status, told.reason, told.message) == (str(holds), reason, message)
    (event,) = [e for e in events_of(_FINALIZING, written) if e.reason is reason]
    assert event.type == ("Normal" if holds else "Warning")


def test_a_batch_without_deliver_has_no_such_condition() -> None:
    seen = batch(jobs=[job(FINALIZE, is_complete=True)], talk=Talk(plan=PLANNED, final=final()), status=_FINALIZING)
    assert ConditionType.DELIVERED not in decide(seen, NOW).facts


def test_a_cancelled_batch_delivers_what_was_answered() -> None:
    ending = status(Phase.FINALIZING, PLANNED_CONDITION, stopping(Reason.CANCELLED, "spec.cancel is set"))
    done = job(FINALIZE, is_complete=True)
    decision = decide(
        batch(jobs=[done], talk=Talk(plan=PLANNED, final=final(9, 0, 31, delivered=9)), status=ending), NOW
    )
    assert decision.phase is Phase.CANCELLED
    assert decision.facts[ConditionType.DELIVERED].message == "9 results delivered"


@pytest.mark.parametrize("stage", Stage)
def test_pods_that_write_outputs_get_the_key_if_there_is_something_to_sign(stage: Stage) -> None:
    def names(**spec: Any) -> dict[str, Any]:
        return {v["name"]: v for v in pod_environment(manifest(**spec), stage, PodTelemetry())}

    assert SIGNING_KEY_VARIABLE not in names()
    found = names(deliver=_DELIVER).get(SIGNING_KEY_VARIABLE)
    assert (found is not None) == (stage in (Stage.FINALIZE, Stage.RUN))
    if found is not None:
        reference = {"name": "llmbatch-notify", "key": "signing-key", "optional": True}
        assert found["valueFrom"] == {"secretKeyRef": reference}


@pytest.mark.parametrize("is_small", [True, False])
def test_the_key_is_in_the_namespace_before_any_pod(is_small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(is_small=is_small, deliver=_DELIVER)
    made: list[str] = []
    kube = world.operator.reconciler.kube
    create_secret, create_job = kube.create_secret, kube.create_job

    async def secret(body: Body) -> Body | None:
        made.append(body["metadata"]["name"])
        return await create_secret(body)

    async def job(body: Body) -> Body | None:
        made.append("a Job")
        return await create_job(body)

    monkeypatch.setattr(kube, "create_secret", secret)
    monkeypatch.setattr(kube, "create_job", job)
    world.run_to_the_end()
    assert made.count("llmbatch-notify") == 1
    assert made.index("llmbatch-notify") < made.index("a Job")
