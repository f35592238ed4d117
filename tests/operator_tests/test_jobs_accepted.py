"""A real API server takes what is made for a batch, in a namespace that allows only restricted pods. Nothing stays."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster_fixture import Cluster
from llmbatch_contract.categories import Category
from llmbatch_contract.pods import Stage
from llmbatch_contract.reports import StopReason
from llmbatch_contract.spec import Output
from llmbatch_contract.trace import trace_of
from llmbatch_operator.facts import BatchRef, Body
from llmbatch_operator.jobs import cleaning_config_map, config_map, job, results_key_secret
from llmbatch_operator.observed import CreateJob
from llmbatch_operator.places import Letters
from llmbatch_operator.settings import Settings, read_settings
from operator_tests.operator_builders import REF, manifest

pytest_plugins = ["cluster_fixture"]

_SETTINGS = read_settings({})
_TELLING = read_settings(
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_RESOURCE_ATTRIBUTES": "team=$(A),b=c"}
)
_STOP = StopReason(category=Category.AUTH, message='auth: HTTP 401: "the key" is wrong')
_CUSTOM = {
    "imagePullSecrets": ["registry"],
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "serviceAccountName": "default",
    "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}},
    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "labels": {"kueue.x-k8s.io/queue-name": "gpu"},
    "annotations": {"note": "x"},
}


@pytest.fixture(scope="module")
def restricted(cluster: Cluster) -> Iterator[tuple[Cluster, str]]:
    """A namespace with the restricted Pod Security Standard."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    cluster.wait_until("service account", lambda: cluster.kubectl("get", "serviceaccount", "default", "-n", name))
    yield cluster, name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def _try_out(restricted: tuple[Cluster, str], body: Body) -> None:
    cluster, namespace = restricted
    body["metadata"]["namespace"] = namespace
    cluster.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", input=yaml.safe_dump(body))


def _job(
    stage: Stage, name: str = REF.name, *, shards: int = 4, pods: int = 2, settings: Settings = _SETTINGS, **fields: Any
) -> Body:
    is_shard = stage is Stage.SHARD
    stop = _STOP if stage is Stage.FINALIZE else None
    create = CreateJob(stage, shards if is_shard else 1, pods if is_shard else 1, stop)
    given = {"endpoint": {"apiKeySecret": {"name": "openai", "key": "api-key"}}, **fields}
    return job(BatchRef("", name, REF.uid), manifest(**given), create, settings)


def _pod_of(body: Body) -> Body:
    """The pod that the Job would start."""
    template = body["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": "one-of-its-pods"},
        "spec": template["spec"],
    }


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("worker", [{}, _CUSTOM], ids=["as it is", "with all that a user can set"])
def test_jobs_and_their_pods_are_accepted(
    restricted: tuple[Cluster, str], stage: Stage, worker: dict[str, Any]
) -> None:
    body = _job(stage, worker=worker)
    _try_out(restricted, body)
    _try_out(restricted, _pod_of(body))


@pytest.mark.parametrize("stage", Stage)
def test_pods_with_telemetry_are_accepted(restricted: tuple[Cluster, str], stage: Stage) -> None:
    own = {"env": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://mine:4318"}]}
    for worker in ({}, own):
        body = _job(stage, settings=_TELLING, worker=worker)
        _try_out(restricted, body)
        _try_out(restricted, _pod_of(body))


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("name", ["a" * 63, "my.batch", "7"])
def test_any_name_of_a_batch_makes_good_names(restricted: tuple[Cluster, str], stage: Stage, name: str) -> None:
    _try_out(restricted, _job(stage, name, shards=10_000))


def test_the_largest_batch_is_accepted(restricted: tuple[Cluster, str]) -> None:
    _try_out(restricted, _job(Stage.SHARD, shards=10_000, pods=1000))


_STORE = {"endpoint": "https://minio:9000", "caConfigMap": {"name": "minio-ca", "key": "root.pem"}}
_SECRET = {"credentialsSecret": {"name": "minio"}}
_FROM_S3 = {"uri": "s3://tickets/*.parquet", "store": _STORE, **_SECRET}
_LETTERS = Letters(Output.model_validate({"uri": "s3://old", "store": _STORE, **_SECRET}), "s3://old/errors.jsonl")


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"input": _FROM_S3, "output": {"uri": "s3://answers", "store": _STORE, **_SECRET}}, id="S3"),
        pytest.param(
            {
                "input": {"pvc": {"claimName": "data", "path": "in/"}},
                "output": {"pvc": {"claimName": "data", "path": "out"}},
            },
            id="a volume",
        ),
        pytest.param({"input": {"deadLettersOf": {"name": "old"}}}, id="dead letters in S3"),
    ],
)
def test_pods_with_stores_and_volumes_are_accepted(
    restricted: tuple[Cluster, str], stage: Stage, fields: dict[str, Any]
) -> None:
    body = job(BatchRef("", REF.name, REF.uid), manifest(**fields), CreateJob(stage), _SETTINGS, _LETTERS)
    _try_out(restricted, body)
    _try_out(restricted, _pod_of(body))


def test_config_map_and_secret_are_accepted(restricted: tuple[Cluster, str]) -> None:
    _try_out(restricted, config_map(REF, manifest(), _SETTINGS, "CA", trace_of(REF.uid)))
    _try_out(restricted, cleaning_config_map(REF, manifest(), _SETTINGS, "CA", trace_of(REF.uid), "uid-of-the-job"))
    _try_out(restricted, results_key_secret(REF, "key"))
