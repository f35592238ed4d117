"""Batches whose objects are in a store of their users: its troubles, and what they leave there."""

from typing import Any

import pytest

from llmbatch_contract.pods import PodError, Stage
from llmbatch_contract.reports import StoreTrouble
from llmbatch_contract.status import ConditionType, Phase, Reason
from llmbatch_operator.facts import LETTERS_ANNOTATION, STAGE_LABEL, Body
from operator_tests.operator_builders import REF
from operator_tests.world import World
from operator_tests.world_cluster import Fault
from operator_tests.world_objects import copied
from operator_tests.world_pods import Conduct

_S3 = {"uri": "s3://answers/nightly/", "credentialsSecret": {"name": "minio"}}
_PVC = {"pvc": {"claimName": "data", "path": "answers"}}
_LONG = (10, 10)


def _seconds(world: World, count: int) -> None:
    """Though the batch may be gone."""
    for _ in range(count):
        world.second()


def _cleaning(world: World) -> list[Body]:
    jobs = world.cluster.jobs.values()
    return [job for job in jobs if job["metadata"]["labels"][STAGE_LABEL] == Stage.CLEAN.value]


def _condition(world: World, type_: ConditionType) -> tuple[bool, Reason] | None:
    found = [c for c in world.status.conditions if c.type is type_]
    return (found[0].status == "True", found[0].reason) if found else None


# Where everything is


@pytest.mark.parametrize(
    ("output", "folder"),
    [
        pytest.param(_S3, "s3://answers/nightly", id="an object store"),
        pytest.param(_PVC, "pvc:/data/answers", id="a volume"),
        pytest.param({"pvc": {"claimName": "data", "path": "."}}, "pvc:/data", id="the whole of a volume"),
    ],
)
def test_pods_write_where_the_user_wants_it_and_the_status_says_so(output: dict[str, Any], folder: str) -> None:
    world = World(output=output)
    status = world.run_to_the_end()
    assert world.cluster.config is not None
    job = world.cluster.config.job
    assert (job.store_uri, job.output_uri) == (f"{folder}/_llmbatch/{REF.uid}", folder)
    assert status.output is not None
    assert status.output.model_dump() == {
        "results": f"{folder}/results.jsonl",
        "errors": f"{folder}/errors.jsonl",
        "summary": f"{folder}/summary.json",
    }


# Deleted


@pytest.mark.parametrize("output", [_S3, _PVC], ids=["object store", "volume"])
@pytest.mark.parametrize("after_s", range(18))
def test_whenever_a_batch_is_deleted_nothing_is_left_of_its_work(after_s: int, output: dict[str, Any]) -> None:
    world = World(output=output, sizes=_LONG)
    _seconds(world, after_s)
    world.cluster.delete_batch()
    _seconds(world, 20)
    assert not world.store.has_work
    assert not world.alive()
    assert len(_cleaning(world)) <= 1


def test_what_removes_it_is_nobodys_and_is_told_what_to_remove() -> None:
    world = World(output=_S3, sizes=_LONG)
    world.until(Phase.RUNNING)
    world.cluster.delete_batch()
    _seconds(world, 2)
    [job] = _cleaning(world)
    assert "ownerReferences" not in job["metadata"]
    assert (job["spec"]["ttlSecondsAfterFinished"], job["spec"]["activeDeadlineSeconds"]) == (300, 600)
    assert world.cluster.config_map is not None
    [owner] = world.cluster.config_map["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Job", job["metadata"]["uid"])
    volumes = {v["name"]: v for v in job["spec"]["template"]["spec"]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == world.cluster.config_map["metadata"]["name"]
    assert world.cluster.config is not None
    assert world.cluster.config.job.store_uri == f"s3://answers/nightly/_llmbatch/{REF.uid}"


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.UNHEARD])
@pytest.mark.parametrize("before", range(3))
def test_a_call_that_fails_is_made_again(fault: Fault, before: int) -> None:
    world = World(output=_S3, sizes=_LONG)
    world.until(Phase.RUNNING)
    world.cluster.faults.extend([*[None] * before, fault])
    world.cluster.delete_batch()
    _seconds(world, 25)
    assert not world.store.has_work
    assert len(_cleaning(world)) == 1


def test_an_operator_that_was_restarted_before_it_cleans_up_too() -> None:
    world = World(output=_S3, sizes=_LONG)
    world.until(Phase.RUNNING)
    world.operator.restart()
    _seconds(world, 1)
    world.cluster.delete_batch()
    _seconds(world, 20)
    assert not world.store.has_work


def test_what_is_deleted_while_the_operator_is_away_stays() -> None:
    """As docs/stores.md says: nobody knows any more where it is."""
    world = World(output=_S3, sizes=_LONG)
    world.until(Phase.RUNNING)
    world.cluster.delete_batch()
    world.operator.restart()
    _seconds(world, 20)
    assert _cleaning(world) == []


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(World(sizes=_LONG), id="in the built-in store"),
        pytest.param(World(output=_S3, suspend=True), id="never begun"),
        pytest.param(World(output=_S3), id="ended, so that its last pod has removed it"),
    ],
)
def test_where_there_is_nothing_to_remove_no_job_is_made(world: World) -> None:
    _seconds(world, 30 if world.spec.get("output") else 8)
    world.cluster.delete_batch()
    _seconds(world, 10)
    assert _cleaning(world) == []


def test_a_batch_whose_outputs_could_not_be_written_keeps_its_work_until_it_is_deleted() -> None:
    world = World(output=_S3, conduct=Conduct(dying=Stage.FINALIZE))
    world.until(Phase.FAILED)
    _seconds(world, 5)
    assert world.store.has_work
    world.cluster.delete_batch()
    _seconds(world, 15)
    assert not world.store.has_work


# In trouble

_DENIED = "cannot write s3://answers/nightly/x: access denied; the credentials need s3:PutObject"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("denied", Reason.STORE_DENIED), ("away", Reason.STORE_AWAY), ("full", Reason.STORE_FULL)],
)
def test_a_store_in_trouble_blocks_the_batch_until_that_is_over(kind: Any, reason: Reason) -> None:
    world = World(output=_S3, sizes=_LONG)
    world.until(Phase.RUNNING)
    world.conduct.store_trouble = StoreTrouble(kind=kind, message=_DENIED, for_s=7)
    _seconds(world, 5)
    assert _condition(world, ConditionType.BLOCKED) == (True, reason)
    assert [(e.type, e.message) for e in world.operator.events if e.reason is reason] == [
        ("Warning", f"{_DENIED}; the batch goes on by itself when that is over")
    ]
    world.conduct.store_trouble = None
    status = world.run_to_the_end()
    assert status.phase is Phase.SUCCEEDED
    assert _condition(world, ConditionType.BLOCKED) == (False, Reason.NOT_BLOCKED)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("StoreDeniedError", Reason.STORE_DENIED),
        ("StoreMissingError", Reason.INPUT_MISSING),
        ("OutputMissingError", Reason.OUTPUT_MISSING),
        ("StoreAwayError", Reason.STORE_AWAY),
        ("StoreFullError", Reason.STORE_FULL),
    ],
)
def test_a_store_that_cannot_be_used_at_first_blocks_the_batch_until_it_can(kind: str, reason: Reason) -> None:
    world = World(output=_S3, conduct=Conduct(plan_error=PodError(kind=kind, message="s3://in/a.csv: no")))
    for _ in range(20):
        world.second()
        if _condition(world, ConditionType.BLOCKED) is not None:
            break
    assert _condition(world, ConditionType.BLOCKED) == (True, reason)
    world.conduct.plan_error = None
    assert world.run_to_the_end().phase is Phase.SUCCEEDED


def test_a_place_that_is_taken_is_waited_for_and_that_is_told() -> None:
    message = "s3://out is being written by the batch 'nightly'"
    world = World(output=_S3, sizes=_LONG)
    world.until(Phase.RUNNING)
    world.conduct.store_trouble = StoreTrouble(kind="taken", message=message, for_s=7)
    _seconds(world, 5)
    assert _condition(world, ConditionType.BLOCKED) == (True, Reason.OUTPUT_TAKEN)
    [told] = [e.message for e in world.operator.events if e.reason is Reason.OUTPUT_TAKEN]
    assert told.startswith(f"{message}; that is waited for")


def test_a_receiver_of_results_that_is_away_is_told_and_what_comes_of_it() -> None:
    world = World(output=_S3, sizes=_LONG)
    world.until(Phase.RUNNING)
    world.conduct.store_trouble = StoreTrouble(
        kind="receiver", message="https://b.example: it answers HTTP 503", for_s=7
    )
    _seconds(world, 5)
    assert _condition(world, ConditionType.BLOCKED) == (True, Reason.RECEIVER_AWAY)
    [told] = [e.message for e in world.operator.events if e.reason is Reason.RECEIVER_AWAY]
    assert told == (
        "https://b.example: it answers HTTP 503; what it has not taken after a quarter of an hour goes to "
        "undelivered.jsonl"
    )


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("StoreDeniedError", Reason.STORE_DENIED),
        ("StoreMissingError", Reason.INPUT_MISSING),
        ("StoreAwayError", Reason.STORE_AWAY),
        ("OutputTakenError", Reason.OUTPUT_TAKEN),
        ("InputError", Reason.INPUT_INVALID),
    ],
)
def test_a_batch_that_cannot_be_planned_fails_with_what_its_pods_say(kind: str, reason: Reason) -> None:
    world = World(output=_S3, conduct=Conduct(plan_error=PodError(kind=kind, message="s3://in/a.csv: no")))
    status = world.run_to_the_end()
    assert status.phase is Phase.FAILED
    [failed] = [c for c in status.conditions if c.type is ConditionType.FAILED]
    assert (failed.reason, failed.message) == (reason, "s3://in/a.csv: no")


# Dead letters of another batch


def _other(world: World, *, errors: str | None = None) -> Body:
    """A batch `nightly` whose outputs are in a store; with `errors` it has ended."""
    assert world.cluster.batch is not None
    body = copied(world.cluster.batch)
    body["metadata"] |= {"name": "nightly", "uid": "9b1c2d00-0000-4000-8000-000000000000"}
    store = {"endpoint": "https://minio:9000"}
    body["spec"] |= {"input": {"items": []}, "suspend": True, "output": {**_S3, "store": store}}
    if errors is not None:
        places = {"results": "r", "errors": errors, "summary": "s"}
        body["status"] = {"phase": "CompletedWithErrors", "output": places}
    return body


@pytest.mark.parametrize("is_known_at_first", [True, False])
def test_dead_letters_are_read_where_they_are_once_the_other_batch_has_ended(is_known_at_first: bool) -> None:
    world = World(input={"deadLettersOf": {"name": "nightly"}}, conduct=Conduct(is_input_there=False))
    if is_known_at_first:
        world.cluster.tell("batch", "ADDED", _other(world))
    _seconds(world, 5)
    assert world.cluster.config is not None
    assert world.cluster.config.dead_letters is None
    world.cluster.tell("batch", "MODIFIED", _other(world, errors="s3://answers/nightly/errors.jsonl.zst"))
    _seconds(world, 8)
    place = world.cluster.config.dead_letters
    assert place is not None
    world.conduct.is_input_there = True
    assert place.uri == "s3://answers/nightly/errors.jsonl.zst"
    assert place.store is not None
    assert str(place.store.endpoint) == "https://minio:9000"
    [plan] = world.cluster.jobs.values()
    assert LETTERS_ANNOTATION in plan["metadata"]["annotations"]
    volumes = {v["name"]: v for v in plan["spec"]["template"]["spec"]["volumes"]}
    assert volumes["credentials-dead-letters"]["secret"]["secretName"] == "minio"
    world.until(Phase.SUCCEEDED)
