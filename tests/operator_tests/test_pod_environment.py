"""What worker pods are told by their environment: where they run, and where telemetry goes."""

from pathlib import Path
from typing import Any

import pytest

from llmbatch_contract.pods import JOB_VARIABLE, NODE_VARIABLE, POD_NAME_VARIABLE, POD_UID_VARIABLE
from llmbatch_operator.pod_environment import pod_environment
from llmbatch_operator.pod_telemetry import PodTelemetry, read_pod_telemetry
from operator_tests.operator_builders import PLAN, SHARD, manifest

_ENDPOINT = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
_NONE = PodTelemetry()
_HEADERS = {"secretKeyRef": {"name": "llmbatch-telemetry", "key": "headers", "optional": True}}


def _variables(telemetry: PodTelemetry = _NONE, **worker: Any) -> dict[str, Any]:
    given = pod_environment(manifest(worker=worker), SHARD, telemetry)
    names = [variable["name"] for variable in given]
    assert len(names) == len(set(names)), "Kubernetes warns of a variable that is there twice"
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in given}


def test_a_pod_knows_where_it_runs() -> None:
    paths = {name: v["fieldRef"]["fieldPath"] for name, v in _variables().items()}
    assert paths == {
        POD_NAME_VARIABLE: "metadata.name",
        POD_UID_VARIABLE: "metadata.uid",
        NODE_VARIABLE: "spec.nodeName",
        JOB_VARIABLE: "metadata.labels['batch.kubernetes.io/job-name']",
    }


def test_without_telemetry_there_is_nothing_of_it() -> None:
    assert not [name for name in _variables() if name.startswith("OTEL_")]


def test_pods_send_where_the_operator_sends_with_headers_of_a_secret_beside_the_batch() -> None:
    variables = _variables(PodTelemetry((_ENDPOINT,)))
    assert (variables[_ENDPOINT[0]], variables["OTEL_EXPORTER_OTLP_HEADERS"]) == (_ENDPOINT[1], _HEADERS)


def test_what_a_batch_sets_comes_before_what_the_operator_has() -> None:
    env = [{"name": _ENDPOINT[0], "value": "http://mine"}, {"name": "OTEL_EXPORTER_OTLP_HEADERS", "value": "a=b"}]
    variables = _variables(PodTelemetry((_ENDPOINT,)), env=env)
    assert (variables[_ENDPOINT[0]], variables["OTEL_EXPORTER_OTLP_HEADERS"]) == ("http://mine", "a=b")


def test_a_batch_may_have_telemetry_where_the_operator_has_none() -> None:
    variables = _variables(env=[{"name": _ENDPOINT[0], "value": "http://mine"}])
    assert variables["OTEL_EXPORTER_OTLP_HEADERS"] == _HEADERS


def test_values_name_no_variable_of_the_pod() -> None:
    """Kubernetes puts variables in place of $(NAME)."""
    variables = _variables(PodTelemetry((("OTEL_RESOURCE_ATTRIBUTES", "a=$(SECRET)"),)))
    assert variables["OTEL_RESOURCE_ATTRIBUTES"] == "a=$$(SECRET)"


def test_pods_that_plan_have_telemetry_too() -> None:
    given = pod_environment(manifest(), PLAN, PodTelemetry((_ENDPOINT,)))
    assert {"name": _ENDPOINT[0], "value": _ENDPOINT[1]} in given


@pytest.mark.parametrize(
    ("environment", "shared"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"PATH": "/bin", "LLMBATCH_NAMESPACE": "x"}, {}, id="nothing of telemetry"),
        pytest.param(dict([_ENDPOINT]), dict([_ENDPOINT]), id="where to send"),
        pytest.param({"OTEL_SDK_DISABLED": "true"}, {"OTEL_SDK_DISABLED": "true"}, id="off is off for pods, too"),
        pytest.param(
            {"OTEL_TRACES_SAMPLER": "always_off"}, {"OTEL_TRACES_SAMPLER": "always_off"}, id="and so is no sampling"
        ),
        pytest.param({"OTEL_TRACES_EXPORTER": "  "}, {}, id="an empty one is as good as none"),
        pytest.param({"OTEL_EXPORTER_OTLP_HEADERS": "key=secret"}, {}, id="no headers: they may be secrets"),
        pytest.param({"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "key=secret"}, {}, id="nor those of one signal"),
        pytest.param({"OTEL_SERVICE_NAME": "my-operator"}, {}, id="a pod is not the operator"),
        pytest.param({"OTEL_RESOURCE_ATTRIBUTES_POD_NAME": "op"}, {}, id="no variables of others"),
        pytest.param(
            {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "1000"},
            {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "1000"},
            id="how often to send",
        ),
        pytest.param({"OTEL_EXPORTER_OTLP_CLIENT_KEY": "/key.pem"}, {}, id="no file of the operator"),
        pytest.param(
            {"OTEL_RESOURCE_ATTRIBUTES": "team=a, k8s.pod.name=op,service.name=x,k8s.cluster.name=c"},
            {"OTEL_RESOURCE_ATTRIBUTES": "team=a,k8s.cluster.name=c"},
            id="of attributes, those that do not describe the operator",
        ),
        pytest.param({"OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.name=op"}, {}, id="and no empty rest of them"),
    ],
)
def test_the_operator_hands_on(environment: dict[str, str], shared: dict[str, str]) -> None:
    assert dict(read_pod_telemetry(environment).variables) == shared


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"])
def test_the_collectors_certificate_is_handed_on_as_text(tmp_path: Path, variable: str) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----")
    told = read_pod_telemetry({**dict([_ENDPOINT]), variable: str(tmp_path / "ca.pem")})
    assert told == PodTelemetry((_ENDPOINT,), "-----BEGIN CERTIFICATE-----")


def test_a_certificate_that_is_not_there_fails_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = read_pod_telemetry({**dict([_ENDPOINT]), "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "none.pem")})
    assert told == PodTelemetry((_ENDPOINT,))
    assert "none.pem" in caplog.text
