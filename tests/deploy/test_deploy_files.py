"""Promises of Dockerfile and deploy/ that their files keep: versions, permissions, storage, settings, samples."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.cluster_tools import kubectl
from llmbatch_contract.spec import LLMBatch
from llmbatch_contract.validation import check_endpoint, check_manifest

_ROOT = Path(__file__).parents[2]
_DEPLOY = _ROOT / "deploy"
_SAMPLES = sorted((_DEPLOY / "samples").glob("*.yaml"))
_OTHERS = ("simulator", "endpoint")
_READING = {"get", "list", "watch", "*"}

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def deployed() -> list[Manifest]:
    """What `kubectl apply -k deploy` applies."""
    return built(_DEPLOY)


def built(folder: Path) -> list[Manifest]:
    command = [kubectl(), "kustomize", str(folder)]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return list(yaml.safe_load_all(text))


def edited(folder: Path, old: str, new: str) -> list[Manifest]:
    """The same with an edit of deploy/kustomization.yaml, as a user makes it."""
    for name in ("crds", "deploy"):
        shutil.copytree(_ROOT / name, folder / name)
    settings = folder / "deploy" / "kustomization.yaml"
    assert old in settings.read_text()
    settings.write_text(settings.read_text().replace(old, new))
    return built(folder / "deploy")


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = (m for m in manifests if (m["kind"], m["metadata"]["name"]) == (kind, name))
    return found


def pod_of(manifests: list[Manifest]) -> Manifest:
    pod: Manifest = one(manifests, "Deployment", "llmbatch-operator")["spec"]["template"]["spec"]
    return pod


def settings_of(manifests: list[Manifest]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in pod_of(manifests)["containers"][0]["env"]}


def rules_of(manifests: list[Manifest], kind: str, name: str) -> list[Manifest]:
    rules: list[Manifest] = one(manifests, kind, name)["rules"]
    return rules


def version() -> str:
    found: str = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["version"]
    return found


def test_the_images_that_are_deployed_are_those_of_this_version(deployed: list[Manifest]) -> None:
    assert pod_of(deployed)["containers"][0]["image"] == f"llmbatch-operator:{version()}"
    assert settings_of(deployed)["LLMBATCH_WORKER_IMAGE"] == f"llmbatch-worker:{version()}"
    assert f"image: llmbatch-worker:{version()}\n" in (_DEPLOY / "samples" / "simulator.yaml").read_text()
    assert f'org.opencontainers.image.version="{version()}"' in (_ROOT / "Dockerfile").read_text()


def test_images_are_built_with_the_uv_of_make_setup() -> None:
    (of_setup,) = re.findall(r'UV_VERSION = "(.+)"', (_ROOT / "scripts" / "setup.py").read_text())
    assert f"uv=={of_setup} " in (_ROOT / "Dockerfile").read_text()


def test_the_name_of_an_image_is_changed_in_one_place(tmp_path: Path) -> None:
    manifests = edited(tmp_path, "newName: llmbatch-worker", "newName: registry.example:5000/ai/llmbatch-worker")
    changed = f"registry.example:5000/ai/llmbatch-worker:{version()}"
    assert settings_of(manifests)["LLMBATCH_WORKER_IMAGE"] == changed
    assert pod_of(manifests)["containers"][0]["image"] == f"llmbatch-operator:{version()}"


def test_the_operator_can_run_without_a_volume(tmp_path: Path) -> None:
    manifests = edited(tmp_path, "# components:", "components:")
    assert not [m for m in manifests if m["kind"] == "PersistentVolumeClaim"]
    (store,) = (volume for volume in pod_of(manifests)["volumes"] if volume["name"] == "store")
    assert store.keys() == {"name", "emptyDir"}


def test_the_operator_reads_no_secret_but_its_own(deployed: list[Manifest]) -> None:
    everywhere = [r for r in rules_of(deployed, "ClusterRole", "llmbatch-operator") if "secrets" in r["resources"]]
    assert [rule["verbs"] for rule in everywhere] == [["create"]]
    (own,) = rules_of(deployed, "Role", "llmbatch-operator")
    assert (own["resources"], own["resourceNames"], own["verbs"]) == (["secrets"], ["llmbatch-coordinator"], ["get"])


def test_the_operator_reads_no_config_map_and_changes_no_pod(deployed: list[Manifest]) -> None:
    allowed = {
        resource: set(rule["verbs"])
        for rule in rules_of(deployed, "ClusterRole", "llmbatch-operator")
        for resource in rule["resources"]
    }
    assert not allowed["configmaps"] & _READING
    assert allowed["pods"] <= {"get", "list", "watch"}


def test_no_role_grants_everything(deployed: list[Manifest]) -> None:
    roles = [m for m in deployed if m["kind"] in ("Role", "ClusterRole")]
    rules = [rule for role in roles for rule in role["rules"]]
    assert rules
    assert not [r for r in rules if "*" in (*r["apiGroups"], *r["resources"], *r["verbs"])]


def test_everybody_may_only_read_through_the_proxy_of_the_coordinator(deployed: list[Manifest]) -> None:
    bindings = [m for m in deployed if m["kind"] in ("RoleBinding", "ClusterRoleBinding")]
    for_groups = [b for b in bindings if any(s["kind"] == "Group" for s in b["subjects"])]
    assert [(b["kind"], b["roleRef"]["name"]) for b in for_groups] == [("RoleBinding", "llmbatch-results")]
    (rule,) = rules_of(deployed, "Role", "llmbatch-results")
    assert rule["verbs"] == ["get"]
    assert (rule["resources"], rule["resourceNames"]) == (["services/proxy"], ["https:llmbatch-coordinator:https"])


def test_every_setting_of_the_operator_is_documented_and_no_other_is_deployed(deployed: list[Manifest]) -> None:
    source = (_ROOT / "operator" / "llmbatch_operator" / "settings.py").read_text()
    settings = set(re.findall(r'"(LLMBATCH_[A-Z_]+)"', source))
    documented = set(re.findall(r"^\| `(LLMBATCH_[A-Z_]+)`", (_ROOT / "docs" / "install.md").read_text(), re.MULTILINE))
    assert documented == settings
    assert settings_of(deployed).keys() <= settings


def test_the_limit_of_the_store_leaves_room_on_its_volume(deployed: list[Manifest]) -> None:
    volume = one(deployed, "PersistentVolumeClaim", "llmbatch-store")["spec"]["resources"]["requests"]["storage"]
    limit = settings_of(deployed)["LLMBATCH_STORE_LIMIT"]
    assert int(limit.removesuffix("Gi")) < int(volume.removesuffix("Gi"))


def batches(path: Path) -> Iterator[LLMBatch]:
    for document in yaml.safe_load_all(path.read_text()):
        if document["kind"] == "LLMBatch":
            yield check_manifest(document, str(path))


@pytest.mark.parametrize("path", [p for p in _SAMPLES if p.stem not in _OTHERS], ids=lambda path: path.name)
def test_a_sample_for_a_cluster_is_valid_named_like_its_file_and_asks_the_simulator(path: Path) -> None:
    (batch,) = batches(path)
    assert batch.metadata.name == path.stem
    assert batch.spec.endpoint.url == "http://simulator:8000/v1"
    assert batch.spec.input.uri is None or batch.spec.input.uri.startswith("s3://")


def test_the_sample_of_an_endpoint_is_valid_and_its_batches_refer_to_it() -> None:
    path = _DEPLOY / "samples" / "endpoint.yaml"
    first, *others = yaml.safe_load_all(path.read_text())
    endpoint = check_endpoint(first, str(path))
    assert endpoint.spec.url == "http://simulator:8000/v1"
    assert [other["kind"] for other in others] == ["LLMBatch", "LLMBatch"]
    for batch in batches(path):
        assert batch.spec.endpoint.ref == endpoint.metadata.name
        assert endpoint.spec.endpoint_of(batch.spec.model).pricing == endpoint.spec.pricing["gpt-4.1-mini"]


def test_the_operator_may_read_endpoints_and_write_their_status_alone(deployed: list[Manifest]) -> None:
    rules = rules_of(deployed, "ClusterRole", "llmbatch-operator")
    allowed = {
        resource: verbs
        for verbs in ({"get", "list", "watch"}, {"patch"})
        for r in rules
        if set(r["verbs"]) == verbs
        for resource in r["resources"]
        if resource.startswith("llmendpoints")
    }
    assert allowed == {"llmendpoints": {"get", "list", "watch"}, "llmendpoints/status": {"patch"}}
    assert sum("llmendpoints" in str(r["resources"]) for r in rules) == 2


def test_only_administrators_of_the_cluster_write_endpoints(deployed: list[Manifest]) -> None:
    for name in ("llmbatch-view", "llmbatch-edit"):
        rules = [r for r in rules_of(deployed, "ClusterRole", name) if "llmendpoints" in r["resources"]]
        assert all(set(rule["verbs"]) <= {"get", "list", "watch"} for rule in rules)


def test_the_samples_show_each_way_to_give_items_on_a_cluster() -> None:
    inputs = [batch.spec.input for path in _SAMPLES for batch in batches(path)]
    assert any(each.items for each in inputs)
    assert any(each.config_map for each in inputs)
    assert any(each.uri for each in inputs)
    assert any(each.pvc for each in inputs)


def test_the_simulator_of_the_samples_is_reached_at_their_address() -> None:
    service, deployment = yaml.safe_load_all((_DEPLOY / "samples" / "simulator.yaml").read_text())
    assert (service["metadata"]["name"], service["spec"]["ports"][0]["port"]) == ("simulator", 8000)
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
