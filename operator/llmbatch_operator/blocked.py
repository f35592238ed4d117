"""What keeps a batch from going on that somebody else has to put right. Pure."""

from collections.abc import Callable

from llmbatch_contract.pods import Stage
from llmbatch_contract.status import Reason
from llmbatch_operator.facts import PodFacts
from llmbatch_operator.observed import Fact, Observed
from llmbatch_operator.replacing import asks_elsewhere

_MANY_FAILED = 2
_WORKING = (Stage.PLAN, Stage.CANARY, Stage.SHARD, Stage.RUN, Stage.FINALIZE)


def what_blocks(observed: Observed) -> Fact | None:
    """The first reason that holds, in the order of `_CHECKS`; None when nothing is in the way."""
    for check in _CHECKS:
        if (fact := check(observed)) is not None:
            return fact
    return None


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


def _input_is_missing(o: Observed) -> Fact | None:
    for stage in (Stage.PLAN, Stage.RUN, Stage.FINALIZE):
        job, error = o.jobs.get(stage), o.error_of(stage)
        has_one_at_work = any(p.phase == "Running" for p in o.pods_of(stage))
        if job is None or job.is_finished or has_one_at_work or error is None or error.kind != "InputMissingError":
            continue
        return Fact(True, Reason.INPUT_MISSING, f"{error.message}; the batch goes on by itself when it is there")
    return None


def _pods_keep_failing(o: Observed) -> Fact | None:
    """One that has failed is replaced, and nobody needs to know; where none has succeeded yet, two are worth a word."""
    failed = [p for p in o.pods if p.phase == "Failed" and p.ended_by is not None and _has_done_nothing(o, p.stage)]
    if len(failed) < _MANY_FAILED or any(p.phase == "Running" for p in o.pods_of(*_WORKING)):
        return None
    words = failed[-1].last_words
    said = words.error.message if words is not None and words.error is not None else failed[-1].ended_by
    return Fact(True, Reason.PODS_FAIL, f"{len(failed)} pods have failed, Kubernetes tries again; the last: {said}")


def _has_done_nothing(o: Observed, stage: Stage) -> bool:
    job = o.jobs.get(stage)
    return job is not None and not job.is_finished and not job.is_suspended and job.succeeded == 0


def _stuck(o: Observed) -> list[PodFacts]:
    """Pods that do not start, if no pod works at all."""
    pods = o.pods_of(*_WORKING)
    return [] if any(p.phase == "Running" for p in pods) else [p for p in pods if not p.is_deleting]


_CHECKS: tuple[Callable[[Observed], Fact | None], ...] = (
    _spec_is_invalid,
    _endpoint_cannot_be_used,  # it is looked up anew whenever it changes
    _endpoint_has_changed,
    _store_is_full,  # pods wait until there is room
    _secret_is_missing,  # the kubelet tries again every few seconds
    _image_cannot_be_pulled,
    _pods_find_no_node,
    _input_is_missing,  # the Job tries again, ever more slowly
    _pods_keep_failing,
)
