"""Stories of batches that refer to an LLMEndpoint which is not there, goes, is forbidden or changes while they run."""

from collections.abc import Callable

import pytest

from llmbatch_contract.pods import Stage
from llmbatch_contract.status import Condition, ConditionType, Phase, Reason
from operator_tests.world import ENDPOINT, World
from operator_tests.world_cluster import Fault

_OLD, _NEW = "http://old:8000/v1", "http://new:8000/v1"
_REPLACED_S = 40
_SIZES = (60, 60)


def _condition(world: World, type_: ConditionType) -> Condition:
    [condition] = [c for c in world.status.conditions if c.type is type_]
    return condition


def _blocked(world: World) -> Reason | None:
    """What is in the way."""
    condition = _condition(world, ConditionType.BLOCKED)
    return condition.reason if condition.status == "True" else None


def _running(**endpoint: object) -> World:
    world = World(sizes=_SIZES, endpoint={"url": _OLD, **endpoint})
    world.until(Phase.RUNNING)
    world.seconds(4)
    return world


def test_a_batch_waits_for_its_endpoint_and_goes_on_by_itself() -> None:
    world = World(endpoint={})
    world.seconds(20)
    assert world.cluster.jobs == {}
    assert _blocked(world) is Reason.ENDPOINT_MISSING
    world.cluster.put_endpoint(ENDPOINT, url=_NEW)
    assert world.run_to_the_end().phase is Phase.SUCCEEDED
    assert {url for _, url, _ in world.pods.asked} == {_NEW}


def test_a_batch_that_runs_goes_on_when_its_endpoint_is_gone() -> None:
    world = _running()
    world.cluster.delete_endpoint(ENDPOINT)
    world.seconds(5)
    assert (world.status.phase, _blocked(world)) == (Phase.RUNNING, Reason.ENDPOINT_MISSING)
    assert world.run_to_the_end().phase is Phase.SUCCEEDED


def test_one_that_is_broken_by_an_edit_is_the_same() -> None:
    world = _running()
    world.cluster.put_endpoint(ENDPOINT, url=_NEW, headers={"Authorization": "Bearer x"})
    world.seconds(5)
    assert (world.status.phase, _blocked(world)) == (Phase.RUNNING, Reason.ENDPOINT_INVALID)
    assert "headers: Authorization holds a key" in _condition(world, ConditionType.BLOCKED).message
    assert world.run_to_the_end().phase is Phase.SUCCEEDED
    assert {url for _, url, _ in world.pods.asked} == {_OLD}


def test_after_a_restart_nobody_knows_what_it_was_and_the_batch_is_held_until_it_is_there() -> None:
    world = _running()
    world.cluster.delete_endpoint(ENDPOINT)
    world.seconds(3)
    world.operator.restart()
    world.until(Phase.SUSPENDED)
    world.check_held()
    assert _blocked(world) is Reason.ENDPOINT_MISSING
    world.cluster.put_endpoint(ENDPOINT, url=_OLD)
    assert world.run_to_the_end().phase is Phase.SUCCEEDED


def test_a_batch_that_may_not_use_its_endpoint_any_more_is_held_until_it_may() -> None:
    world = _running()
    world.cluster.put_endpoint(ENDPOINT, url=_OLD, allowedNamespaces=["team-b"])
    world.until(Phase.SUSPENDED)
    world.check_held()
    assert _blocked(world) is Reason.ENDPOINT_FORBIDDEN
    asked = len(world.pods.asked)
    world.seconds(30)
    assert len(world.pods.asked) == asked
    world.cluster.put_endpoint(ENDPOINT, url=_OLD, allowedNamespaces=["team-a"])
    status = world.run_to_the_end()
    assert status.phase is Phase.SUCCEEDED
    assert [c.status for c in status.conditions if c.type is ConditionType.BLOCKED] == ["False"]


@pytest.mark.parametrize("is_there", [True, False], ids=["while it runs", "before it has begun"])
def test_a_batch_whose_endpoint_is_missing_can_be_cancelled(is_there: bool) -> None:
    world = _running() if is_there else World(endpoint={})
    if is_there:
        world.cluster.delete_endpoint(ENDPOINT)
        world.operator.restart()
    world.seconds(3)
    world.cluster.edit(cancel=True)
    assert world.run_to_the_end().phase is Phase.CANCELLED


def _moved() -> World:
    world = _running(apiKeySecret={"name": "key", "key": "a"})
    world.cluster.put_endpoint(ENDPOINT, url=_NEW, apiKeySecret={"name": "key", "key": "a"})
    return world


def _with_other_headers() -> World:
    world = _running()
    world.cluster.put_endpoint(ENDPOINT, url=_NEW, headers={"X-Team": "b"})
    return world


def _with_another_key() -> World:
    world = _running(apiKeySecret={"name": "old-key", "key": "a"})
    world.cluster.put_endpoint(ENDPOINT, url=_NEW, apiKeySecret={"name": "key", "key": "a"})
    return world


def _small() -> World:
    world = World(sizes=(60,), is_small=True, endpoint={"url": _OLD})
    world.until(Phase.RUNNING)
    world.cluster.put_endpoint(ENDPOINT, url=_NEW, apiKeySecret={"name": "key", "key": "a"})
    return world


_CHANGES = pytest.mark.parametrize(
    "story",
    [
        pytest.param(_moved, id="another URL"),
        pytest.param(_with_other_headers, id="other headers"),
        pytest.param(_with_another_key, id="another key"),
        pytest.param(_small, id="in one pod"),
    ],
)


def _check_replaced(world: World, changed_at: float) -> None:
    """Soon after, all ask the new one with the new key, and every item was asked once."""
    assert world.run_to_the_end().phase is Phase.SUCCEEDED
    late = {(url, key) for at, url, key in world.pods.asked if at > changed_at + _REPLACED_S}
    key = world.cluster.endpoints[ENDPOINT]["spec"].get("apiKeySecret", {}).get("name", "")
    assert late <= {(_NEW, key)}
    assert (_NEW, key) in {(url, key) for _, url, key in world.pods.asked}


@_CHANGES
def test_pods_are_replaced_by_ones_that_ask_the_new_address_with_the_new_key(story: Callable[[], World]) -> None:
    world = story()
    changed_at = world.cluster.seconds
    world.second()
    world.second()
    assert _blocked(world) is Reason.ENDPOINT_CHANGED
    _check_replaced(world, changed_at)
    assert Reason.NOT_BLOCKED in {event.reason for event in world.operator.events}


@_CHANGES
def test_they_are_whenever_the_operator_restarts(story: Callable[[], World]) -> None:
    for number in range(1, 30, 3):
        world = story()
        changed_at = world.cluster.seconds
        world.seconds(number)
        world.operator.restart()
        _check_replaced(world, changed_at + number)


@_CHANGES
@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.UNHEARD, Fault.CRASH_AFTER])
def test_they_are_whichever_call_goes_wrong(story: Callable[[], World], fault: Fault) -> None:
    for number in range(9):
        world = story()
        world.cluster.faults.extend([*[None] * number, fault])
        _check_replaced(world, world.cluster.seconds)


def test_a_job_with_the_same_key_is_woken_and_its_finished_shards_stay_finished() -> None:
    world = World(sizes=(2, 80, 80), parallelism=2, endpoint={"url": _OLD})
    world.until(Phase.RUNNING)
    world.seconds(6)
    [job] = [j["metadata"]["uid"] for name, j in world.cluster.jobs.items() if name.endswith("shards")]
    world.cluster.put_endpoint(ENDPOINT, url=_NEW)
    world.seconds(30)
    [after] = [j["metadata"]["uid"] for name, j in world.cluster.jobs.items() if name.endswith("shards")]
    assert after == job
    assert world.store.shards[0].attempts == 1
    assert world.alive(Stage.SHARD)


def test_other_limits_and_prices_replace_no_pod() -> None:
    world = _running()
    pods = {pod.uid for pod in world.alive(Stage.SHARD)}
    pricing = {"*": {"inputPerMillion": 2.0}}
    world.cluster.put_endpoint(ENDPOINT, url=_OLD, limits={"requestsPerMinute": 10}, pricing=pricing)
    world.seconds(5)
    assert {pod.uid for pod in world.alive(Stage.SHARD)} == pods
    assert world.cluster.config is not None
    told = world.cluster.config.job.batch.spec.endpoint
    assert told.limits.requests_per_minute == 10, "pods that start from now on are told"
    assert told.pricing is not None
    session = world.operator.sessions.get(world.cluster.batch["metadata"]["uid"]) if world.cluster.batch else None
    assert session is not None
    assert session.coordinator.pricing == told.pricing
    assert session.pool.shares.limits == told.limits


def test_pods_are_told_of_limits_that_changed_while_the_operator_was_away() -> None:
    world = _running(limits={"tokensPerMinute": 1000})
    world.cluster.put_endpoint(ENDPOINT, url=_OLD, limits={"tokensPerMinute": 9000})
    world.operator.restart()
    world.seconds(3)
    assert world.cluster.config is not None
    assert world.cluster.config.job.batch.spec.endpoint.limits.tokens_per_minute == 9000
    assert world.run_to_the_end().phase is Phase.SUCCEEDED
