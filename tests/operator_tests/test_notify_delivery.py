"""Webhooks on their way: a real receiver on loopback, signatures, tries, refusals."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
import yaml

from llmbatch_contract.holding import Occasion, Webhook
from llmbatch_contract.signing import signed_headers, signing_key
from llmbatch_contract.status import Delivery, LLMBatchStatus
from llmbatch_operator.facts import BatchRef
from llmbatch_operator.notify.outbox import Outbox
from llmbatch_operator.notify.payload import Payload
from operator_tests.notify_builders import NO_SECRET, STALLED, finished, outbox_with, running
from operator_tests.notify_receiver import HANG, MASTER, Receiver, delivering, receiving
from operator_tests.operator_builders import REF, manifest

_PAGE = Path(__file__).parents[2] / "docs" / "notify.md"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


def _is_genuine() -> Callable[[Any, bytes, str], bool]:
    """The code of the page, as a reader would copy it."""
    (code,) = re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    found: Callable[[Any, bytes, str], bool] = names["is_genuine"]
    return found


def _recorded(outbox: Outbox, so: LLMBatchStatus) -> list[tuple[str, bool]]:
    return [(d.event, d.delivered) for d in outbox.noted(REF, so).deliveries]


def test_the_example_of_the_page_is_as_the_schema_says() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    schema = orjson.loads((_PAGE.parent / "notify.schema.json").read_bytes())
    jsonschema_rs.validator_for(schema).validate(orjson.loads(example))
    assert orjson.loads(Payload.load(example.encode()).dump_json()) == orjson.loads(example)


def test_the_manifest_of_the_page_can_be_applied() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    spec = manifest(**yaml.safe_load(text)["spec"]).spec
    assert [webhook.events for webhook in spec.notify] == [list(Occasion), [Occasion.FAILED, Occasion.ALERT]]


def test_signatures_are_those_of_the_standard() -> None:
    key, id_, sent_at = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
    headers = signed_headers(key, id_, sent_at, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_message_arrives_signed_and_is_recorded(receiver: Receiver) -> None:
    outbox = outbox_with(finished(), Webhook(url=receiver.url))
    async with delivering(outbox) as post:
        await post.until(lambda: post.woken)
    (got,) = receiver.got
    assert got.message["type"] == "llmbatch.finished"
    assert got.message["id"] == got.id
    assert got.headers["content-type"] == "application/json"
    assert got.headers["user-agent"].startswith("llmbatch/")
    assert _recorded(outbox, finished()) == [("Finished", True)]
    assert (post.told, post.counted, post.woken) == ([], ["delivered"], [REF.uid])


async def test_the_code_of_the_page_knows_what_is_genuine(receiver: Receiver) -> None:
    async with delivering(outbox_with(finished(), Webhook(url=receiver.url))) as post:
        await post.until(lambda: receiver.got and post.kube.secrets)
    (got,), (secret,) = receiver.got, post.kube.secrets
    is_genuine, key = _is_genuine(), secret["stringData"]["signing-key"]
    assert is_genuine(got.headers, got.body, key)
    assert not is_genuine(got.headers, got.body + b" ", key)
    assert not is_genuine(got.headers, got.body, signing_key(MASTER, "another namespace"))
    assert not is_genuine({**got.headers, "webhook-timestamp": "1614265330"}, got.body, key)
    old = signed_headers(key, got.id, 1614265330, got.body)
    assert not is_genuine(old, got.body, key), "it may be a copy of what was sent long ago"


async def test_the_key_is_left_in_the_namespace_once(receiver: Receiver) -> None:
    outbox = outbox_with(running(), Webhook(url=receiver.url))
    async with delivering(outbox) as post:
        post.kube.refusals = 2
        await post.until(lambda: post.kube.secrets)
        outbox.look(BatchRef("team-b", "x", "another uid"), [Webhook(url=receiver.url)], running(), 0)
        await post.until(lambda: len(post.kube.secrets) == 2)
    one, other = post.kube.secrets
    assert (one["metadata"]["name"], one["metadata"]["namespace"]) == ("llmbatch-notify", REF.namespace)
    assert "ownerReferences" not in one["metadata"], "it outlives the batch"
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", one["stringData"]["signing-key"])
    assert other["metadata"]["namespace"] == "team-b"
    assert one["stringData"] != other["stringData"]


@pytest.mark.parametrize("status", [500, 503, 429, 408, 425])
async def test_what_may_pass_is_tried_again_with_the_same_id(receiver: Receiver, status: int) -> None:
    receiver.answers.append(status)
    outbox = outbox_with(finished(), Webhook(url=receiver.url))
    async with delivering(outbox) as post:
        await post.until(lambda: receiver.got)
        await post.until(lambda: outbox.wait_s(post.seconds) == 1)
        assert post.woken == []
        post.after(1)
        await post.until(lambda: post.woken)
    first, second = receiver.got
    assert first.id == second.id
    assert first.body == second.body
    assert _recorded(outbox, finished()) == [("Finished", True)]


async def test_a_receiver_that_does_not_answer_in_time_is_tried_again(receiver: Receiver) -> None:
    receiver.answers.append(HANG)
    outbox = outbox_with(finished(), Webhook(url=receiver.url))
    async with delivering(outbox, timeout_s=0.2) as post:
        await post.until(lambda: outbox.wait_s(post.seconds))
        post.after(1)
        await post.until(lambda: post.woken)
    assert len(receiver.got) == 2


async def test_retry_after_is_heard(receiver: Receiver) -> None:
    receiver.answers.append(429)
    receiver.headers["Retry-After"] = "90"
    outbox = outbox_with(finished(), Webhook(url=receiver.url))
    async with delivering(outbox) as post:
        await post.until(lambda: outbox.wait_s(post.seconds) == 90)


@pytest.mark.parametrize("status", [410, 400, 401, 404])
async def test_a_refusal_is_the_end_of_it_and_an_event(receiver: Receiver, status: int) -> None:
    receiver.answer = status
    outbox = outbox_with(finished(), Webhook(url=receiver.url))
    async with delivering(outbox) as post:
        await post.until(lambda: post.woken)
    ((about, event),) = post.told
    place = receiver.url.removesuffix("/hook/")
    said = f"{place} was not told (Finished): it answers HTTP {status}; 1 try; the batch goes on"
    assert (event.type, event.reason, event.message) == ("Warning", "NotifyFailed", said)
    assert about["metadata"] == {"namespace": REF.namespace, "name": REF.name, "uid": REF.uid}
    assert (about["apiVersion"], about["kind"]) == ("llmbatch.dev/v1alpha1", "LLMBatch")
    assert _recorded(outbox, finished()) == [("Finished", False)]
    assert post.counted == ["failed"]
    assert len(receiver.got) == 1


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answer = 307
    receiver.headers["Location"] = receiver.url
    async with delivering(outbox_with(finished(), Webhook(url=receiver.url))) as post:
        await post.until(lambda: post.woken)
    assert len(receiver.got) == 1
    assert "a redirect, which is not followed" in post.told[0][1].message


async def test_a_receiver_that_is_not_there_is_tried_again() -> None:
    async with receiving() as gone:
        url = gone.url
    outbox = outbox_with(finished(), Webhook(url=url))
    async with delivering(outbox) as post:
        await post.until(lambda: outbox.wait_s(post.seconds))
        assert post.woken == []


async def test_after_an_hour_it_is_given_up_with_an_event(receiver: Receiver) -> None:
    receiver.answer = 500
    outbox = outbox_with(finished(), Webhook(url=receiver.url))
    async with delivering(outbox) as post:
        while not post.woken:
            tries = len(receiver.got)
            post.after(300)
            await post.until(lambda tries=tries: len(receiver.got) > tries or post.woken)  # type: ignore[misc]
            await post.until(lambda: outbox.wait_s(post.seconds) is not None or post.woken)
    assert post.seconds == 3600
    said = post.told[0][1].message
    assert re.search(r"it answers HTTP 500; \d+ tries; the batch goes on", said)
    assert _recorded(outbox, finished()) == [("Finished", False)]


async def test_a_restart_delivers_what_was_not_recorded_with_the_same_id(receiver: Receiver) -> None:
    for _ in range(2):
        async with delivering(outbox_with(running(NO_SECRET, STALLED), Webhook(url=receiver.url))) as post:
            await post.until(lambda: len(post.woken) == 2)
    ids = [got.id for got in receiver.got]
    assert len(ids) == 4
    assert set(ids[:2]) == set(ids[2:])


async def test_what_is_recorded_is_never_delivered_again(receiver: Receiver) -> None:
    webhook = Webhook(url=receiver.url)
    outbox = outbox_with(finished(), webhook)
    async with delivering(outbox) as post:
        await post.until(lambda: post.woken)
        recorded = outbox.noted(REF, finished())
        outbox.look(REF, [webhook], recorded, 0)
        outbox.look(REF, [webhook], recorded, 0)
    assert outbox.noted(REF, recorded) == recorded
    assert outbox_with(recorded, webhook).next(0) is None, "not by an operator that starts anew either"


async def test_each_webhook_is_told_what_it_asked_for(receiver: Receiver) -> None:
    only_alerts = Webhook(url=receiver.url, events=[Occasion.ALERT])
    async with receiving() as another:
        outbox = outbox_with(running(NO_SECRET, STALLED), only_alerts, Webhook(url=another.url))
        async with delivering(outbox) as post:
            await post.until(lambda: len(post.woken) == 3)
        assert [got.message["type"] for got in receiver.got] == ["llmbatch.alert"]
        assert {got.message["type"] for got in another.got} == {"llmbatch.alert", "llmbatch.held"}


async def test_a_slow_receiver_gets_a_few_at_once_and_holds_up_no_other_namespace(receiver: Receiver) -> None:
    receiver.answer = HANG
    outbox = Outbox()
    for number in range(20):
        outbox.look(BatchRef("slow", "x", f"uid-{number}"), [Webhook(url=receiver.url)], finished(), 0)
    async with receiving() as another, delivering(outbox) as post:
        await post.until(lambda: len(receiver.got) == 4)
        outbox.look(REF, [Webhook(url=another.url)], finished(), 0)
        await post.until(lambda: another.got)
    assert receiver.most_at_once == 4


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[fd00:ec2::254]", "0.0.0.0"),
        *("\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021", "0x7f.1"),  # names that stand for 127.0.0.1
    ],
)
async def test_nothing_is_sent_to_the_operators_own_node(receiver: Receiver, host: str) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    async with delivering(outbox_with(finished(), Webhook(url=url)), allow_local=False) as post:
        await post.until(lambda: post.woken)
    assert receiver.got == []
    assert "a loopback or link-local one, which the operator does not send to" in post.told[0][1].message


async def test_a_proxy_of_the_environment_is_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", receiver.url.removesuffix("/hook/"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with delivering(outbox_with(finished(), Webhook(url="http://hooks.example/hook/"))) as post:
        await post.until(lambda: receiver.got)
    assert receiver.got[0].headers["host"] == "hooks.example"


async def test_a_token_in_a_url_is_told_to_nobody(receiver: Receiver) -> None:
    receiver.answer = 404
    url = f"{receiver.url}?token=s3cret"
    async with delivering(outbox_with(finished(), Webhook(url=url))) as post:
        await post.until(lambda: post.told)
    assert "s3cret" not in post.told[0][1].message


def test_a_delivery_is_a_line_of_the_status() -> None:
    known = Delivery(id="msg_1", event="Finished", delivered=True)
    assert known.dump() == {"id": "msg_1", "event": "Finished", "delivered": True}


async def test_a_mistake_about_one_delivery_holds_up_no_other(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError

    outbox = outbox_with(finished(), Webhook(url=receiver.url))
    async with delivering(outbox) as post:
        with monkeypatch.context() as patch:
            patch.setattr("llmbatch_operator.notify.posting.signed_headers", fail)
            await post.until(lambda: outbox.wait_s(post.seconds))
        post.after(1)
        await post.until(lambda: receiver.got)
    assert "cannot tell a webhook" in caplog.text
