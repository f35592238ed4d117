"""Stories of one batch, told over a cluster in memory: the end is the same whenever the operator dies or is refused."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from llmbatch_contract.pods import Stage
from llmbatch_contract.status import ConditionType, LLMBatchStatus, Phase, Reason
from operator_tests.world import World
from operator_tests.world_cluster import Fault
from operator_tests.world_pods import Conduct


def _plainly() -> World:
    return World()


def _cancelled() -> World:
    world = World(sizes=(20, 20))
    world.until(Phase.RUNNING)
    world.cluster.edit(cancel=True)
    return world


def _cancelled_at_once() -> World:
    return World(cancel=True)


def _stopped() -> World:
    return World(conduct=Conduct(stops_after=2))


def _with_failures() -> World:
    return World(conduct=Conduct(fails_every=2))


def _with_a_failure_policy() -> World:
    return World(conduct=Conduct(fails_every=2), failure_policy={"maxFailurePercent": 10, "minItems": 2})


def _dying() -> World:
    return World(conduct=Conduct(dying=Stage.SHARD))


def _resumed() -> World:
    world = World(sizes=(20, 20))
    world.until(Phase.RUNNING)
    world.seconds(3)
    world.cluster.edit(suspend=True)
    world.until(Phase.SUSPENDED)
    world.check_held()
    world.cluster.edit(suspend=False)
    return world


def _in_one_pod() -> World:
    return World(is_small=True)


def _small_and_stopped() -> World:
    return World(is_small=True, conduct=Conduct(stops_after=2))


def _with_bad_input() -> World:
    return World(conduct=Conduct(is_input_good=False))


def _late() -> World:
    return World(sizes=(200, 200), active_deadline_seconds=10)


def _with_a_canary() -> World:
    return World(sizes=(20, 20), canary={"items": 4})


def _approved() -> World:
    world = World(sizes=(20, 20), conduct=Conduct(fails_every=2), canary={"items": 4})
    world.until(Phase.AWAITING_APPROVAL)
    world.seconds(3)
    assert world.alive() == []
    world.cluster.edit(canary={"items": 4, "approved": True})
    return world


def _suspended_in_the_canary() -> World:
    world = World(sizes=(20, 20), canary={"items": 10, "approve": "manual"})
    world.until(Phase.CANARY)
    world.cluster.edit(suspend=True)
    world.until(Phase.SUSPENDED)
    world.check_held()
    world.cluster.edit(suspend=False)
    world.until(Phase.AWAITING_APPROVAL)
    world.cluster.edit(cancel=True)
    return world


def _with_a_raised_budget() -> World:
    world = World(sizes=(20, 20), budget={"maxTokens": 30})
    world.until(Phase.SUSPENDED)
    world.seconds(20)
    world.check_held()
    world.cluster.edit(budget={"maxTokens": 10_000})
    return world


def _by_the_hours() -> World:
    """The day begins at midnight; from 00:01 to 00:02 the window is closed."""
    world = World(sizes=(150, 150), window={"start": "00:02", "end": "00:01"})
    world.until(Phase.SUSPENDED)
    assert 60 <= world.cluster.seconds < 70
    world.check_held()
    world.until(Phase.RUNNING)
    assert 120 <= world.cluster.seconds < 130
    return world


_Story = Callable[[], World]
_STORIES: list[tuple[_Story, Phase, str]] = [
    (_plainly, Phase.SUCCEEDED, "plainly"),
    (_cancelled, Phase.CANCELLED, "cancelled"),
    (_cancelled_at_once, Phase.CANCELLED, "cancelled at once"),
    (_stopped, Phase.FAILED, "stopped"),
    (_with_failures, Phase.COMPLETED_WITH_ERRORS, "with failures"),
    (_with_a_failure_policy, Phase.FAILED, "with too many failures"),
    (_dying, Phase.FAILED, "pods keep dying"),
    (_resumed, Phase.SUCCEEDED, "suspended and resumed"),
    (_in_one_pod, Phase.SUCCEEDED, "in one pod"),
    (_small_and_stopped, Phase.FAILED, "in one pod, and stopped"),
    (_with_bad_input, Phase.FAILED, "with bad input"),
    (_late, Phase.FAILED, "late"),
    (_with_a_canary, Phase.SUCCEEDED, "with a canary"),
    (_approved, Phase.COMPLETED_WITH_ERRORS, "with a canary that failed, and was approved"),
    (_suspended_in_the_canary, Phase.CANCELLED, "suspended in the canary, and cancelled after it"),
    (_with_a_raised_budget, Phase.SUCCEEDED, "with a budget that is raised"),
    (_by_the_hours, Phase.SUCCEEDED, "by the hours"),
]
_EACH = pytest.mark.parametrize(("story", "phase"), [pytest.param(s, phase, id=name) for s, phase, name in _STORIES])


def _reason(status: LLMBatchStatus) -> Reason:
    """Of the last condition that holds: that of the end."""
    ends = (ConditionType.COMPLETE, ConditionType.FAILED, ConditionType.CANCELLED)
    [reason] = [c.reason for c in status.conditions if c.type in ends and c.status == "True"]
    return reason


@_EACH
def test_a_story_ends_as_it_should(story: _Story, phase: Phase) -> None:
    world = story()
    assert world.run_to_the_end().phase is phase
    assert len({event.reason for event in world.operator.events}) > 1


def test_stories_go_the_ways_that_the_docs_draw() -> None:
    page = (Path(__file__).parents[2] / "docs" / "states.md").read_text()
    drawn = {(a, b) for a, b in re.findall(r"^    (\w+) --> (\w+)", page, re.MULTILINE)}
    gone: set[tuple[Phase, Phase]] = set()
    for story, _, _ in _STORIES:
        world = story()
        world.run_to_the_end()
        gone |= world.transitions
    assert gone <= drawn
    assert len(gone) >= 10


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.UNHEARD, Fault.CRASH_AFTER])
@_EACH
def test_it_ends_the_same_whichever_call_to_the_api_server_goes_wrong(
    story: _Story, phase: Phase, fault: Fault
) -> None:
    reason = _reason(story().run_to_the_end())
    for number in range(40):
        world = story()
        world.cluster.faults.extend([*[None] * number, fault])
        status = world.run_to_the_end()
        assert (status.phase, _reason(status)) == (phase, reason), f"call {number}"
        if world.cluster.faults:
            return
    raise AssertionError("a batch needs fewer calls")


@_EACH
def test_it_ends_the_same_whenever_the_operator_restarts(story: _Story, phase: Phase) -> None:
    reason = _reason(story().run_to_the_end())
    for number in range(60):
        world = story()
        world.seconds(number)
        if world.status.phase.is_final:
            return
        world.operator.restart()
        status = world.run_to_the_end()
        assert (status.phase, _reason(status)) == (phase, reason), f"second {number}"


def test_an_end_of_which_the_operator_has_not_heard_stays_and_everything_is_put_away() -> None:
    world = World()
    world.until(Phase.FINALIZING)
    world.seconds(2)
    world.cluster.faults.append(Fault.UNHEARD)
    world.run_to_the_end()
    completed = world.status.completion_time
    world.cluster.delete_job("triage-3f2a1c00-finalize")
    for _ in range(20):
        world.second()
    assert world.status.completion_time == completed
    assert len(world.operator.sessions) == 0


def test_final_counts_that_went_with_their_node_are_read_again() -> None:
    world = World()
    world.until(Phase.FINALIZING)
    while world.store.summary is None:
        world.second()
    world.operator.restart()
    for pod in list(world.cluster.pods.values()):
        world.cluster.remove_pod(pod)
    world.operator.restart()
    assert world.run_to_the_end().phase is Phase.SUCCEEDED


def test_outputs_are_not_written_while_a_pod_of_a_deleted_job_is_still_ending() -> None:
    world = World(sizes=(20, 20))
    world.until(Phase.RUNNING)
    world.seconds(3)
    world.cluster.delete_job("triage-3f2a1c00-shards")
    world.cluster.edit(cancel=True)
    world.operator.restart()
    [world.operator.look() for _ in range(3)]
    assert world.alive(Stage.SHARD)
    assert world.run_to_the_end().phase is Phase.CANCELLED


def test_a_spec_that_was_spoilt_waits_for_its_repair_even_over_a_restart() -> None:
    world = World(sizes=(20, 20))
    world.until(Phase.RUNNING)
    world.cluster.edit(parallelism=0)
    world.seconds(2)
    world.operator.restart()
    world.seconds(100)
    assert world.status.phase is Phase.RUNNING
    assert [c.reason for c in world.status.conditions if c.type is ConditionType.BLOCKED] == [Reason.INVALID_SPEC]
    world.cluster.edit(parallelism=2)
    assert world.run_to_the_end().phase is Phase.SUCCEEDED


def test_a_missing_input_is_waited_for() -> None:
    world = World(conduct=Conduct(is_input_there=False))
    world.seconds(5)
    assert Reason.INPUT_MISSING in [event.reason for event in world.operator.events]
    world.conduct.is_input_there = True
    assert world.run_to_the_end().phase is Phase.SUCCEEDED


def test_what_is_finished_is_not_asked_again_after_a_resume() -> None:
    world = World(sizes=(20, 20))
    world.until(Phase.RUNNING)
    world.seconds(6)
    world.cluster.edit(suspend=True)
    world.until(Phase.SUSPENDED)
    kept = world.store.succeeded
    assert 0 < kept < 40
    world.seconds(60)
    assert world.store.succeeded == kept
    world.cluster.edit(suspend=False)
    status = world.run_to_the_end()
    assert status.items is not None
    assert (status.phase, status.items.succeeded) == (Phase.SUCCEEDED, 40)


def test_more_pods_are_started_when_the_parallelism_grows() -> None:
    world = World(sizes=(20,) * 4, parallelism=1)
    world.until(Phase.RUNNING)
    world.seconds(2)
    assert len(world.alive(Stage.SHARD)) == 1
    world.cluster.edit(parallelism=3)
    world.seconds(2)
    assert len(world.alive(Stage.SHARD)) == 3
