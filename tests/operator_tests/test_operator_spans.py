"""The spans that the operator exports: batches, looks, pods that ended without a word."""

from datetime import timedelta
from typing import Any

import pytest

from llmbatch_contract.pods import LastWords
from llmbatch_contract.progress import Totals
from llmbatch_contract.status import ConditionType, ItemCounts, LLMBatchStatus, Phase, Reason
from llmbatch_contract.trace import span_id, trace_of
from llmbatch_operator.cache import Cache, Known
from llmbatch_operator.facts import Body, read_trace
from llmbatch_operator.kube import CallError
from llmbatch_operator.observed import CreateJob, DeleteJob
from llmbatch_operator.sessions import Sessions
from llmbatch_operator.telemetry.recorder import Recorder
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Meters
from llmbatch_telemetry.spans import Link, Span
from llmbatch_telemetry.telemetry import Telemetry
from operator_tests.collected import Collected
from operator_tests.kube_bodies import batch_body, job_body, pod_body, terminated
from operator_tests.operator_builders import FINALIZE, NOW, PLAN, PLANNED, PLANNED_CONDITION, REF, RUN, SHARD
from operator_tests.operator_builders import condition as condition_
from operator_tests.operator_builders import status as status_

_CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_TRACE = trace_of(REF.uid)
_END = NOW + timedelta(minutes=5)
_COUNTS = ItemCounts(total=40, succeeded=38, failed=2)
_COMPLETE = condition_(ConditionType.COMPLETE, Reason.COMPLETED_WITH_ERRORS, "38 of 40 items")
_FAILED = condition_(ConditionType.FAILED, Reason.STOPPED_BY_FAILURE, "auth: the key sk-123 is wrong")
_STARTED = "2026-11-22T12:01:00Z"


class _Operator:
    """What records, and what it has exported."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.now = _END.timestamp() + 0.5
        self.recorder = Recorder(Telemetry(Meters(), Collected(self.spans)), lambda: self.now)
        self.sessions = Sessions(lambda _uid: None, lambda: 0.0, self.recorder)
        self.cache: Cache = self.sessions.cache

    def batch(self, **fields: Any) -> Known:
        """The batch REF is there."""
        self.cache.put_batch(_body(**fields))
        known = self.cache.get(REF.uid)
        assert known is not None
        return known

    def pod(self, body: Body) -> None:
        """A pod of one of its Jobs is heard of."""
        self.cache.put_pod(body)


def _body(traceparent: str = "", **fields: Any) -> Body:
    body = batch_body(**fields)
    body["metadata"] |= {"creationTimestamp": "2026-11-22T12:00:00Z"}
    if traceparent:
        body["metadata"]["annotations"] = {"traceparent": traceparent}
    return body


def _ended(phase: Phase = Phase.COMPLETED_WITH_ERRORS, **fields: Any) -> LLMBatchStatus:
    last = _FAILED if phase is Phase.FAILED else _COMPLETE
    return status_(phase, PLANNED_CONDITION, last, items=_COUNTS, completion_time=_END, **fields)


# The batch


def test_a_batch_that_has_ended_is_a_span_with_its_counts() -> None:
    operator = _Operator()
    known = operator.batch(model="gpt-4.1-mini")
    operator.recorder.ended(known, _ended(attempts=47), operator.cache)
    [span] = operator.spans
    assert (span.trace_id, span.span_id, span.parent_id) == (_TRACE.trace_id, _TRACE.span_id, None)
    assert (span.start, span.end) == (NOW.timestamp(), _END.timestamp() + 0.5)
    assert span.error is None
    assert span.attributes == {
        names.NAMESPACE: "team-a",
        names.BATCH: "triage",
        names.BATCH_UID: REF.uid,
        names.PHASE: "CompletedWithErrors",
        names.REASON: "CompletedWithErrors",
        names.GEN_AI_REQUEST_MODEL: "gpt-4.1-mini",
        names.ITEMS: 40,
        names.ITEMS_SUCCEEDED: 38,
        names.ITEMS_FAILED: 2,
        names.ITEMS_CANCELLED: 0,
        names.SHARDS: 4,
        names.ATTEMPTS: 47,
    }


def test_a_failed_batch_says_why_in_a_word_and_quotes_nobody() -> None:
    operator = _Operator()
    operator.recorder.ended(operator.batch(), _ended(Phase.FAILED), operator.cache)
    [span] = operator.spans
    assert (span.error, span.attributes[names.ERROR_TYPE]) == ("StoppedByFailure", "StoppedByFailure")
    assert "sk-123" not in repr(span)


@pytest.mark.parametrize(
    ("seconds", "is_told"),
    [pytest.param(60, True, id="a minute ago"), pytest.param(180, False, id="three minutes ago")],
)
def test_after_a_restart_only_what_has_just_ended_is_told_again(seconds: float, is_told: bool) -> None:
    operator = _Operator()
    operator.now = _END.timestamp() + seconds
    operator.recorder.ended(operator.batch(), _ended(), operator.cache)
    assert len(operator.spans) == is_told
    assert all(span.end == _END.timestamp() + 1 for span in operator.spans)


def test_a_batch_that_asks_again_is_linked_to_the_one_whose_dead_letters_it_takes() -> None:
    operator = _Operator()
    origin = batch_body()
    origin["metadata"] |= {"uid": "9d1c5a00-0000-4000-8000-000000000000", "name": "first"}
    operator.cache.put_batch(origin)
    known = operator.batch(input={"deadLettersOf": {"name": "first"}})
    operator.recorder.ended(known, _ended(), operator.cache)
    operator.cache.drop_batch(origin)
    operator.recorder.ended(known, _ended(), operator.cache)
    of_first = trace_of("9d1c5a00-0000-4000-8000-000000000000")
    assert [span.links for span in operator.spans] == [(Link(of_first.trace_id, of_first.span_id),), ()]


def test_a_batch_that_is_deleted_while_it_runs_has_an_end_too() -> None:
    operator = _Operator()
    known = operator.batch()
    operator.recorder.wrote(known, status_(Phase.RUNNING, PLANNED_CONDITION), Totals(), None)
    operator.cache.drop_batch(_body())
    operator.recorder.gone(REF.uid)
    operator.recorder.gone(REF.uid)
    [span] = operator.spans
    assert (span.span_id, span.error, span.attributes[names.PHASE]) == (_TRACE.span_id, "deleted", "Running")


def test_a_batch_that_is_deleted_after_its_end_has_had_it() -> None:
    operator = _Operator()
    operator.recorder.wrote(operator.batch(), _ended(), Totals(), None)
    operator.recorder.gone(REF.uid)
    assert operator.spans == []


# Whose trace it is


def test_a_batch_is_part_of_the_trace_of_its_caller() -> None:
    operator = _Operator()
    operator.cache.put_batch(_body(_CALLER))
    operator.cache.put_batch(_body(_OTHER, generation=2))
    known = operator.cache.get(REF.uid)
    assert known is not None
    operator.recorder.ended(known, _ended(), operator.cache)
    [span] = operator.spans
    assert (span.trace_id, span.parent_id) == (_CALLER[3:35], _CALLER[36:52]), "a later change changes nothing"


@pytest.mark.parametrize(
    ("annotation", "known", "trace_id", "parent_id"),
    [
        pytest.param("", None, _TRACE.trace_id, None, id="its own"),
        pytest.param(_CALLER, None, _CALLER[3:35], _CALLER[36:52], id="the caller's"),
        pytest.param(_CALLER, _CALLER[3:35], _CALLER[3:35], _CALLER[36:52], id="still the caller's after a restart"),
        pytest.param(_OTHER, _CALLER[3:35], _CALLER[3:35], None, id="changed meanwhile: as the status has it"),
        pytest.param("", _CALLER[3:35], _CALLER[3:35], None, id="removed meanwhile: as the status has it"),
        pytest.param(_CALLER, _TRACE.trace_id, _TRACE.trace_id, None, id="added later: its own"),
        pytest.param(_CALLER, "rubbish", _CALLER[3:35], _CALLER[36:52], id="a status that somebody wrote rubbish into"),
        pytest.param("rubbish", None, _TRACE.trace_id, None, id="rubbish: its own"),
        pytest.param("00-" + "0" * 32 + "-" + "0" * 16 + "-01", None, _TRACE.trace_id, None, id="zeros: its own"),
    ],
)
def test_the_trace_of_a_batch_is(annotation: str, known: str | None, trace_id: str, parent_id: str | None) -> None:
    trace = read_trace(_body(annotation, status={"phase": "Running", "traceId": known} if known else None))
    assert (trace.trace_id, trace.span_id, trace.parent_id) == (trace_id, _TRACE.span_id, parent_id)


def test_a_fault_in_telemetry_holds_up_no_batch(caplog: pytest.LogCaptureFixture) -> None:
    operator = _Operator()
    known = operator.batch()
    assert known.body is not None
    known.body["metadata"]["creationTimestamp"] = "no time"  # the API server writes no such thing
    for _ in range(3):
        operator.recorder.ended(known, _ended(), operator.cache)
        operator.recorder.wrote(known, _ended(), Totals(), None)
        with operator.recorder.look(known) as look:
            look.error = "something"
    assert operator.spans == []
    assert len([r for r in caplog.records if "a fault in llmbatch" in r.getMessage()]) == 1


# Looks


def test_a_look_that_did_something_is_a_span_with_what_changed() -> None:
    operator = _Operator()
    with operator.recorder.look(operator.batch()) as look:
        look.old = status_(Phase.PLANNING)
        with operator.recorder.action(look, CreateJob(SHARD, 4, 2)):
            pass
        look.new = status_(Phase.RUNNING, PLANNED_CONDITION)
        operator.now += 0.25
    [span] = operator.spans
    assert (span.name, span.trace_id, span.parent_id) == ("reconcile", _TRACE.trace_id, _TRACE.span_id)
    assert (span.end - span.start, span.error) == (0.25, None)
    assert span.attributes[names.ACTION] == ("CreateJob shard 4 x 2",)
    assert [(e.name, dict(e.attributes)) for e in span.events] == [
        ("Planned", {names.REASON: "Planned"}),
        ("phase", {names.PHASE: "Running"}),
    ]


def test_a_look_that_only_counts_is_none() -> None:
    operator = _Operator()
    with operator.recorder.look(operator.batch()) as look:
        look.old = status_(Phase.RUNNING, PLANNED_CONDITION)
        look.new = status_(Phase.RUNNING, PLANNED_CONDITION, items=_COUNTS)
    with operator.recorder.look(operator.batch()):
        pass
    assert operator.spans == []


def test_what_fails_again_and_again_is_told_once() -> None:
    operator = _Operator()
    known, recorder = operator.batch(), operator.recorder
    for _ in range(100):
        with pytest.raises(CallError), recorder.look(known) as look, recorder.action(look, DeleteJob("j")):
            raise CallError(500, "PATCH /x: the value 'secret' is wrong")
    [span] = operator.spans
    assert span.error == "the API server answered 500"


def test_an_action_that_is_refused_is_an_error() -> None:
    operator = _Operator()
    with operator.recorder.look(operator.batch()) as look, operator.recorder.action(look, CreateJob(PLAN)) as outcome:
        outcome.is_refused = True
    assert [span.error for span in operator.spans] == ["CreateJob plan was refused"]


# Pods that did not say how they ended


def _dead(stage: Any = SHARD, **more: Any) -> Body:
    ended = terminated(137, "OOMKilled")
    ended["terminated"] |= {"startedAt": _STARTED, "finishedAt": "2026-11-22T12:02:00Z"}
    body = pod_body(stage, "Failed", state=ended, **more)
    body["metadata"]["annotations"] = {"batch.kubernetes.io/job-completion-index": "3"}
    body["metadata"]["labels"]["batch.kubernetes.io/job-name"] = "triage-shards"
    body["spec"] = {"nodeName": "node-1"}
    return body


def _with_jobs() -> _Operator:
    operator = _Operator()
    operator.batch()
    for stage in (PLAN, SHARD, FINALIZE, RUN):
        operator.cache.put_job(job_body(stage))
    return operator


def test_a_pod_that_was_killed_has_the_span_that_its_own_would_have_been() -> None:
    operator = _with_jobs()
    operator.pod(_dead())
    [span] = operator.spans
    name = "triage-3f2a1c00-shard-0-x7k2p"
    assert (span.name, span.trace_id, span.parent_id) == ("shard", _TRACE.trace_id, _TRACE.span_id)
    assert span.span_id == span_id(REF.uid, "shard", "3", name)
    assert (span.start - NOW.timestamp(), span.end - NOW.timestamp()) == (60, 120)
    assert span.error == "OOMKilled, exit code 137"
    assert span.attributes == {
        names.NAMESPACE: "team-a",
        names.BATCH: "triage",
        names.BATCH_UID: REF.uid,
        names.STAGE: "shard",
        names.SHARD: 3,
        names.POD: name,
        names.POD_UID: f"uid-{name}",
        names.NODE: "node-1",
        names.JOB: "triage-shards",
        names.CONTAINER: "worker",
        names.ERROR_TYPE: "OOMKilled",
    }


@pytest.mark.parametrize(
    ("stage", "name", "ids"),
    [
        pytest.param(PLAN, "plan", ("plan", "triage-3f2a1c00-plan-0-x7k2p"), id="one that plans"),
        pytest.param(FINALIZE, "finalize", ("finalize", "triage-3f2a1c00-finalize-0-x7k2p"), id="one that finalizes"),
        pytest.param(RUN, "shard", ("shard", "0", "triage-3f2a1c00-run-0-x7k2p"), id="one that does everything"),
    ],
)
def test_each_kind_of_pod_has_its_span(stage: Any, name: str, ids: tuple[str, ...]) -> None:
    operator = _with_jobs()
    body = _dead(stage)
    body["metadata"]["annotations"] = {}
    operator.pod(body)
    assert [(span.name, span.span_id) for span in operator.spans] == [(name, span_id(REF.uid, *ids))]


def test_a_pod_is_told_once_however_often_it_is_heard_of_and_again_after_a_restart_as_before() -> None:
    first, second = _with_jobs(), _with_jobs()
    second.now += 60
    for operator in (first, second):
        operator.pod(_dead())
        operator.pod(_dead(deletionTimestamp="2026-11-22T12:03:00Z"))
        operator.cache.drop_pod(_dead())
    assert len(first.spans) == 1
    assert first.spans == second.spans


def test_of_a_pod_that_went_with_its_node_the_end_is_when_it_was_missed() -> None:
    operator = _with_jobs()
    running = pod_body(SHARD, state={"running": {"startedAt": _STARTED}})
    operator.pod(running)
    assert operator.spans == []
    operator.cache.drop_pod(running)
    assert [(span.error, span.end) for span in operator.spans] == [("gone", operator.now)]


def test_an_evicted_pod_says_so() -> None:
    operator = _with_jobs()
    body = pod_body(SHARD, "Failed", state={"running": {"startedAt": _STARTED}})
    body["status"]["reason"] = "Evicted"
    operator.pod(body)
    assert [span.error for span in operator.spans] == ["Evicted"]


_SPOKE = terminated(1, words=LastWords(stage=SHARD))
_DONE = terminated(0, words=LastWords(stage=PLAN, plan=PLANNED))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(pod_body(SHARD, "Failed", state=_SPOKE), id="has spoken for itself"),
        pytest.param(pod_body(PLAN, "Succeeded", state=_DONE), id="is done"),
        pytest.param(pod_body(SHARD, "Failed"), id="never began"),
        pytest.param(pod_body(SHARD, "Failed", job="other", state=terminated(137)), id="is not the batch's"),
    ],
)
def test_the_operator_says_nothing_in_the_place_of_a_pod_that(body: Body) -> None:
    operator = _with_jobs()
    for state in [c["state"]["terminated"] for c in body["status"].get("containerStatuses", [])]:
        state["startedAt"] = _STARTED
    operator.pod(body)
    operator.cache.drop_pod(body)
    assert operator.spans == []


def test_pods_of_a_batch_that_ended_long_ago_are_not_told_again() -> None:
    operator = _Operator()
    operator.now = _END.timestamp() + 3600
    operator.batch(status=_ended().dump())
    operator.cache.put_job(job_body(SHARD))
    operator.pod(_dead())
    assert operator.spans == []
