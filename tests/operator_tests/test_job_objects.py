"""The objects that are made for a batch: what pods get, what they may not do, how Kubernetes handles their end."""

import base64
import dataclasses
import gzip
import re
from typing import Any

import pytest

import builders
from llmbatch_contract.categories import Category
from llmbatch_contract.exits import Exit
from llmbatch_contract.pods import AUDIENCE, CONFIG_NAME, POD_NAME_VARIABLE, PodConfig, Stage
from llmbatch_contract.reports import StopReason
from llmbatch_contract.spec import LLMBatch
from llmbatch_contract.trace import trace_of
from llmbatch_contract.wire import RESULTS_KEY, results_secret
from llmbatch_operator.facts import BatchRef, Body, read_job
from llmbatch_operator.jobs import config_map, config_name, job, job_name, results_key_secret
from llmbatch_operator.observed import CreateJob
from llmbatch_operator.pod_telemetry import PodTelemetry
from llmbatch_operator.settings import read_settings
from operator_tests.operator_builders import CANARY, CLEAN, FINALIZE, INLINE, PLAN, REF, RUN, SHARD, manifest

_TRACE = trace_of(REF.uid)
_SETTINGS = read_settings({"LLMBATCH_WORKER_IMAGE": "registry/worker:1", "LLMBATCH_IMAGE_PULL_POLICY": "Always"})
_SECRET = {"apiKeySecret": {"name": "openai", "key": "api-key"}}
_LONGEST = "a" * 63


def _job(stage: Stage, batch: LLMBatch | None = None, stop: StopReason | None = None, ref: BatchRef = REF) -> Body:
    create = CreateJob(stage, 4 if stage is SHARD else 1, 2 if stage is SHARD else 1, stop)
    return job(ref, batch or manifest(endpoint=_SECRET), create, _SETTINGS)


def _pod(stage: Stage, batch: LLMBatch | None = None, stop: StopReason | None = None) -> Body:
    pod: Body = _job(stage, batch, stop)["spec"]["template"]["spec"]
    return pod


def _container(stage: Stage, batch: LLMBatch | None = None, stop: StopReason | None = None) -> Body:
    [container] = _pod(stage, batch, stop)["containers"]
    assert isinstance(container, dict)
    return container


@pytest.mark.parametrize("stage", Stage)
def test_pods_keep_to_the_restricted_standard(stage: Stage) -> None:
    pod, container = _pod(stage), _container(stage)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"hostNetwork", "hostPID", "hostIPC", "initContainers"}.isdisjoint(pod)
    assert {v for volume in pod["volumes"] for v in volume} == {"name", "configMap", "projected", "emptyDir"}


@pytest.mark.parametrize("stage", Stage)
def test_pods_have_no_token_but_one_for_the_coordinator(stage: Stage) -> None:
    pod = _pod(stage)
    assert pod["automountServiceAccountToken"] is False
    [token] = [v["projected"] for v in pod["volumes"] if "projected" in v]
    assert [source["serviceAccountToken"]["audience"] for source in token["sources"]] == [AUDIENCE]


@pytest.mark.parametrize(
    ("stage", "has_key"), [(PLAN, False), (CANARY, True), (SHARD, True), (FINALIZE, False), (RUN, True), (CLEAN, False)]
)
def test_only_pods_that_ask_have_the_key(stage: Stage, has_key: bool) -> None:
    key = {"name": "OPENAI_API_KEY", "valueFrom": {"secretKeyRef": {"name": "openai", "key": "api-key"}}}
    assert [v for v in _container(stage)["env"] if "secretKeyRef" in v["valueFrom"]] == ([key] if has_key else [])


@pytest.mark.parametrize(
    ("stage", "reads"), [(PLAN, True), (CANARY, False), (SHARD, False), (FINALIZE, True), (RUN, True), (CLEAN, False)]
)
def test_only_pods_that_may_plan_read_the_config_map_of_the_input(stage: Stage, reads: bool) -> None:
    volumes = {v["name"]: v for v in _pod(stage)["volumes"]}
    mounts = [m["mountPath"] for m in _container(stage)["volumeMounts"]]
    assert ("input" in volumes) == reads
    assert ("/var/run/llmbatch/input" in mounts) == reads
    if reads:
        source = volumes["input"]["configMap"]
        assert (source["name"], source["optional"]) == ("tickets", True)
        assert source["items"] == [{"key": "items.csv", "path": "items.csv"}]


@pytest.mark.parametrize("stage", Stage)
def test_inline_items_need_no_config_map_but_the_batchs_own(stage: Stage) -> None:
    sources = [v["configMap"] for v in _pod(stage, manifest(input=INLINE))["volumes"] if "configMap" in v]
    assert sources == [{"name": f"triage-3f2a1c00-{'clean' if stage is CLEAN else 'config'}"}]


@pytest.mark.parametrize("stage", Stage)
def test_everything_that_is_mounted_exists(stage: Stage) -> None:
    names = [mount["name"] for mount in _container(stage)["volumeMounts"]]
    assert sorted(names) == sorted(volume["name"] for volume in _pod(stage)["volumes"])


@pytest.mark.parametrize("stage", Stage)
def test_pods_are_told_their_name(stage: Stage) -> None:
    """The host name of a pod of an Indexed Job is another."""
    variables = {v["name"]: v for v in _container(stage)["env"]}
    assert variables[POD_NAME_VARIABLE]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


@pytest.mark.parametrize("stage", Stage)
def test_pods_are_told_their_stage_and_leave_last_words(stage: Stage) -> None:
    container = _container(stage)
    assert container["args"] == [stage.value, "--config", "/etc/llmbatch/config.json.gz"]
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert (container["image"], container["imagePullPolicy"]) == ("registry/worker:1", "Always")


def test_finalize_is_told_why_the_batch_ended_early() -> None:
    stop = StopReason(category=Category.AUTH, message='HTTP 401: "the key" is wrong')
    args = _container(FINALIZE, stop=stop)["args"]
    assert args[-2] == "--stop"
    assert StopReason.load(args[-1].encode()) == stop


# The Job


def _rules(exit_code: int) -> list[str]:
    """What the Job does about a pod that ends so, by the first rule that fits."""
    rules = _job(SHARD)["spec"]["podFailurePolicy"]["rules"]
    return [rule["action"] for rule in rules if exit_code in rule.get("onExitCodes", {}).get("values", [])]


@pytest.mark.parametrize(
    ("code", "actions"),
    [
        pytest.param(Exit.FAILED, [], id="what may go better next time counts"),
        pytest.param(Exit.INVALID, ["FailJob"], id="what is wrong stays wrong"),
        pytest.param(Exit.STOPPED, ["FailJob"], id="a stop ends the Job"),
        pytest.param(Exit.INTERRUPTED, ["Ignore"], id="an orderly end counts for nothing"),
        pytest.param(143, ["Ignore"], id="SIGTERM before anything was set up, too"),
        pytest.param(137, [], id="out of memory counts"),
    ],
)
def test_the_end_of_a_pod_has_its_consequence(code: int, actions: list[str]) -> None:
    assert _rules(code) == actions


@pytest.mark.parametrize("stage", Stage)
def test_a_disruption_counts_for_nothing(stage: Stage) -> None:
    first = _job(stage)["spec"]["podFailurePolicy"]["rules"][0]
    assert first == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def test_each_shard_has_its_own_tries_and_others_share_theirs() -> None:
    shards, plan = _job(SHARD)["spec"], _job(PLAN)["spec"]
    assert (shards["completions"], shards["parallelism"], shards["completionMode"]) == (4, 2, "Indexed")
    assert (shards["backoffLimitPerIndex"], plan["backoffLimit"]) == (6, 6)
    assert "backoffLimit" not in shards
    stopped = _job(FINALIZE, stop=StopReason(category=Category.CANCELLED, message="x"))
    assert stopped["spec"]["backoffLimit"] < plan["backoffLimit"]


@pytest.mark.parametrize("stage", Stage)
def test_a_job_is_read_back_as_the_one_that_was_made(stage: Stage) -> None:
    """But the one that cleans up: its batch is gone, and it is nobody's."""
    body = _job(stage)
    body["metadata"]["uid"] = "given by the API server"
    facts = read_job(body)
    if stage is CLEAN:
        assert facts is None
        return
    assert facts is not None
    assert (facts.name, facts.stage, facts.batch_uid) == (job_name(REF, stage), stage, REF.uid)
    assert (facts.parallelism, facts.completions) == ((2, 4) if stage is SHARD else (1, 1))


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("name", [_LONGEST, "a" * 43 + "-bcd", "my.batch", "a"])
def test_names_of_jobs_make_names_of_pods(stage: Stage, name: str) -> None:
    """A pod of an Indexed Job has the host name JOB-INDEX: a label of at most 63 characters."""
    host = f"{job_name(BatchRef('team-a', name, REF.uid), stage)}-{9999 if stage is SHARD else 0}"
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", host)


def test_two_batches_of_one_name_have_objects_of_different_names() -> None:
    other = BatchRef(REF.namespace, REF.name, "9b1c2d00-0000-4000-8000-000000000000")
    assert {job_name(REF, s) for s in Stage}.isdisjoint(job_name(other, s) for s in Stage)


def test_objects_go_with_their_batch() -> None:
    objects = [
        _job(PLAN),
        config_map(REF, manifest(), _SETTINGS, "CA", _TRACE),
        results_key_secret(REF, "k"),
    ]
    for body in objects:
        [owner] = body["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("LLMBatch", REF.uid, True)
        assert body["metadata"]["namespace"] == REF.namespace


# What the user may set


def _customized(**worker: Any) -> LLMBatch:
    return manifest(worker=worker)


def test_pods_go_where_the_user_wants_them() -> None:
    batch = _customized(
        image="own/worker:2",
        imagePullSecrets=["registry"],
        nodeSelector={"disk": "fast"},
        tolerations=[{"key": "spot", "operator": "Exists"}],
        serviceAccountName="asker",
        resources={"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}},
        env=[{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        annotations={"note": "x"},
    )
    pod, container = _pod(SHARD, batch), _container(SHARD, batch)
    assert (pod["serviceAccountName"], pod["nodeSelector"]) == ("asker", {"disk": "fast"})
    assert pod["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert container["image"] == "own/worker:2"
    assert container["resources"] == {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}}
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in container["env"]
    assert _job(SHARD, batch)["spec"]["template"]["metadata"]["annotations"] == {"note": "x"}


def test_pods_have_modest_resources_by_default() -> None:
    resources = _container(SHARD)["resources"]
    assert resources["requests"]
    assert "memory" in resources["limits"]
    assert "cpu" not in resources["limits"]


def test_labels_of_the_user_are_on_jobs_and_pods_but_cannot_replace_ours() -> None:
    body = _job(SHARD, _customized(labels={"kueue.x-k8s.io/queue-name": "gpu", "llmbatch.dev/batch-uid": "another"}))
    for labels in (body["metadata"]["labels"], body["spec"]["template"]["metadata"]["labels"]):
        assert labels["kueue.x-k8s.io/queue-name"] == "gpu"
        assert labels["llmbatch.dev/batch-uid"] == REF.uid


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", POD_NAME_VARIABLE])
def test_what_pods_need_cannot_be_replaced_by_a_variable_of_its_name(name: str) -> None:
    """Of two variables of one name the last holds."""
    batch = manifest(endpoint=_SECRET, worker={"env": [{"name": name, "value": "something else"}]})
    assert "valueFrom" in [v for v in _container(SHARD, batch)["env"] if v["name"] == name][-1]


# ConfigMap and Secret


def test_the_config_map_holds_what_pods_are_told() -> None:
    batch = manifest(parallelism=3)
    body = config_map(REF, batch, _SETTINGS, "CA", _TRACE)
    config = PodConfig.load(gzip.decompress(base64.b64decode(body["binaryData"][CONFIG_NAME])))
    assert body["metadata"]["name"] == config_name(REF)
    assert (config.uid, config.job.batch, config.workers) == (REF.uid, batch, 3)
    assert (config.job.store_uri, config.job.output_uri) == ("coordinator:/work", "coordinator:/output")
    assert config.coordinator_url == "https://llmbatch-coordinator.llmbatch-system.svc:443"
    assert config.coordinator_ca == "CA"


def test_pods_are_told_which_trace_is_theirs_and_whom_the_collector_trusts() -> None:
    settings = dataclasses.replace(_SETTINGS, telemetry=PodTelemetry(certificate="PEM"))
    body = config_map(REF, manifest(), settings, "CA", _TRACE)
    config = PodConfig.load(gzip.decompress(base64.b64decode(body["binaryData"][CONFIG_NAME])))
    assert (config.trace, config.telemetry_ca) == (_TRACE, "PEM")


def test_the_same_batch_makes_the_same_config_map() -> None:
    assert config_map(REF, manifest(), _SETTINGS, "CA", _TRACE) == config_map(REF, manifest(), _SETTINGS, "CA", _TRACE)


def test_even_a_large_inline_input_fits_into_a_config_map() -> None:
    items = [{"body": f"ticket {n}: " + "it is broken, again and again " * 40} for n in range(800)]
    body = config_map(REF, builders.batch(items=items), _SETTINGS, "CA", _TRACE)
    assert len(body["binaryData"][CONFIG_NAME]) < 1 << 20


def test_the_secret_holds_the_key_to_the_results() -> None:
    body = results_key_secret(REF, "the-key")
    assert body["metadata"]["name"] == results_secret(REF.name, REF.uid)
    assert body["stringData"] == {RESULTS_KEY: "the-key"}
