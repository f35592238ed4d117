"""Who is answered and how, what is kept over a restart, and when a batch wants a look."""

from llmbatch_contract.pods import LastWords
from llmbatch_contract.progress import ShardProgress
from llmbatch_contract.reports import Command, Grant, Reply, Report
from llmbatch_contract.spec import Limits
from llmbatch_operator.coordinator.desk import PodIdentity
from llmbatch_operator.facts import BatchRef
from llmbatch_operator.session import Session
from llmbatch_operator.sessions import Sessions
from llmbatch_operator.telemetry.recorder import Recorder
from llmbatch_operator.telemetry.series import Live
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Distribution, Meters
from llmbatch_telemetry.telemetry import Telemetry
from operator_tests.kube_bodies import batch_body, job_body, pod_body, terminated
from operator_tests.operator_builders import PLAN, PLANNED, REF, SHARD, WRONG_KEY, spec

_POD = PodIdentity(REF.namespace, "pod-a", REF.name, REF.uid)
_DONE = ShardProgress(shard=0, attempt=1, items=10, succeeded=10)


class _Operator:
    """Sessions with a batch that runs, and what they have asked to be looked at."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.woken: list[str] = []
        self.now = 0.0
        self.recorder = Recorder(Telemetry(Meters()))
        self.sessions = Sessions(self.woken.append, lambda: self.now, self.recorder)
        self.sessions.cache.put_batch(batch_body())
        self.sessions.cache.put_job(job_body(PLAN))
        self.sessions.cache.put_job(job_body(SHARD))
        self.session = self.sessions.open(REF, spec()) if is_open else None
        self.woken.clear()

    def report(self, who: PodIdentity = _POD, **fields: object) -> Reply | None:
        """A report of a pod; it says that it is somebody else."""
        return self.sessions.reply(who, Report.model_validate({"worker": "somebody else", **fields}))


def test_a_report_is_answered_and_counted() -> None:
    operator = _Operator()
    reply = operator.report(plan=PLANNED, shards=[_DONE])
    assert reply is not None
    assert (reply.command, reply.next_report_seconds) == (Command.RUN, 1)
    session = operator.sessions.get(REF.uid)
    assert session is not None
    assert session.progress.totals().finished == 10


def test_a_worker_is_known_by_its_token_whatever_it_says() -> None:
    operator = _Operator()
    operator.report(in_flight=3)
    assert operator.session is not None
    operator.session.lost("pod-a", 0)
    assert operator.session.in_flight == 0


def test_a_batch_that_is_gone_or_has_ended_answers_nobody() -> None:
    operator = _Operator()
    assert operator.report(PodIdentity(REF.namespace, "pod-a", "other", "other-uid")) is None
    operator.sessions.cache.put_batch(batch_body(status={"phase": "Cancelled"}))
    assert operator.report() is None
    operator.sessions.cache.drop_batch(batch_body())
    assert operator.report() is None
    assert operator.sessions.batch_uid(REF.namespace, REF.name) is None


def test_just_after_a_restart_workers_wait() -> None:
    holds = Grant(number=7, requests_per_minute=30)
    reply = _Operator(is_open=False).report(holds=holds)
    assert reply is not None
    assert (reply.command, reply.grant) == (Command.PAUSE, holds), "what it was granted stands"


def test_what_cannot_wait_wakes_at_once_and_numbers_do_not() -> None:
    operator = _Operator()
    operator.report(plan=PLANNED)
    assert operator.woken == [REF.uid]
    operator.report(plan=PLANNED, shards=[_DONE])
    assert operator.woken == [REF.uid]
    assert operator.sessions.changed() == [REF.uid]
    operator.report(stop=WRONG_KEY)
    assert operator.woken == [REF.uid] * 2


def test_while_pods_are_to_pause_every_report_wakes() -> None:
    operator = _Operator()
    assert operator.session is not None
    operator.session.obey(Command.PAUSE, 0)
    operator.report()
    operator.report()
    assert operator.woken == [REF.uid] * 2


def test_a_full_store_wakes_once_when_it_fills_and_once_when_it_has_room() -> None:
    operator = _Operator()
    for message in ("full", "full", None, None):
        operator.sessions.store_is_full(REF.uid, message)
    assert operator.woken == [REF.uid] * 2
    operator.sessions.store_is_full("unheard of", "full")


def test_reports_grow_rarer_as_workers_grow_in_number() -> None:
    operator = _Operator()
    intervals = []
    for workers in (1, 300, 900, 30_000):
        for number in range(min(workers, 1000)):
            operator.report(PodIdentity(REF.namespace, f"pod-{number}", REF.name, REF.uid))
        if workers > 1000:
            assert operator.session is not None
            operator.session._speakers.update({f"pod-{n}": operator.session._speakers["pod-0"] for n in range(workers)})
        operator.sessions.changed()
        reply = operator.report()
        assert reply is not None
        intervals.append(round(reply.next_report_seconds, 1))
    assert intervals == [1.0, 1.0, 3.0, 10.0]


def test_it_is_counted_how_late_reports_come() -> None:
    operator = _Operator()
    for operator.now in (0.0, 1.004, 4.0):
        operator.report()
    [lag] = [p.value for p in operator.recorder.telemetry.meters.collect() if p.metric is names.REPORT_LAG]
    assert isinstance(lag, Distribution)
    assert (lag.count, round(lag.sum, 6)) == (2, 2.0)


def test_what_workers_say_of_a_batch_now_can_be_asked() -> None:
    operator = _Operator()
    operator.report(in_flight=3, waiting={"rate_limited": 2})
    assert operator.recorder.live(REF.uid) == Live(3, {"rate_limited": 2}, 1)
    operator.sessions.close(REF.uid)
    assert operator.recorder.live(REF.uid) is None


# Pods that end


def _ended(operator: _Operator, words: LastWords, name: str = "pod-p") -> None:
    operator.sessions.cache.put_pod(pod_body(words.stage, "Succeeded", name=name, state=terminated(0, words=words)))


def test_last_words_are_heard_and_wake() -> None:
    operator = _Operator()
    _ended(operator, LastWords(stage=PLAN, plan=PLANNED))
    assert operator.session is not None
    assert operator.session.plan == PLANNED
    assert operator.woken == [REF.uid]


def test_last_words_from_before_a_restart_are_heard_when_the_batch_is() -> None:
    operator = _Operator(is_open=False)
    _ended(operator, LastWords(stage=PLAN, plan=PLANNED))
    _ended(operator, LastWords(stage=SHARD, progress=_DONE), "pod-s")
    session = operator.sessions.open(REF, spec())
    assert (session.plan, session.progress.shards_done) == (PLANNED, 1)


def test_a_pod_that_vanished_is_no_worker_any_more() -> None:
    operator = _Operator()
    operator.report(in_flight=3)
    operator.sessions.cache.put_pod(pod_body(SHARD, name="pod-a"))
    operator.sessions.cache.drop_pod(pod_body(SHARD, name="pod-a"))
    assert operator.session is not None
    assert (operator.session.workers, operator.session.in_flight) == (0, 0)


def test_pods_of_a_batch_that_has_ended_are_not_kept_in_mind() -> None:
    operator = _Operator()
    operator.sessions.close(REF.uid)
    operator.sessions.cache.put_batch(batch_body(status={"phase": "Cancelled"}))
    _ended(operator, LastWords(stage=PLAN, plan=PLANNED))
    operator.sessions.cache.put_batch(batch_body())
    assert operator.sessions.open(REF, spec()).plan is None
    assert len(operator.sessions) == 1


def test_a_session_is_opened_once_and_uses_the_newest_spec() -> None:
    operator = _Operator()
    newer = spec(limits={"concurrency": 2})
    assert operator.sessions.open(REF, newer) is operator.session
    assert operator.session is not None
    assert operator.session.pool.shares.limits.concurrency == 2
    operator.sessions.close(REF.uid)
    assert operator.sessions.get(REF.uid) is None


# Endpoints that are shared

_OTHER = BatchRef("team-b", "other", "uid-other")
_LIMITED = spec(limits={"requestsPerMinute": 600.0})


def _shared() -> tuple[_Operator, Session, Session]:
    """Two batches that refer to one LLMEndpoint."""
    operator = _Operator(is_open=False)
    sessions = operator.sessions
    return operator, sessions.open(REF, _LIMITED, "openai"), sessions.open(_OTHER, _LIMITED, "openai")


def test_batches_of_one_llmendpoint_share_it_and_others_do_not() -> None:
    operator, one, other = _shared()
    assert one.pool is other.pool is operator.sessions.pools.get("openai")
    alone = operator.sessions.open(BatchRef("team-a", "alone", "uid-alone"), _LIMITED)
    assert alone.pool is not one.pool


def test_the_limits_of_an_llmendpoint_are_not_set_back_by_a_batch_that_was_read_before() -> None:
    operator, one, _ = _shared()
    less = Limits(requests_per_minute=60)
    operator.sessions.pools.set_limits("openai", less)
    operator.sessions.open(REF, spec(limits={"requestsPerMinute": 600.0}), "openai")
    assert one.pool.shares.limits == less


def test_a_pod_that_leaves_a_batch_that_has_ended_frees_its_share() -> None:
    operator, one, _ = _shared()
    operator.report()
    operator.sessions.close(REF.uid)
    operator.sessions.cache.put_batch(batch_body(status={"phase": "Cancelled"}))
    assert one.pool.shares.facts(0).pods == 1
    assert operator.report(leaving=True) is None
    assert one.pool.shares.facts(0).pods == 0


def test_pods_that_end_after_their_batch_free_their_shares_and_are_forgotten() -> None:
    operator, one, _ = _shared()
    operator.report()
    operator.sessions.cache.drop_batch(batch_body())
    operator.sessions.close(REF.uid)
    _ended(operator, LastWords(stage=SHARD, progress=_DONE), "pod-a")
    assert one.pool.shares.facts(0).pods == 0
    assert operator.sessions._early_words == {}


def test_how_endpoints_are_used_is_told_every_few_seconds() -> None:
    operator, _, _ = _shared()
    operator.report()
    for operator.now in (10.0, 12.0, 20.0):
        operator.sessions.changed()
    told = [p for p in operator.recorder.series.points() if p.metric is names.ENDPOINT_PODS]
    assert [(p.attributes, p.value) for p in told] == [(("openai",), 1)]
