"""The environment variables of the operator."""

from pathlib import Path

import pytest

from llmbatch_operator.pod_telemetry import PodTelemetry
from llmbatch_operator.settings import SettingsError, read_settings


def test_everything_has_a_default() -> None:
    settings = read_settings({})
    assert settings.namespace == "llmbatch-system"
    assert settings.coordinator_url == "https://llmbatch-coordinator.llmbatch-system.svc:443"
    assert settings.host_name == "llmbatch-coordinator.llmbatch-system.svc"
    assert settings.listen == ("0.0.0.0", 8443)
    assert settings.health_listen == ("0.0.0.0", 8080)
    assert settings.metrics_listen == ("0.0.0.0", 9464)
    assert settings.telemetry == PodTelemetry()
    assert (settings.store_limit, settings.batch_limit) == (9 << 30, 2 << 30)
    assert not settings.notify_allow_local


def test_the_coordinator_is_in_the_operators_namespace() -> None:
    assert read_settings({"LLMBATCH_NAMESPACE": "tools"}).host_name == "llmbatch-coordinator.tools.svc"


def test_the_operator_knows_its_pod() -> None:
    settings = read_settings({"LLMBATCH_POD_NAME": "llmbatch-operator-1", "LLMBATCH_POD_UID": "u-1"})
    assert (settings.pod_name, settings.pod_uid) == ("llmbatch-operator-1", "u-1")


def test_pods_are_told_of_telemetry_as_the_operator_is() -> None:
    read = read_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})
    assert read.telemetry == PodTelemetry((("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),))


def test_variables_are_read() -> None:
    settings = read_settings(
        {
            "LLMBATCH_WORKER_IMAGE": "own/worker:2",
            "LLMBATCH_IMAGE_PULL_POLICY": "Never",
            "LLMBATCH_COORDINATOR_URL": "https://10.0.0.1:8443",
            "LLMBATCH_LISTEN": "[::1]:9443",
            "LLMBATCH_STORE_FOLDER": "/data",
            "LLMBATCH_STORE_LIMIT": "1Ti",
            "LLMBATCH_STORE_BATCH_LIMIT": "1000",
            "LLMBATCH_NOTIFY_ALLOW_LOCAL": "True",
        }
    )
    assert (settings.worker_image, settings.image_pull_policy) == ("own/worker:2", "Never")
    assert (settings.host_name, settings.listen) == ("10.0.0.1", ("[::1]", 9443))
    assert (settings.store_folder, settings.store_limit, settings.batch_limit) == (Path("/data"), 1 << 40, 1000)
    assert settings.notify_allow_local


@pytest.mark.parametrize("value", ["", "   "])
def test_an_empty_variable_is_as_good_as_none(value: str) -> None:
    assert read_settings({"LLMBATCH_WORKER_IMAGE": value}) == read_settings({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LLMBATCH_STORE_LIMIT", "9GB"),
        ("LLMBATCH_STORE_LIMIT", "-1"),
        ("LLMBATCH_STORE_BATCH_LIMIT", "1.5Gi"),
        ("LLMBATCH_LISTEN", "8443"),
        ("LLMBATCH_LISTEN", "0.0.0.0:https"),
        ("LLMBATCH_HEALTH_LISTEN", ":"),
        ("LLMBATCH_METRICS_LISTEN", "off"),
        ("LLMBATCH_NOTIFY_ALLOW_LOCAL", "yes"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be .*{value!r}"):
        read_settings({name: value})
