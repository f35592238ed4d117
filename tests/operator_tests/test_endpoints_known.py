"""The LLMEndpoints there are, as the watch tells."""

from llmbatch_contract.spec import Limits
from llmbatch_operator.endpoints.changes import EndpointChanges
from llmbatch_operator.endpoints.known import Endpoints
from llmbatch_operator.sessions import Sessions
from operator_tests.endpoint_builders import LIMITS, endpoint_body, known
from operator_tests.kube_bodies import batch_body
from operator_tests.operator_builders import REF


def test_a_change_of_the_spec_is_told_and_one_of_the_status_is_not() -> None:
    told: list[str] = []
    endpoints = Endpoints(told.append)
    endpoints.put(endpoint_body())
    before = endpoints.get("shared")
    endpoints.put(endpoint_body(status={"health": "Healthy"}))
    assert endpoints.get("shared") is before
    assert (endpoints.body("shared") or {})["status"] == {"health": "Healthy"}
    endpoints.put(endpoint_body(generation=2))
    assert endpoints.get("shared") is not before
    assert told == ["shared", "shared"]


def test_one_that_has_gone_is_told_unless_another_has_its_name() -> None:
    told: list[str] = []
    endpoints = Endpoints(told.append)
    old, new = endpoint_body(), endpoint_body()
    new["metadata"]["uid"] = "another"
    for body in (old, new):
        endpoints.put(body)
    endpoints.drop(old)
    assert endpoints.get("shared") is not None
    endpoints.drop(new)
    assert endpoints.get("shared") is None
    assert told == ["shared"] * 3


def test_what_a_list_no_longer_has_is_dropped() -> None:
    endpoints = Endpoints()
    for name in ("a", "b"):
        endpoints.put(endpoint_body(name))
    assert endpoints.known_uids() == {"uid-a", "uid-b"}
    endpoints.forget(frozenset({"uid-a", "somebody-elses"}))
    assert [each.name for each in endpoints] == ["b"]


def test_a_change_wakes_the_batches_that_use_it_and_sets_their_limits() -> None:
    woken: list[str] = []
    sessions, endpoints = Sessions(lambda _uid: None), Endpoints()
    endpoints.on_change = EndpointChanges(endpoints, sessions, woken.append)
    for uid, ref, phase in (("a", "shared", "Running"), ("b", "another", "Running"), ("over", "shared", "Failed")):
        body = batch_body(status={"phase": phase})
        body["metadata"] |= {"uid": uid, "name": uid}
        body["spec"]["endpoint"] = {"ref": ref}
        sessions.cache.put_batch(body)
    pool = sessions.pools.join(REF, "shared", Limits())
    endpoints.put(endpoint_body(limits=LIMITS))
    assert woken == ["a"]
    assert pool.shares.limits == Limits.model_validate(LIMITS)
    endpoints.drop(endpoint_body())
    assert woken == ["a", "a"]
    assert pool.shares.limits == Limits.model_validate(LIMITS), "pods that run go on under the old ones"


def test_what_is_wrong_with_one_is_said_field_by_field() -> None:
    broken = known(limits={"requestPerMinute": 5}, headers={"Authorization": "x"})
    assert broken.spec is None
    assert "spec.limits.requestPerMinute: is unknown; did you mean requestsPerMinute?" in broken.problems
    assert (
        "spec.pricing.gpt.output: is unknown; known here: inputPerMillion"
        in known(pricing={"gpt": {"inputPerMillion": 1.0, "output": 2.0}}).problems
    )
