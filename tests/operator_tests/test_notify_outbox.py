"""Webhooks: what is due and when, what is kept, and where nothing is sent to. Without any I/O."""

from datetime import timedelta

import pytest

from llmbatch_contract.holding import Occasion, Webhook
from llmbatch_contract.status import Condition, Delivery, LLMBatchStatus
from llmbatch_contract.webhook_answers import Delivered, GiveUp, TryAgain, judge
from llmbatch_operator.facts import BatchRef
from llmbatch_operator.notify.addresses import is_refused
from llmbatch_operator.notify.outbox import Letter, Outbox, Settled
from operator_tests.notify_builders import NO_SECRET, STALLED, URL, WEBHOOK, finished, outbox_with, running
from operator_tests.operator_builders import NOW, REF

_AGAIN = TryAgain("it answers HTTP 500")


def _taken(outbox: Outbox, now: float = 0) -> Letter:
    letter = outbox.next(now)
    assert letter is not None
    return letter


def _at(condition: Condition, second: int) -> Condition:
    return condition.model_copy(update={"last_transition_time": NOW + timedelta(seconds=second)})


def _deliveries(outbox: Outbox, so: LLMBatchStatus) -> list[Delivery]:
    return outbox.noted(REF, so).deliveries


def test_a_batch_without_webhooks_costs_nothing() -> None:
    outbox = Outbox()
    outbox.look(REF, [], finished(), 0)
    assert (outbox.next(0), outbox.keyless(), outbox.wait_s(0)) == (None, [], None)


def test_what_is_due_is_delivered_once() -> None:
    outbox = outbox_with(finished())
    _taken(outbox)
    outbox.look(REF, [WEBHOOK], finished(), 1)
    assert outbox.next(10) is None
    assert len(outbox) == 1


def test_an_alarm_that_comes_back_is_told_again() -> None:
    outbox = outbox_with(running(STALLED))
    outbox.settle(_taken(outbox), Delivered(), 0)
    recorded = _deliveries(outbox, running(STALLED))
    again = running(_at(STALLED, 60)).model_copy(update={"deliveries": recorded})
    outbox.look(REF, [WEBHOOK], again, 60)
    assert _taken(outbox, 60).id != recorded[0].id


def test_an_alarm_that_is_over_is_told_all_the_same_by_the_operator_that_saw_it() -> None:
    outbox = outbox_with(running(STALLED))
    outbox.look(REF, [WEBHOOK], running(), 1)
    assert _taken(outbox, 1).occasion is Occasion.ALERT


def test_a_webhook_that_was_taken_out_is_told_no_more() -> None:
    outbox = outbox_with(running(STALLED))
    outbox.settle(_taken(outbox), _AGAIN, 0)
    outbox.look(REF, [Webhook(url="https://another.example")], running(STALLED), 0)
    assert _taken(outbox, 1000).url == "https://another.example"
    assert outbox.next(1000) is None


def test_what_came_of_a_try_is_passed_over_if_nobody_wants_to_know() -> None:
    outbox = outbox_with(running(STALLED))
    letter = _taken(outbox)
    outbox.look(REF, [], running(STALLED), 0)
    assert outbox.settle(letter, GiveUp("it answers HTTP 410"), 0) is None
    assert _deliveries(outbox, running(STALLED)) == []
    assert len(outbox) == 0


def test_the_same_address_twice_is_told_once() -> None:
    outbox = outbox_with(finished(), WEBHOOK, WEBHOOK)
    _taken(outbox)
    assert outbox.next(0) is None


def test_waits_double_up_to_five_minutes_and_end_after_an_hour() -> None:
    outbox, now, waits = outbox_with(finished()), 0.0, []
    settled = None
    while settled is None:
        settled = outbox.settle(_taken(outbox, now), _AGAIN, now)
        if (wait_s := outbox.wait_s(now)) is not None:
            waits.append(wait_s)
            assert outbox.next(now + wait_s - 0.01) is None
            now += wait_s
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, *[300] * 10]
    assert settled == Settled(settled.letter, "it answers HTTP 500; 20 tries")


@pytest.mark.parametrize(("chance", "wait_s"), [(0, 0.75), (1, 1.25)])
def test_those_that_fail_together_do_not_come_back_together(chance: float, wait_s: float) -> None:
    outbox = Outbox(chance=lambda: chance)
    outbox.look(REF, [WEBHOOK], finished(), 0)
    outbox.settle(_taken(outbox), _AGAIN, 0)
    assert outbox.wait_s(0) == wait_s


def test_retry_after_counts_when_it_is_longer() -> None:
    outbox = outbox_with(finished())
    outbox.settle(_taken(outbox), TryAgain("later", 90), 0)
    assert outbox.wait_s(0) == 90


def test_a_batch_that_is_deleted_gets_one_last_try() -> None:
    outbox = outbox_with(finished())
    outbox.forget(REF.uid)
    assert outbox.settle(_taken(outbox), _AGAIN, 0) is not None
    assert (outbox.next(1000), len(outbox)) == (None, 0)


def test_of_a_batch_that_is_deleted_what_was_tried_is_dropped() -> None:
    outbox = outbox_with(finished())
    outbox.settle(_taken(outbox), _AGAIN, 0)
    outbox.forget(REF.uid)
    assert (outbox.next(1000), len(outbox)) == (None, 0)


def test_what_is_under_way_when_its_batch_is_deleted_is_not_repeated() -> None:
    outbox = outbox_with(finished())
    letter = _taken(outbox)
    outbox.forget(REF.uid)
    assert outbox.settle(letter, Delivered(), 0) == Settled(letter)
    assert (outbox.next(1000), len(outbox)) == (None, 0)


def test_few_are_under_way_at_once() -> None:
    outbox = Outbox()
    for number in range(100):
        outbox.look(BatchRef(f"team-{number % 20}", "x", f"uid-{number}"), [WEBHOOK], finished(), 0)
    out = [_taken(outbox) for _ in range(32)]
    assert outbox.next(0) is None
    assert outbox.wait_s(0) is None, "there will be news when one is done"
    assert len({letter.ref.namespace for letter in out}) == 20, "each namespace has its turn"
    outbox.settle(out[0], Delivered(), 0)
    assert outbox.next(0) is not None


def test_of_a_namespace_few_are_under_way_at_once() -> None:
    outbox = Outbox()
    for number in range(9):
        outbox.look(BatchRef("team", "x", f"uid-{number}"), [WEBHOOK], finished(), 0)
    for _ in range(4):
        _taken(outbox)
    assert outbox.next(0) is None


def test_what_there_is_no_room_for_is_taken_up_later() -> None:
    outbox = Outbox()
    refs = [BatchRef("team", "x", f"uid-{number}") for number in range(1001)]
    for ref in refs:
        outbox.look(ref, [WEBHOOK], finished(), 0)
    assert len(outbox) == 1000
    turned_away: set[str] = set()
    for _ in range(500):
        assert turned_away == set()
        outbox.settle(_taken(outbox), Delivered(), 0)
        turned_away = outbox.turned_away()
    assert turned_away == {"uid-1000"}
    outbox.look(refs[1000], [WEBHOOK], finished(), 0)
    assert len(outbox) == 501


def test_room_that_deleted_batches_leave_is_news() -> None:
    outbox, news = Outbox(), []
    refs = [BatchRef("team", "x", f"uid-{number}") for number in range(1001)]
    for ref in refs:
        outbox.look(ref, [WEBHOOK], finished(), 0)
    outbox.on_news = lambda: news.append(outbox.turned_away())
    for ref in refs[:1000]:
        outbox.look(ref, [], finished(), 0)
    assert [uids for uids in news if uids] == [{"uid-1000"}]


def test_a_status_keeps_the_last_deliveries_and_those_of_what_is_still_so() -> None:
    outbox, so = Outbox(), running()
    for second in range(50):
        so = running(NO_SECRET, _at(STALLED, second)).model_copy(update={"deliveries": so.deliveries})
        outbox.look(REF, [WEBHOOK], so, second)
        while (letter := outbox.next(second)) is not None:
            outbox.settle(letter, Delivered(), second)
        so = outbox.noted(REF, so)
    assert so.deliveries[0].event == "Held"
    assert len(so.deliveries) == 22
    outbox.look(REF, [WEBHOOK], so, 100)
    assert outbox.noted(REF, so) is so
    assert outbox.next(100) is None


def test_a_status_that_was_not_written_is_no_loss() -> None:
    outbox = outbox_with(finished())
    outbox.settle(_taken(outbox), Delivered(), 0)
    outbox.noted(REF, finished())
    outbox.look(REF, [WEBHOOK], finished(), 1)
    assert outbox.next(1) is None
    assert len(_deliveries(outbox, finished())) == 1


def test_the_key_is_wanted_for_each_new_batch_and_of_old_ones_once() -> None:
    outbox = Outbox()
    for number in range(3):
        outbox.look(BatchRef("old", "x", f"old-{number}"), [WEBHOOK], finished(), 0)
    assert outbox.keyless() == ["old"]
    outbox.look(BatchRef("old", "x", "new"), [WEBHOOK], running(), 0)
    assert outbox.keyless() == ["old"], "somebody may have deleted it since"
    assert outbox.keyless() == []


def test_the_slash_at_the_end_of_an_address_is_kept() -> None:
    assert URL.endswith("/")
    assert _taken(outbox_with(finished(), Webhook(url=URL))).url == URL


@pytest.mark.parametrize("header", [None, "", "soon", "-1", "Sun, 22 Nov 2026 12:00:00 GMT", "²"])
def test_a_retry_after_that_is_no_number_of_seconds_is_passed_over(header: str | None) -> None:
    assert judge(503, header) == TryAgain("it answers HTTP 503", 0)


def test_a_retry_after_of_days_is_five_minutes() -> None:
    assert judge(429, "864000") == TryAgain("it answers HTTP 429", 300)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
    ],
)
def test_addresses_of_the_operators_own_node_and_of_clouds_are_refused(address: str) -> None:
    assert is_refused(address)


@pytest.mark.parametrize(
    "address", ["10.96.0.10", "192.168.1.7", "172.16.0.1", "93.184.215.14", "fd00::7", "2001:db8::1", "hooks.example"]
)
def test_other_addresses_are_not(address: str) -> None:
    assert not is_refused(address)
