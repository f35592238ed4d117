"""What keeps a batch from going on that somebody else has to put right. Pure."""

from collections.abc import Callable
from datetime import datetime

from llmbatch_contract.pods import Stage
from llmbatch_contract.status import ConditionType, Reason
from llmbatch_operator.facts import PodFacts
from llmbatch_operator.observed import Fact, Observed
from llmbatch_operator.replacing import asks_elsewhere

_MANY_FAILED = 2
_TRY_S = 30.0
"""So long a pod may take to fail as the one before it did: until then nobody knows that nothing is in the way."""
PLACE_REASONS = {
    "InputMissingError": Reason.INPUT_MISSING,
    "StoreMissingError": Reason.INPUT_MISSING,
    "OutputMissingError": Reason.OUTPUT_MISSING,
    "StoreDeniedError": Reason.STORE_DENIED,
    "StoreReadOnlyError": Reason.STORE_DENIED,
    "StoreAwayError": Reason.STORE_AWAY,
    "StoreFullError": Reason.STORE_FULL,
}
"""By the error of a pod that could not read or write where it has to. It may pass, so another pod tries again."""
_TROUBLES = {
    "denied": Reason.STORE_DENIED,
    "away": Reason.STORE_AWAY,
    "full": Reason.STORE_FULL,
    "taken": Reason.OUTPUT_TAKEN,
    "receiver": Reason.RECEIVER_AWAY,
}
_AFTERWARDS = {
    "taken": "that is waited for, as it may have been deleted just now, but for three minutes only",
    "receiver": "what it has not taken after a quarter of an hour goes to undelivered.jsonl",
}
_NOT_THERE = (Reason.INPUT_MISSING, Reason.OUTPUT_MISSING)
_WORKING = (Stage.PLAN, Stage.CANARY, Stage.SHARD, Stage.RUN, Stage.FINALIZE)


def what_blocks(observed: Observed, now: datetime) -> Fact | None:
    """The first reason that holds, in the order of `_CHECKS`; None when nothing is in the way."""
    for check in _CHECKS:
        if (fact := check(observed)) is not None:
            return fact
    return _place_cannot_be_used(observed, now) or _pods_keep_failing(observed)


def seconds_in_doubt(o: Observed, now: datetime) -> float | None:
    """How long a new try may yet fail as the one before did; None if none is under way."""
    started = [p.started_at for p in o.pods_of(*_WORKING) if p.phase == "Running" and p.started_at is not None]
    left = [s for s in (start + _TRY_S - now.timestamp() for start in started) if s > 0]
    return max(left) if left and _is_blocked_by_place(o) else None


def _spec_is_invalid(o: Observed) -> Fact | None:
    if o.spec is not None:
        return None
    return Fact(True, Reason.INVALID_SPEC, f"{o.problems}; running pods go on as they were, correct it to change them")


def _endpoint_cannot_be_used(o: Observed) -> Fact | None:
    return o.endpoint_problem


def _endpoint_has_changed(o: Observed) -> Fact | None:
    if not asks_elsewhere(o):
        return None
    message = "the endpoint has another URL, key or headers; pods end in order and others go on with these"
    return Fact(True, Reason.ENDPOINT_CHANGED, message)


def _store_is_full(o: Observed) -> Fact | None:
    return None if o.talk.store_full is None else Fact(True, Reason.STORE_FULL, o.talk.store_full)


def _store_is_in_trouble(o: Observed) -> Fact | None:
    """As the workers say that wait for it."""
    trouble = o.talk.store_trouble
    if trouble is None:
        return None
    after = _AFTERWARDS.get(trouble.kind, "the batch goes on by itself when that is over")
    return Fact(True, _TROUBLES[trouble.kind], f"{trouble.message}; {after}")


def _secret_is_missing(o: Observed) -> Fact | None:
    for pod in _stuck(o):
        if pod.waiting is not None and pod.waiting.reason == "CreateContainerConfigError":
            message = f"{pod.waiting.message}; create it in namespace {o.ref.namespace}, the batch goes on by itself"
            return Fact(True, Reason.SECRET_MISSING, message)
    return None


def _image_cannot_be_pulled(o: Observed) -> Fact | None:
    for pod in _stuck(o):
        if pod.waiting is not None and pod.waiting.is_about_image:
            return Fact(True, Reason.IMAGE_PULL_FAILED, pod.waiting.message or pod.waiting.reason)
    return None


def _pods_find_no_node(o: Observed) -> Fact | None:
    stuck = _stuck(o)
    if stuck and stuck[0].unschedulable is not None and all(pod.unschedulable is not None for pod in stuck):
        return Fact(True, Reason.UNSCHEDULABLE, stuck[0].unschedulable)
    return None


def _place_cannot_be_used(o: Observed, now: datetime) -> Fact | None:
    """A pod has found that its input is not there, or that a store does not let it in or is away.

    It is so until another pod gets further: the Job tries again, ever more slowly.
    """
    for stage in (Stage.PLAN, Stage.RUN, Stage.FINALIZE, Stage.CANARY, Stage.SHARD):
        error = o.error_of(stage)
        has_one_at_work = any(p.phase == "Running" for p in o.pods_of(stage))
        if not _has_done_nothing(o, stage) or (has_one_at_work and seconds_in_doubt(o, now) is None):
            continue
        if error is None or error.kind not in PLACE_REASONS:
            continue
        reason = PLACE_REASONS[error.kind]
        until = "when it is there" if reason in _NOT_THERE else "when that is put right"
        return Fact(True, reason, f"{error.message}; the batch goes on by itself {until}")
    return None


def _pods_keep_failing(o: Observed) -> Fact | None:
    """One that has failed is replaced, and nobody needs to know; where none has succeeded yet, two are worth a word."""
    failed = [p for p in o.pods if p.phase == "Failed" and p.ended_by is not None and _has_done_nothing(o, p.stage)]
    if len(failed) < _MANY_FAILED or any(p.phase == "Running" for p in o.pods_of(*_WORKING)):
        return None
    words = failed[-1].last_words
    said = words.error.message if words is not None and words.error is not None else failed[-1].ended_by
    return Fact(True, Reason.PODS_FAIL, f"{len(failed)} pods have failed, Kubernetes tries again; the last: {said}")


def _is_blocked_by_place(o: Observed) -> bool:
    blocked = o.condition(ConditionType.BLOCKED)
    return blocked is not None and blocked.reason in PLACE_REASONS.values()


def _has_done_nothing(o: Observed, stage: Stage) -> bool:
    """As the Job counts, and, for it counts late, as its pods say."""
    job = o.jobs.get(stage)
    if job is None or job.is_finished or job.is_suspended or job.succeeded:
        return False
    return not any(p.stage is stage and p.phase == "Succeeded" for p in o.pods)


def _stuck(o: Observed) -> list[PodFacts]:
    """Pods that do not start, if no pod works at all."""
    pods = o.pods_of(*_WORKING)
    return [] if any(p.phase == "Running" for p in pods) else [p for p in pods if not p.is_deleting]


_CHECKS: tuple[Callable[[Observed], Fact | None], ...] = (
    _spec_is_invalid,
    _endpoint_cannot_be_used,  # it is looked up anew whenever it changes
    _endpoint_has_changed,
    _store_is_full,  # pods wait until there is room
    _store_is_in_trouble,  # pods wait until it is over
    _secret_is_missing,  # the kubelet tries again every few seconds
    _image_cannot_be_pulled,
    _pods_find_no_node,
)
