"""Who a token belongs to: reviewed by the API server, kept for a while, so that a report every second costs nothing.

The pod is looked up each time: what the operator knows of pods may lag behind a pod's first call.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from llmbatch_contract.pods import AUDIENCE
from llmbatch_operator.coordinator.desk import PodIdentity, Refused

ACCEPTED_S = 300
REFUSED_S = 5
STALE_S = 3600
"""So old may an acceptance be while the API server does not answer: as old as a token gets."""
MOST_TOKENS = 20_000
_MOST_AT_ONCE = 16
_USER = "system:serviceaccount:"
_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"


@dataclass(frozen=True)
class ReviewedToken:
    """The pod that a token is bound to."""

    namespace: str
    pod: str
    pod_uid: str


Review = Callable[[str], Awaitable[ReviewedToken | None]]
"""Asks the API server; None if the token is no good. Raises OSError when the API server cannot be asked."""
PodToBatch = Callable[[str, str, str], tuple[str, str] | None]
"""Name and uid of the batch that a pod works for, by the pod's namespace, name and uid."""


@dataclass(frozen=True)
class _Verdict:
    token: ReviewedToken | None
    at: float

    def is_fresh(self, now: float) -> bool:
        return now - self.at < (REFUSED_S if self.token is None else ACCEPTED_S)


class TokenIdentities:
    """Pods by token. Right and wrong tokens are kept apart: a flood of wrong ones pushes out no right one."""

    def __init__(self, review: Review, pod_to_batch: PodToBatch, clock: Callable[[], float] = monotonic) -> None:
        self._review = review
        self._pod_to_batch = pod_to_batch
        self._clock = clock
        self._accepted: dict[bytes, _Verdict] = {}
        self._refused: dict[bytes, _Verdict] = {}
        self._running: dict[bytes, asyncio.Task[_Verdict]] = {}
        self._at_once = asyncio.Semaphore(_MOST_AT_ONCE)

    async def who(self, token: str) -> PodIdentity:
        """The pod that shows this token. Raises Refused."""
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        verdict = self._accepted.get(digest) or self._refused.get(digest)
        if verdict is None or not verdict.is_fresh(self._clock()):
            verdict = await self._reviewed(digest, token)
        if verdict.token is None:
            raise Refused(401, f"the token is not one of a pod for the audience {AUDIENCE}, or it has expired")
        return self._identity(verdict.token)

    def _identity(self, token: ReviewedToken) -> PodIdentity:
        batch = self._pod_to_batch(token.namespace, token.pod, token.pod_uid)
        if batch is None:
            raise Refused(403, f"pod {token.namespace}/{token.pod} is not known to work for a batch")
        name, uid = batch
        return PodIdentity(token.namespace, token.pod, name, uid)

    async def _reviewed(self, digest: bytes, token: str) -> _Verdict:
        """One review for all who ask at the same time; it goes on when one of them leaves."""
        task = self._running.get(digest)
        if task is None:
            task = asyncio.create_task(self._review_now(digest, token))
            self._running[digest] = task
            task.add_done_callback(lambda _: self._running.pop(digest, None))
        return await asyncio.shield(task)

    async def _review_now(self, digest: bytes, token: str) -> _Verdict:
        try:
            async with self._at_once:
                verdict = _Verdict(await self._review(token), self._clock())
        except OSError as error:
            return self._known(digest, error)
        self._accepted.pop(digest, None)
        self._refused.pop(digest, None)
        _keep(self._refused if verdict.token is None else self._accepted, digest, verdict)
        return verdict

    def _known(self, digest: bytes, error: OSError) -> _Verdict:
        """Batches go on while the API server is away. Raises Refused."""
        known = self._accepted.get(digest)
        if known is None or self._clock() - known.at > STALE_S:
            raise Refused(503, "tokens cannot be checked now: the API server does not answer; try again") from error
        return known


def read_review(status: Mapping[str, Any], audience: str = AUDIENCE) -> ReviewedToken | None:
    """The status of a TokenReview: the pod, if the token is good, for this audience, and bound to a pod."""
    user = status.get("user") or {}
    username = str(user.get("username", ""))
    extra = user.get("extra") or {}
    names, uids = extra.get(_POD_NAME) or [], extra.get(_POD_UID) or []
    is_right = status.get("authenticated") is True and audience in (status.get("audiences") or [])
    if not is_right or not username.startswith(_USER) or len(names) != 1 or len(uids) != 1:
        return None
    return ReviewedToken(username.removeprefix(_USER).partition(":")[0], names[0], uids[0])


def _keep(verdicts: dict[bytes, _Verdict], digest: bytes, verdict: _Verdict) -> None:
    """The oldest goes when there are too many."""
    while len(verdicts) >= MOST_TOKENS:
        del verdicts[next(iter(verdicts))]
    verdicts[digest] = verdict
