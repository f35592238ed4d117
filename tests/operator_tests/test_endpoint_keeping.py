"""Who writes the status of LLMEndpoints, and how rarely."""

from typing import Any

from llmbatch_contract.llmendpoint import EndpointReason
from llmbatch_contract.sharing import EndpointFacts
from llmbatch_operator.cache import Cache
from llmbatch_operator.endpoints.endpoint_conditions import EndpointEvent
from llmbatch_operator.endpoints.keeping import EndpointKeeper, event_body, read_endpoint_status
from llmbatch_operator.endpoints.known import Endpoints
from llmbatch_operator.facts import Body
from llmbatch_operator.kube import CallError, Kube
from operator_tests.endpoint_builders import NOW, endpoint_body, endpoint_facts, endpoints, known
from operator_tests.kube_bodies import batch_body


class _Kube(Kube):
    """Takes note of what is written."""

    def __init__(self) -> None:
        self.statuses: list[tuple[str, Body]] = []
        self.events: list[Body] = []
        self.is_away = False
        self.is_gone = False

    async def write_endpoint_status(self, name: str, uid: str, status: Body) -> Body | None:
        """As Kube's."""
        if self.is_away:
            raise CallError(0, "the API server cannot be reached")
        self.statuses.append((name, status))
        return None if self.is_gone else {"metadata": {"uid": uid}}

    async def create_event(self, body: Body) -> None:
        """As Kube's."""
        self.events.append(body)


def _keeper(there: Endpoints, used: dict[str, EndpointFacts], *batches: Body) -> tuple[EndpointKeeper, _Kube]:
    cache = Cache(lambda _uid: None, lambda _pod: None)
    for body in batches:
        cache.put_batch(body)
    kube = _Kube()
    return EndpointKeeper(kube, there, cache, used.get, lambda: NOW), kube


def _batch(uid: str, ref: str | None = "shared", **fields: Any) -> Body:
    body = batch_body(**fields)
    body["metadata"] |= {"uid": uid, "name": uid}
    if ref is not None:
        body["spec"]["endpoint"] = {"ref": ref}
    return body


async def test_a_status_is_written_when_it_changes_and_only_then() -> None:
    used = {"shared": endpoint_facts()}
    keeper, kube = _keeper(endpoints(endpoint_body(), endpoint_body("idle", url="https://b.example.com")), used)
    for _ in range(3):
        await keeper.look()
    assert [name for name, _ in kube.statuses] == ["shared", "idle"]
    used["shared"] = endpoint_facts(pods=9)
    await keeper.look()
    assert [(name, status["pods"]) for name, status in kube.statuses[2:]] == [("shared", 9)]


async def test_the_batches_that_use_it_are_those_that_have_not_ended() -> None:
    batches = (
        _batch("a"),
        _batch("b"),
        _batch("over", status={"phase": "Succeeded"}),
        _batch("inline", None),
        _batch("another", "idle"),
    )
    keeper, kube = _keeper(endpoints(endpoint_body()), {}, *batches)
    await keeper.look()
    assert kube.statuses[0][1]["batches"] == 2


async def test_duplicates_are_pointed_out_on_both_with_an_event() -> None:
    keeper, kube = _keeper(endpoints(endpoint_body("a"), endpoint_body("b")), {})
    await keeper.look()
    assert [event["reason"] for event in kube.events] == ["SameUrlAndKey", "SameUrlAndKey"]
    assert [event["involvedObject"]["name"] for event in kube.events] == ["a", "b"]


async def test_nothing_is_told_again_after_a_restart() -> None:
    first, before = _keeper(endpoints(endpoint_body("a"), endpoint_body("b")), {})
    await first.look()
    there = endpoints(*(endpoint_body(name, status=status) for name, status in before.statuses))
    second, kube = _keeper(there, {})
    await second.look()
    assert (kube.statuses, kube.events) == ([], [])


async def test_what_could_not_be_written_is_written_later() -> None:
    keeper, kube = _keeper(endpoints(endpoint_body("a"), endpoint_body("b")), {})
    kube.is_away = True
    await keeper.look()
    kube.is_away = False
    await keeper.look()
    assert [name for name, _ in kube.statuses] == ["a", "b"]


async def test_nothing_is_told_of_one_that_has_gone() -> None:
    keeper, kube = _keeper(endpoints(endpoint_body("a"), endpoint_body("b")), {})
    kube.is_gone = True
    await keeper.look()
    assert kube.events == []


def test_a_status_with_words_of_a_newer_operator_is_none() -> None:
    strange = {"type": "Strange", "status": "True", "reason": "Odd", "lastTransitionTime": "2026-11-22T12:00:00Z"}
    assert read_endpoint_status(endpoint_body(status={"conditions": [strange]})) is None
    assert read_endpoint_status(endpoint_body(status={"newer": 1, "pods": 3})) is not None
    assert read_endpoint_status(endpoint_body()) is None


def test_an_event_is_about_an_object_in_no_namespace() -> None:
    body = event_body(known(), EndpointEvent("Warning", EndpointReason.DOWN, "it answers nothing"), NOW)
    assert body["metadata"]["namespace"] == "default"
    assert "namespace" not in body["involvedObject"]
