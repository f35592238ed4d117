"""Webhooks and alarms of a batch in a simulated cluster: told when it is so, recorded in the status, over restarts."""

import pytest

from llmbatch_contract.status import Phase
from llmbatch_contract.webhook_answers import Delivered, GiveUp
from llmbatch_operator.notify.outbox import Letter
from operator_tests.notify_builders import URL
from operator_tests.operator_builders import REF
from operator_tests.world import World

_NOTIFY = [{"url": URL}]


def _delivered(world: World) -> list[Letter]:
    """What a postman would deliver now; all of it arrives."""
    outbox, letters = world.operator.reconciler.outbox, []
    while (letter := outbox.next(world.cluster.clock())) is not None:
        outbox.settle(letter, Delivered(), world.cluster.clock())
        world.operator.wanted.add(REF.uid)
        letters.append(letter)
    return letters


def _types(letters: list[Letter]) -> list[str]:
    return [letter.occasion.value for letter in letters]


def _recorded(world: World) -> list[tuple[str, bool]]:
    return [(d.event, d.delivered) for d in world.status.deliveries]


def test_a_batch_that_ends_is_told_of_once_and_the_status_says_so() -> None:
    world = World(notify=_NOTIFY)
    world.run_to_the_end()
    (letter,) = _delivered(world)
    assert letter.occasion.value == "Finished"
    ended = world.status
    for _ in range(5):
        world.second()
    assert _recorded(world) == [("Finished", True)]
    assert world.status == ended.model_copy(update={"deliveries": world.status.deliveries}), "nothing else has changed"
    world.operator.restart()
    world.second()
    assert _delivered(world) == []
    world.told.check_end(world.status)


def test_an_operator_that_dies_before_it_could_tell_does_so_afterwards() -> None:
    world = World(notify=_NOTIFY)
    world.run_to_the_end()
    first = world.operator.reconciler.outbox.next(world.cluster.clock())
    world.operator.restart()
    world.second()
    (second,) = _delivered(world)
    assert first is not None
    assert first.id == second.id


def test_a_delivery_that_was_given_up_changes_nothing_but_its_line() -> None:
    world = World(notify=_NOTIFY)
    world.run_to_the_end()
    outbox = world.operator.reconciler.outbox
    letter = outbox.next(world.cluster.clock())
    assert letter is not None
    outbox.settle(letter, GiveUp("it answers HTTP 410"), world.cluster.clock())
    world.operator.wanted.add(REF.uid)
    for _ in range(5):
        world.second()
    assert (world.status.phase, _recorded(world)) == (Phase.SUCCEEDED, [("Finished", False)])


def test_a_batch_that_is_cancelled_or_suspended_by_its_user() -> None:
    world = World(notify=_NOTIFY)
    world.until(Phase.RUNNING)
    world.cluster.edit(suspend=True)
    world.until(Phase.SUSPENDED)
    assert _delivered(world) == [], "who has suspended it knows"
    world.cluster.edit(cancel=True)
    world.run_to_the_end()
    assert _types(_delivered(world)) == ["Failed"]


@pytest.mark.parametrize("restarts", [0, 1])
def test_a_webhook_that_is_added_to_a_batch_that_has_ended_is_told(restarts: int) -> None:
    world = World()
    world.run_to_the_end()
    for _ in range(restarts):
        world.operator.restart()
        world.second()
    world.cluster.edit(notify=_NOTIFY)
    world.second()
    assert _types(_delivered(world)) == ["Finished"]


def test_pods_that_hang_are_an_alarm_that_ends_with_the_batch() -> None:
    world = World(notify=_NOTIFY, alerts={"stalledMinutes": 0.2})
    world.until(Phase.RUNNING)
    for _ in range(15):  # no pod does anything
        world.cluster.seconds += 1
        for kind in ("batch", "job", "pod"):
            world.operator.hear(kind, 1000)
        world.operator.look()
    (letter,) = _delivered(world)
    assert letter.occasion.value == "Alert"
    assert [e.reason for e in world.operator.events if e.type == "Warning"] == ["Stalled"]
    world.run_to_the_end()
    assert [c.reason for c in world.status.conditions if c.type == "Stalled"] == ["Recovered"]
    assert _types(_delivered(world)) == ["Finished"]
    world.seconds(1)
    world.second()
    world.second()
    world.second()
    assert _recorded(world) == [("Alert", True), ("Finished", True)]
