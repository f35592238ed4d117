"""Tokens: what a review says, how long it counts, how often the API server is asked."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from coordinator.coordinator_bench import until
from llmbatch_operator.coordinator import identity
from llmbatch_operator.coordinator.desk import PodIdentity, Refused
from llmbatch_operator.coordinator.identity import ReviewedToken, TokenIdentities, read_review

POD = ReviewedToken("team-a", "tickets-0", "pod-uid")
WHO = PodIdentity("team-a", "tickets-0", "tickets", "uid-tickets")


@dataclass
class ApiServer:
    """Reviews tokens: `good…` are good. Counts, and fails on demand."""

    asked: list[str] = field(default_factory=list)
    is_away: bool = False
    now: float = 0.0
    knows_the_pod: bool = True
    is_good: Callable[[str], bool] = lambda token: token.startswith("good")
    is_open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.is_open.set()
        self.identities = TokenIdentities(self.review, self.pod_to_batch, lambda: self.now)

    async def review(self, token: str) -> ReviewedToken | None:
        self.asked.append(token)
        await self.is_open.wait()
        if self.is_away:
            raise ConnectionError("connection refused")
        return POD if self.is_good(token) else None

    def pod_to_batch(self, namespace: str, pod: str, pod_uid: str) -> tuple[str, str] | None:
        is_pod = (namespace, pod, pod_uid) == (POD.namespace, POD.pod, POD.pod_uid)
        return (WHO.batch, WHO.batch_uid) if self.knows_the_pod and is_pod else None

    async def status(self, token: str) -> int:
        try:
            assert await self.identities.who(token) == WHO
        except Refused as refused:
            return refused.status
        return 200


@pytest.mark.parametrize(
    ("token", "status", "fresh_s"),
    [pytest.param("good", 200, 300, id="an accepted token"), pytest.param("bad", 401, 5, id="a refused token")],
)
async def test_a_verdict_counts_for_a_while(token: str, status: int, fresh_s: float) -> None:
    api = ApiServer()
    for api.now, reviews in ((0.0, 1), (fresh_s - 1, 1), (fresh_s + 1, 2)):
        assert await api.status(token) == status
        assert len(api.asked) == reviews


async def test_those_who_show_a_new_token_at_once_wait_for_one_review() -> None:
    api = ApiServer()
    api.is_open.clear()
    calls = [asyncio.create_task(api.status("good")) for _ in range(20)]
    await until(lambda: api.asked)
    calls[0].cancel()
    await asyncio.sleep(0)
    api.is_open.set()
    assert await asyncio.gather(*calls[1:]) == [200] * 19
    assert api.asked == ["good"]


async def test_a_pod_that_becomes_known_later_is_let_in_without_another_review() -> None:
    api = ApiServer(knows_the_pod=False)
    assert await api.status("good") == 403
    api.knows_the_pod = True
    assert await api.status("good") == 200
    assert api.asked == ["good"]


async def test_a_token_that_is_no_longer_good_is_refused_at_the_next_review() -> None:
    api = ApiServer()
    assert await api.status("good") == 200
    api.is_good = lambda _: False
    api.now = 301
    assert await api.status("good") == 401
    api.is_good = lambda _: True
    api.now = 310
    assert await api.status("good") == 200


async def test_pods_that_are_known_go_on_while_the_api_server_is_away() -> None:
    api = ApiServer()
    assert await api.status("good") == 200
    api.is_away = True
    api.now = 1000
    assert [await api.status("good"), await api.status("good-but-new")] == [200, 503]
    api.now = 3601
    assert await api.status("good") == 503
    api.is_away = False
    assert [await api.status("good"), await api.status("good-but-new")] == [200, 200]


async def test_wrong_tokens_push_out_no_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "MOST_TOKENS", 10)
    api = ApiServer()
    for token in ["good", *(f"bad-{number}" for number in range(30)), "good"]:
        await api.status(token)
    assert api.asked.count("good") == 1


async def test_of_too_many_tokens_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "MOST_TOKENS", 10)
    api = ApiServer()
    for number in [*range(11), 10, 0]:
        await api.status(f"good-{number}")
    assert (api.asked.count("good-10"), api.asked.count("good-0")) == (1, 2)


def review_status(**changes: Any) -> dict[str, Any]:
    """The status of a TokenReview as the API server writes it."""
    extra = {
        "authentication.kubernetes.io/credential-id": ["JTI=1"],
        "authentication.kubernetes.io/node-name": ["node"],
        "authentication.kubernetes.io/pod-name": ["tickets-0"],
        "authentication.kubernetes.io/pod-uid": ["pod-uid"],
    }
    user = {"username": "system:serviceaccount:team-a:default", "uid": "1", "groups": [], "extra": extra}
    return {"authenticated": True, "user": user, "audiences": ["llmbatch-coordinator"]} | changes


def with_user(**changes: Any) -> dict[str, Any]:
    status = review_status()
    return status | {"user": status["user"] | changes}


def test_a_review_tells_the_pod() -> None:
    assert read_review(review_status()) == POD


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({}, id="an empty status"),
        pytest.param({"authenticated": False, "error": "token has expired"}, id="not authenticated"),
        pytest.param(review_status(authenticated=False), id="not authenticated, with a user"),
        pytest.param(review_status(audiences=["https://kubernetes.default.svc"]), id="another audience"),
        pytest.param(review_status(audiences=None), id="no audience"),
        pytest.param(with_user(username="alice"), id="a person"),
        pytest.param(with_user(extra={}), id="a token that is bound to no pod"),
        pytest.param(with_user(extra=None), id="a token without details"),
    ],
)
def test_a_review_that_tells_no_pod_is_no_identity(status: dict[str, Any]) -> None:
    assert read_review(status) is None
