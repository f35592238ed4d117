"""What the watches tell is kept, whose it is, and who is told of it."""

from llmbatch_contract.pods import LastWords
from llmbatch_operator.cache import Cache
from llmbatch_operator.facts import UID_LABEL, Body, PodFacts
from operator_tests.kube_bodies import batch_body, job_body, pod_body, terminated
from operator_tests.operator_builders import PLAN, PLANNED, REF, SHARD

_ENDED = terminated(0, words=LastWords(stage=PLAN, plan=PLANNED))


class _Told:
    """A cache, and what it has told."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.pods: list[PodFacts] = []
        self.cache = Cache(self.changes.append, self.pods.append)

    def news(self) -> int:
        """How often it has told of the batch since it was asked last."""
        count = self.changes.count(REF.uid)
        self.changes.clear()
        return count


def _with_batch(*jobs: Body) -> _Told:
    told = _Told()
    told.cache.put_batch(batch_body())
    for job in jobs:
        told.cache.put_job(job)
    told.changes.clear()
    return told


def _in(namespace: str, body: Body) -> Body:
    return body | {"metadata": body["metadata"] | {"namespace": namespace}}


def test_a_batch_is_found_by_uid_and_by_name_until_it_is_gone() -> None:
    told = _with_batch()
    assert told.cache.ref_of(REF.uid) == REF
    assert told.cache.uid_of("team-a", "triage") == REF.uid
    assert list(told.cache.uids()) == [REF.uid]
    told.cache.drop_batch(batch_body())
    assert told.news() == 1
    assert told.cache.get(REF.uid) is None
    assert told.cache.uid_of("team-a", "triage") is None
    assert list(told.cache.uids()) == []


def test_the_name_of_a_gone_batch_may_be_taken_by_another() -> None:
    told = _with_batch()
    other = batch_body()
    other["metadata"]["uid"] = "another"
    told.cache.put_batch(other)
    told.cache.drop_batch(batch_body())
    assert told.cache.uid_of("team-a", "triage") == "another"


def test_a_gone_batch_keeps_its_name_while_pods_are_left() -> None:
    told = _with_batch(job_body(SHARD))
    told.cache.put_pod(pod_body(SHARD))
    told.cache.drop_batch(batch_body())
    assert told.cache.ref_of(REF.uid) == REF
    told.cache.drop_job(job_body(SHARD))
    told.cache.drop_pod(pod_body(SHARD))
    assert told.cache.ref_of(REF.uid) is None


def test_only_what_matters_is_news() -> None:
    told = _with_batch()
    told.cache.put_job(job_body(SHARD, {"active": 1}))
    assert told.news() == 1
    told.cache.put_job(job_body(SHARD, {"active": 1, "ready": 1}))
    assert told.news() == 0
    told.cache.put_pod(pod_body(SHARD))
    assert told.news() == 1
    told.cache.put_pod(pod_body(SHARD, conditions=[{"type": "Ready", "status": "True"}]))
    assert told.news() == 0
    told.cache.drop_pod(pod_body(SHARD))
    told.cache.drop_job(job_body(SHARD))
    assert told.news() == 2


def test_a_final_phase_is_an_end() -> None:
    told = _with_batch()
    assert not told.cache.has_ended(REF.uid)
    told.cache.put_batch(batch_body(status={"phase": "Running"}))
    assert not told.cache.has_ended(REF.uid)
    told.cache.put_batch(batch_body(status={"phase": "CompletedWithErrors"}))
    assert told.cache.has_ended(REF.uid)


def test_a_pod_works_for_the_batch_whose_job_it_is() -> None:
    told = _with_batch(job_body(SHARD))
    told.cache.put_pod(pod_body(SHARD, name="a"))
    assert told.cache.batch_of_pod("uid-a") == REF.uid
    told.cache.drop_pod(pod_body(SHARD, name="a"))
    assert told.cache.batch_of_pod("uid-a") is None


def test_a_pod_whose_job_is_not_the_batchs_is_not_the_batchs() -> None:
    told = _with_batch(job_body(PLAN))
    forged = pod_body(PLAN, "Succeeded", name="forged", job="job-of-somebody-else", state=_ENDED)
    told.cache.put_pod(forged)
    told.cache.drop_pod(forged)
    told.cache.put_pod(forged)
    assert told.cache.batch_of_pod("uid-forged") is None
    assert told.pods == []
    known = told.cache.get(REF.uid)
    assert known is not None
    assert [pod.name for pod in known.pods.values() if known.owns(pod)] == []


def test_nobody_in_another_namespace_can_speak_for_a_batch() -> None:
    told = _with_batch()
    told.cache.put_job(_in("evil", job_body(PLAN, {"conditions": [{"type": "Failed", "status": "True"}]})))
    told.cache.put_pod(_in("evil", pod_body(PLAN, "Succeeded", state=_ENDED)))
    told.cache.drop_pod(_in("evil", pod_body(PLAN, "Succeeded", state=_ENDED)))
    known = told.cache.get(REF.uid)
    assert known is not None
    assert (known.jobs, known.pods, told.pods, told.news()) == ({}, {}, [], 0)


def test_a_pod_that_is_heard_of_before_its_job_is_told_of_when_the_job_comes() -> None:
    told = _with_batch()
    told.cache.put_pod(pod_body(PLAN, "Succeeded", state=_ENDED))
    assert told.pods == []
    told.cache.put_job(job_body(PLAN))
    assert [pod.last_words for pod in told.pods] == [LastWords(stage=PLAN, plan=PLANNED)]


def test_a_pod_still_counts_when_its_job_was_deleted_before_it() -> None:
    told = _with_batch(job_body(PLAN))
    told.cache.put_pod(pod_body(PLAN, name="a"))
    told.cache.drop_job(job_body(PLAN))
    told.cache.put_pod(pod_body(PLAN, "Succeeded", name="a", state=_ENDED))
    assert told.pods[-1].last_words is not None
    assert told.cache.batch_of_pod("uid-a") == REF.uid


def test_a_pod_that_vanishes_with_its_node_is_told_of_as_ended() -> None:
    told = _with_batch(job_body(SHARD))
    told.cache.put_pod(pod_body(SHARD))
    told.cache.drop_pod(pod_body(SHARD))
    assert [pod.is_over for pod in told.pods] == [False, True]


def test_the_successor_of_a_job_is_not_dropped_with_it() -> None:
    told = _with_batch(job_body(PLAN))
    successor = job_body(PLAN)
    successor["metadata"]["uid"] = "the-next"
    told.cache.put_job(successor)
    told.cache.drop_job(job_body(PLAN))
    known = told.cache.get(REF.uid)
    assert known is not None
    assert [job.uid for job in known.jobs.values()] == ["the-next"]


def test_jobs_and_pods_of_nobody_are_passed_over() -> None:
    told = _Told()
    for body in (pod_body(SHARD), pod_body(SHARD, labels={UID_LABEL: REF.uid})):
        told.cache.put_pod(body)
        told.cache.drop_pod(body)
    told.cache.put_job(job_body(SHARD))
    told.cache.drop_job(job_body(SHARD))
    assert told.changes == []
    assert [pod.phase for pod in told.pods] == ["Failed"], "it may have had a share of something"
    assert told.cache.batch_of_pod("unheard of") is None


def test_what_a_list_no_longer_has_is_forgotten_and_told() -> None:
    told = _with_batch(job_body(SHARD))
    told.cache.put_pod(pod_body(SHARD))
    told.news()
    before = told.cache.known_uids()
    assert before == {REF.uid, job_body(SHARD)["metadata"]["uid"], pod_body(SHARD)["metadata"]["uid"]}
    told.cache.forget(before - {REF.uid})
    assert told.news() > 0
    assert told.pods[-1].is_over
    assert told.cache.known_uids() == {REF.uid}
    told.cache.forget(before)
    assert told.cache.get(REF.uid) is None
    assert told.cache.known_uids() == frozenset()


def test_pods_of_a_batch_that_nobody_knows_are_kept_apart_until_they_are_gone() -> None:
    told: list[PodFacts] = []
    cache = Cache(lambda _uid: None, told.append)
    for name in ("a", "b"):
        cache.put_pod(pod_body(SHARD, name=name))
    assert set(cache.strays) == {"uid-a", "uid-b"} == set(cache.known_uids())
    cache.drop_pod(pod_body(SHARD, name="a"))
    cache.forget(frozenset({"uid-b"}))
    assert cache.strays == {}
    assert [(pod.name, pod.is_over, pod.has_stopped) for pod in told] == [("a", True, False), ("b", True, False)]
