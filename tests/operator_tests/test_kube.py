"""The calls to the API server, against a real one: what is there, gone, somebody else's, or refused."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from crd_fixture import Batches, suspended
from llmbatch_contract.llmendpoint import EndpointReason
from llmbatch_contract.pods import AUDIENCE, Stage
from llmbatch_contract.trace import trace_of
from llmbatch_contract.wire import BATCH_LABEL
from llmbatch_operator import kube as kube_module
from llmbatch_operator.cache import Known
from llmbatch_operator.coordinator.identity import read_review
from llmbatch_operator.endpoint_marks import Mark, mark_of
from llmbatch_operator.endpoints.endpoint_conditions import EndpointEvent
from llmbatch_operator.endpoints.endpoint_status import endpoint_status
from llmbatch_operator.endpoints.keeping import event_body
from llmbatch_operator.endpoints.known import read_endpoint
from llmbatch_operator.facts import BatchRef, Body
from llmbatch_operator.jobs import config_map, config_name, job, job_name, results_key_secret
from llmbatch_operator.kube import CallError, Kube
from llmbatch_operator.leftovers import Leftovers
from llmbatch_operator.observed import CreateJob
from llmbatch_operator.settings import read_settings
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Meters
from operator_tests.endpoint_builders import NOW, endpoint_body, endpoint_facts
from operator_tests.operator_builders import manifest

pytest_plugins = ["cluster_fixture", "crd_fixture"]

_SETTINGS = read_settings({})
_OVER = {"phase": "Cancelled", "startTime": "2026-11-22T12:00:00Z"}
"""What an operator that happens to run on the cluster leaves as it is."""


@pytest.fixture
async def kube(api_batches: Batches) -> AsyncIterator[Kube]:
    """A client for the cluster."""
    configuration = Configuration()
    await load_kube_config(  # type: ignore[no-untyped-call]
        config_file=str(api_batches.cluster.kubeconfig), client_configuration=configuration
    )
    made = Kube(ApiClient(configuration))
    yield made
    await made.close()


@pytest.fixture
def ref(api_batches: Batches) -> BatchRef:
    """A batch that is there, and suspended."""
    api_batches.apply(suspended())
    return BatchRef(api_batches.namespace, "triage", api_batches.read()["metadata"]["uid"])


def _sleeping_job(ref: BatchRef, stage: Stage = Stage.SHARD) -> Body:
    """A Job without pods."""
    body = job(ref, manifest(), CreateJob(stage, 3, 2), _SETTINGS)
    body["spec"]["suspend"] = True
    return body


async def test_a_job_is_created_once(kube: Kube, ref: BatchRef) -> None:
    made = await kube.create_job(_sleeping_job(ref))
    assert made is not None
    assert (made["kind"], made["spec"]["completions"]) == ("Job", 3)
    assert await kube.create_job(_sleeping_job(ref)) is None


async def test_a_job_is_changed_while_it_is_there(kube: Kube, ref: BatchRef) -> None:
    name = job_name(ref, Stage.SHARD)
    assert await kube.patch_job(ref.namespace, name, {"parallelism": 1}) is None
    await kube.create_job(_sleeping_job(ref))
    changed = await kube.patch_job(ref.namespace, name, {"parallelism": 1})
    assert changed is not None
    assert (changed["spec"]["parallelism"], changed["spec"]["suspend"]) == (1, True)


async def test_a_job_is_woken_and_marked_in_one_call(kube: Kube, ref: BatchRef) -> None:
    name = job_name(ref, Stage.SHARD)
    made = await kube.create_job(_sleeping_job(ref))
    assert made is not None
    mark = Mark.read(made["metadata"]["annotations"])
    assert mark == mark_of(manifest().spec.endpoint)
    changed = await kube.patch_job(ref.namespace, name, {"suspend": True}, Mark("1", "a/b").annotations)
    assert changed is not None
    assert Mark.read(changed["metadata"]["annotations"]) == Mark("1", "a/b")


async def test_a_job_is_deleted_and_may_be_gone_already(kube: Kube, ref: BatchRef) -> None:
    name = job_name(ref, Stage.SHARD)
    await kube.create_job(_sleeping_job(ref))
    for _ in range(2):
        await kube.delete_job(ref.namespace, name)
    assert await kube.patch_job(ref.namespace, name, {"parallelism": 1}) is None


async def test_a_job_is_read_if_it_is_there(kube: Kube, ref: BatchRef) -> None:
    name = job_name(ref, Stage.SHARD)
    assert await kube.read_job(ref.namespace, name) is None
    made = await kube.create_job(_sleeping_job(ref))
    read = await kube.read_job(ref.namespace, name)
    assert made is not None
    assert read is not None
    assert read["metadata"]["uid"] == made["metadata"]["uid"]


async def test_what_cleans_up_after_a_batch_outlives_it_and_takes_its_config_map_along(
    kube: Kube, ref: BatchRef, api_batches: Batches
) -> None:
    leftovers = Leftovers(kube, _SETTINGS, "CA")
    known = Known(ref, {}, trace_of(ref.uid), job_uids={"of an earlier Job"})
    leftovers.note(ref.uid, known, manifest(output={"uri": "s3://answers/nightly"}), None)
    await kube.delete_batch(ref)
    for _ in range(2):
        await leftovers.remove(ref.uid)
    name = job_name(ref, Stage.CLEAN)
    try:
        made = await kube.read_job(ref.namespace, name)
        assert made is not None
        assert "ownerReferences" not in made["metadata"]
        told = api_batches.cluster.kubectl_json("get", "configmap", name, "-n", ref.namespace)
        [owner] = told["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Job", made["metadata"]["uid"])
    finally:
        await kube.delete_job(ref.namespace, name)


async def test_what_the_api_server_refuses_is_told_in_its_words(kube: Kube, ref: BatchRef) -> None:
    body = _sleeping_job(ref)
    body["spec"]["template"]["metadata"]["labels"]["not a name"] = "x"
    with pytest.raises(CallError, match="not a name") as caught:
        await kube.create_job(body)
    assert caught.value.status == 422


async def test_a_config_map_is_created_and_brought_up_to_date(kube: Kube, ref: BatchRef, api_batches: Batches) -> None:
    for parallelism in (1, 2):
        wanted = config_map(ref, manifest(parallelism=parallelism), _SETTINGS, "CA", trace_of(ref.uid))
        await kube.apply_config_map(wanted)
        there = api_batches.cluster.kubectl_json("get", "configmap", config_name(ref), "-n", ref.namespace)
        assert there["binaryData"] == wanted["binaryData"]


async def test_a_secret_is_created_once_and_read(kube: Kube, ref: BatchRef) -> None:
    body = results_key_secret(ref, "the-key")
    name = body["metadata"]["name"]
    assert await kube.read_secret(ref.namespace, name) is None
    assert await kube.create_secret(body) is not None
    assert await kube.create_secret(results_key_secret(ref, "another")) is None
    there = await kube.read_secret(ref.namespace, name)
    assert there is not None
    assert there["data"] == {"results-key": "dGhlLWtleQ=="}


async def test_a_status_is_replaced_as_a_whole(kube: Kube, ref: BatchRef, api_batches: Batches) -> None:
    written: Body = {}
    for status in (_OVER | {"progress": "1%", "timeLeft": "5m0s"}, _OVER | {"progress": "2%"}):
        for _ in range(5):  # an operator may run on the cluster, and write once before it sees the end
            metadata = await kube.write_status(ref, status)
            assert metadata is not None
            assert metadata["metadata"]["uid"] == ref.uid
            if (written := api_batches.read()["status"]) == status:
                break
        assert written == status


@pytest.fixture
async def endpoint(kube: Kube, api_batches: Batches) -> AsyncIterator[Body]:
    """An LLMEndpoint that nobody uses."""
    name = api_batches.namespace
    document = endpoint_body(name)
    del document["metadata"]["uid"], document["metadata"]["resourceVersion"]
    api_batches.cluster.kubectl("apply", "-f", "-", input=json.dumps(document))
    [made] = [body async for body in kube.list_endpoints() if body["metadata"]["name"] == name]
    yield made
    api_batches.cluster.kubectl("delete", "llmendpoint", name, "--ignore-not-found", "--wait=false")


async def test_the_status_of_an_endpoint_is_replaced_as_long_as_it_is_that_endpoint(kube: Kube, endpoint: Body) -> None:
    name, uid = endpoint["metadata"]["name"], endpoint["metadata"]["uid"]
    facts, known = endpoint_facts(throttled_since_s=5, last_error="HTTP 429"), read_endpoint(endpoint)
    status = endpoint_status(known, facts, batches=3, twins=["b"], old=None, now=NOW).dump()
    assert await kube.write_endpoint_status(name, uid, status) is not None
    assert await kube.write_endpoint_status(name, "another", status) is None
    assert await kube.write_endpoint_status("never-made", uid, status) is None


async def test_kubectl_describe_shows_the_events_of_an_endpoint(
    kube: Kube, endpoint: Body, api_batches: Batches
) -> None:
    told = EndpointEvent("Warning", EndpointReason.DOWN, "it answers nothing: cannot connect")
    await kube.create_event(event_body(read_endpoint(endpoint), told, datetime.now(UTC)))
    shown = api_batches.cluster.kubectl("describe", "llmep", endpoint["metadata"]["name"])
    assert "it answers nothing: cannot connect" in shown.partition("Events:")[2]


async def test_a_status_that_the_schema_does_not_know_is_refused(kube: Kube, ref: BatchRef) -> None:
    with pytest.raises(CallError) as caught:
        await kube.write_status(ref, {"phase": "Running", "items": {"total": -1}})
    assert caught.value.status == 422


async def test_the_status_of_another_batch_of_that_name_is_left_alone(
    kube: Kube, ref: BatchRef, api_batches: Batches
) -> None:
    old = BatchRef(ref.namespace, ref.name, "00000000-0000-4000-8000-000000000000")
    assert await kube.write_status(old, _OVER | {"phase": "Failed"}) is None
    assert api_batches.read().get("status", {}).get("phase") != "Failed"


async def test_the_status_of_a_gone_batch_is_nobodys(kube: Kube, ref: BatchRef) -> None:
    gone = BatchRef(ref.namespace, "gone", ref.uid)
    assert await kube.write_status(gone, {"phase": "Failed"}) is None


async def test_a_batch_is_deleted_but_not_another_of_its_name(kube: Kube, ref: BatchRef, api_batches: Batches) -> None:
    await kube.delete_batch(BatchRef(ref.namespace, ref.name, "00000000-0000-4000-8000-000000000000"))
    assert api_batches.read()["metadata"]["uid"] == ref.uid
    for _ in range(2):
        await kube.delete_batch(ref)
    names = api_batches.cluster.kubectl("get", "llmb", "-n", ref.namespace, "-o", "name")
    assert names == ""


@pytest.mark.parametrize(
    ("audience", "is_good"),
    [pytest.param(AUDIENCE, True, id="for us"), pytest.param("somebody-else", False, id="for somebody else")],
)
async def test_a_token_is_reviewed(kube: Kube, api_batches: Batches, audience: str, is_good: bool) -> None:
    words = ("create", "token", "default", "--audience", audience, "-n", api_batches.namespace)
    status = await kube.review_token(api_batches.cluster.kubectl(*words).strip())
    assert bool(status.get("authenticated")) == is_good
    assert read_review(status) is None, "it is no pod's"


async def test_a_token_that_is_none_is_no_error(kube: Kube) -> None:
    assert not (await kube.review_token("no token")).get("authenticated")


async def test_lists_come_whole_in_pages(kube: Kube, ref: BatchRef, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_module, "_PAGE", 2)
    for number in range(5):
        body = _sleeping_job(ref)
        body["metadata"]["name"] += f"-{number}"
        await kube.create_job(body)
    listed = [b["metadata"] async for b in kube.list_jobs() if b["metadata"]["namespace"] == ref.namespace]
    assert sorted(m["name"] for m in listed) == [f"{job_name(ref, Stage.SHARD)}-{n}" for n in range(5)]
    assert all(m["labels"][BATCH_LABEL] == "triage" for m in listed)
    api_batches = [b["metadata"]["uid"] async for b in kube.list_batches()]
    assert api_batches.count(ref.uid) == 1
    pods = [p async for p in kube.list_pods() if p["metadata"]["namespace"] == ref.namespace]
    assert pods == []


async def test_an_api_server_that_is_away_is_told_of() -> None:
    meters = Meters()
    away = Kube(ApiClient(Configuration(host="http://127.0.0.1:1")), meters)
    with pytest.raises(CallError, match="cannot be reached") as caught:
        await away.delete_job("default", "x")
    assert caught.value.status == 0
    await away.close()
    assert [p.attributes for p in meters.collect() if p.metric is names.API_DURATION] == [("delete", "jobs", "")]


async def test_calls_are_counted_by_what_came_of_them(kube: Kube, ref: BatchRef) -> None:
    meters = kube._meters = Meters()
    await kube.create_job(_sleeping_job(ref))
    await kube.create_job(_sleeping_job(ref))
    await kube.write_status(ref, _OVER)
    assert {p.attributes for p in meters.collect() if p.metric is names.API_DURATION} == {
        ("create", "jobs", "200"),
        ("create", "jobs", "409"),
        ("patch", "llmbatches/status", "200"),
    }


@pytest.mark.parametrize(
    ("method", "path", "call"),
    [
        ("GET", f"{kube_module.BATCHES}/llmbatches", ("list", "llmbatches")),
        ("GET", f"{kube_module.BATCHES}/namespaces/a/llmbatches/b", ("get", "llmbatches")),
        ("PATCH", f"{kube_module.BATCHES}/namespaces/a/llmbatches/b/status", ("patch", "llmbatches/status")),
        ("GET", f"{kube_module.JOBS}/jobs", ("list", "jobs")),
        ("POST", f"{kube_module.JOBS}/namespaces/a/jobs", ("create", "jobs")),
        ("DELETE", f"{kube_module.JOBS}/namespaces/a/jobs/b", ("delete", "jobs")),
        ("PATCH", f"{kube_module.CORE}/namespaces/a/configmaps/b", ("patch", "configmaps")),
        ("GET", f"{kube_module.CORE}/namespaces/a/secrets/b", ("get", "secrets")),
        ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", ("create", "tokenreviews")),
    ],
)
def test_a_call_is_named_as_in_kubernetes_rules(method: str, path: str, call: tuple[str, str]) -> None:
    assert kube_module.what_is_called(method, path) == call
