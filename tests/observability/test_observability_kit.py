"""deploy/observability: what its components add to the deployment, and that its parts fit each other."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.cluster_tools import kubectl
from llmbatch_telemetry import names

_ROOT = Path(__file__).parents[2]
_FOLDER = _ROOT / "deploy" / "observability"
_COLLECTOR = yaml.safe_load((_FOLDER / "collector-config.yaml").read_text())

Manifest = dict[str, Any]


def deployed_with(folder: Path, *components: str) -> list[Manifest]:
    """What is applied with these components, chosen as a user does."""
    for name in ("crds", "deploy"):
        shutil.copytree(_ROOT / name, folder / name)
    settings = folder / "deploy" / "kustomization.yaml"
    chosen = re.sub(r"^# components:.*$", f"components: [{', '.join(components)}]", settings.read_text(), flags=re.M)
    settings.write_text(chosen)
    command = [kubectl(), "kustomize", str(folder / "deploy")]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return list(yaml.safe_load_all(text))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    components = ("emptydir", "observability", "observability/prometheus", "observability/grafana")
    return deployed_with(tmp_path_factory.mktemp("deployed"), *components)


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name]
    return found


def container(manifests: list[Manifest], deployment: str) -> Manifest:
    (found,) = one(manifests, "Deployment", deployment)["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def variables(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {each["name"]: each for each in container(manifests, "llmbatch-operator")["env"]}


def test_without_a_component_nothing_is_sent(tmp_path: Path) -> None:
    assert not [name for name in variables(deployed_with(tmp_path)) if name.startswith("OTEL_")]


def test_the_operator_sends_to_the_service_of_the_collector(everything: list[Manifest]) -> None:
    service = one(everything, "Service", "llmbatch-collector")
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    port = next(port["port"] for port in service["spec"]["ports"] if port["name"] == "otlp-http")
    assert variables(everything)["OTEL_EXPORTER_OTLP_ENDPOINT"]["value"] == f"http://{host}:{port}"


def test_the_other_settings_of_the_operator_stay(everything: list[Manifest]) -> None:
    assert variables(everything).keys() > {"LLMBATCH_NAMESPACE", "LLMBATCH_WORKER_IMAGE", "LLMBATCH_STORE_FOLDER"}


def test_the_service_and_the_monitors_find_the_ports_of_their_pods(everything: list[Manifest]) -> None:
    service = one(everything, "Service", "llmbatch-collector")
    collector = one(everything, "Deployment", "llmbatch-collector")["spec"]["template"]
    assert service["spec"]["selector"].items() <= collector["metadata"]["labels"].items()
    ports = {port["name"]: port["containerPort"] for port in container(everything, "llmbatch-collector")["ports"]}
    assert {port["name"]: port["port"] for port in service["spec"]["ports"]}.items() <= ports.items()
    of_operator = yaml.safe_load((_FOLDER / "prometheus" / "operator.yaml").read_text())
    for name, monitor in (
        ("llmbatch-collector", one(everything, "PodMonitor", "llmbatch-collector")),
        ("llmbatch-operator", of_operator),
    ):
        labels = one(everything, "Deployment", name)["spec"]["template"]["metadata"]["labels"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] in {port["name"] for port in container(everything, name)["ports"]}


def test_the_collector_listens_where_its_ports_say(everything: list[Manifest]) -> None:
    ports = {port["name"]: port["containerPort"] for port in container(everything, "llmbatch-collector")["ports"]}
    protocols = _COLLECTOR["receivers"]["otlp"]["protocols"]
    assert {
        "otlp-grpc": protocols["grpc"]["endpoint"],
        "otlp-http": protocols["http"]["endpoint"],
        "metrics": _COLLECTOR["exporters"]["prometheus"]["endpoint"],
        "health": _COLLECTOR["extensions"]["health_check"]["endpoint"],
    } == {name: f"0.0.0.0:{port}" for name, port in ports.items()}


def test_the_collector_has_its_configuration_and_starts_anew_when_that_changes(everything: list[Manifest]) -> None:
    pod = one(everything, "Deployment", "llmbatch-collector")["spec"]["template"]["spec"]
    (volume,) = pod["volumes"]
    name = volume["configMap"]["name"]
    assert re.fullmatch(r"llmbatch-collector-\w+", name)
    assert yaml.safe_load(one(everything, "ConfigMap", name)["data"]["config.yaml"]) == _COLLECTOR


def test_every_part_of_the_collectors_pipelines_is_configured() -> None:
    for pipeline in _COLLECTOR["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= _COLLECTOR[kind].keys()


def test_the_collector_makes_labels_of_batch_namespace_and_pod_and_overwrites_none() -> None:
    (statements,) = _COLLECTOR["processors"]["transform/labels"]["metric_statements"]
    wanted = [
        f'set(attributes["{name}"], resource.attributes["{name}"]) where attributes["{name}"] == nil'
        for name in (names.NAMESPACE, names.BATCH, names.POD)
    ]
    assert statements == {"context": "datapoint", "statements": wanted}


def test_the_collectors_pod_fits_the_restricted_standard(everything: list[Manifest]) -> None:
    pod = one(everything, "Deployment", "llmbatch-collector")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    own = container(everything, "llmbatch-collector")["securityContext"]
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}


def test_the_dashboards_come_as_config_maps_that_the_sidecar_finds(everything: list[Manifest]) -> None:
    dashboards = one(everything, "ConfigMap", "llmbatch-dashboards")
    assert dashboards["metadata"]["labels"]["grafana_dashboard"] == "1"
    files = {path.name: path.read_text() for path in (_FOLDER / "grafana").glob("*.json")}
    assert dashboards["data"] == files
    # `kubectl apply` writes it into an annotation, which may have 256 KiB.
    assert sum(map(len, files.values())) < 200_000


def test_everything_is_in_the_operators_namespace(everything: list[Manifest]) -> None:
    for manifest in everything:
        if manifest["kind"] in ("PodMonitor", "PrometheusRule", "ConfigMap", "Deployment", "Service"):
            assert manifest["metadata"]["namespace"] == "llmbatch-system"


def test_a_key_for_a_service_comes_from_a_secret_that_may_be_missing(tmp_path: Path) -> None:
    direct = deployed_with(tmp_path, "observability/direct")
    secret = variables(direct)["OTEL_EXPORTER_OTLP_HEADERS"]["valueFrom"]["secretKeyRef"]
    assert secret == {"name": "llmbatch-telemetry", "key": "headers", "optional": True}
    assert variables(direct)["OTEL_EXPORTER_OTLP_ENDPOINT"]["value"].startswith("https://")
    assert not [m for m in direct if m["metadata"]["name"] == "llmbatch-collector"]


def test_the_certificate_that_the_direct_component_shows_can_be_put_in(tmp_path: Path) -> None:
    shutil.copytree(_ROOT / "crds", tmp_path / "crds")
    shutil.copytree(_ROOT / "deploy", tmp_path / "deploy")
    component = tmp_path / "deploy" / "observability" / "direct" / "kustomization.yaml"
    before, shown = component.read_text().split("#  - patch: |-")
    component.write_text(before + "  - patch: |-" + shown.replace("\n#", "\n"))
    settings = tmp_path / "deploy" / "kustomization.yaml"
    settings.write_text(settings.read_text() + "components: [observability/direct]\n")
    command = [kubectl(), "kustomize", str(tmp_path / "deploy")]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    mounts = container(list(yaml.safe_load_all(text)), "llmbatch-operator")["volumeMounts"]
    path = variables(list(yaml.safe_load_all(text)))["OTEL_EXPORTER_OTLP_CERTIFICATE"]["value"]
    assert any(path.startswith(f"{mount['mountPath']}/") for mount in mounts if mount["name"] == "telemetry-ca")


def test_the_plain_scrape_jobs_select_the_pods_that_there_are(everything: list[Manifest]) -> None:
    jobs = yaml.safe_load((_FOLDER / "scrape.yaml").read_text())["scrape_configs"]
    assert [job["job_name"] for job in jobs] == ["llmbatch-collector", "llmbatch-operator"]
    for job in jobs:
        labels = one(everything, "Deployment", job["job_name"])["spec"]["template"]["metadata"]["labels"]
        (selector,) = job["kubernetes_sd_configs"][0]["selectors"]
        assert dict(pair.split("=") for pair in selector["label"].split(",")).items() <= labels.items()
