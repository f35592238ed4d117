"""The files in crds/ say what the models say, in the form that an API server takes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmbatch_contract.cel import immutable, rule
from llmbatch_contract.llmendpoint import LLMEndpointSpec, LLMEndpointStatus
from llmbatch_contract.model import Model
from llmbatch_contract.spec import LLMBatchSpec
from llmbatch_contract.status import LLMBatchStatus

_ROOT = Path(__file__).parents[2]
_CRDS = _ROOT / "crds"
_PLURALS = ("llmbatches", "llmendpoints")

Node = dict[str, Any]


def _version(plural: str) -> Node:
    """The one version of a kind."""
    version: Node = yaml.safe_load((_CRDS / f"{plural}.yaml").read_text())["spec"]["versions"][0]
    return version


_VERSIONS = {plural: _version(plural) for plural in _PLURALS}


def _nodes(schema: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every node of a schema with its path; `[]` for what is in a list or a map."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from _nodes(field, f"{path}.{name}")
    for inside in ("items", "additionalProperties"):
        if inside in schema:
            yield from _nodes(schema[inside], f"{path}[]")


_NODES = {
    f"{plural}{path}": node
    for plural, version in _VERSIONS.items()
    for path, node in _nodes(version["schema"]["openAPIV3Schema"])
}
_FIELDS = [path for path in _NODES if "." in path and not path.endswith(("[]", ".metadata"))]
_RULES = [(path, each) for path, node in _NODES.items() for each in node.get("x-kubernetes-validations", [])]
_COLUMNS = [(plural, column) for plural in _PLURALS for column in _VERSIONS[plural]["additionalPrinterColumns"]]


def _generator(*lines: str) -> subprocess.CompletedProcess[str]:
    """Run some Python beside the generator."""
    code = "\n".join(("import sys", "sys.path.insert(0, 'scripts')", *lines))
    return subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("plural", _PLURALS)
def test_the_file_is_what_the_generator_writes(plural: str) -> None:
    command = [sys.executable, str(_ROOT / "scripts" / "crds.py"), "--print", plural]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert written == (_CRDS / f"{plural}.yaml").read_text(), "run `make docs`"


def test_kustomize_takes_every_crd() -> None:
    listed = yaml.safe_load((_CRDS / "kustomization.yaml").read_text())["resources"]
    assert listed == sorted(path.name for path in _CRDS.glob("*.yaml") if path.name != "kustomization.yaml")


@pytest.mark.parametrize(
    ("path", "model"),
    [
        pytest.param("llmbatches.spec", LLMBatchSpec, id="the spec of a batch"),
        pytest.param("llmbatches.status", LLMBatchStatus, id="the status of a batch"),
        pytest.param("llmendpoints.spec", LLMEndpointSpec, id="the spec of an endpoint"),
        pytest.param("llmendpoints.status", LLMEndpointStatus, id="the status of an endpoint"),
    ],
)
def test_the_crd_has_every_field_of_the_models(path: str, model: type[Model]) -> None:
    assert list(_NODES[path]["properties"]) == [field.alias for field in model.model_fields.values()]


@pytest.mark.parametrize("path", _FIELDS)
def test_every_field_has_a_description(path: str) -> None:
    assert _NODES[path]["description"]


@pytest.mark.parametrize("path", _NODES)
def test_every_node_has_one_type_or_says_that_it_has_none(path: str) -> None:
    kinds = ("type", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")
    assert sum(kind in _NODES[path] for kind in kinds) == 1


def test_nothing_stands_by_reference_or_as_an_alternative() -> None:
    words = {key for node in _NODES.values() for key in node}
    assert not words & {"$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "title", "const"}


def test_only_values_that_fit_on_a_line_are_filled_in() -> None:
    defaults = {path: node["default"] for path, node in _NODES.items() if "default" in node}
    assert defaults["llmbatches.spec.parallelism"] == 4
    assert [path for path, value in defaults.items() if isinstance(value, dict | list)] == []


def test_a_status_of_a_newer_operator_is_not_refused() -> None:
    status = {path: node for path, node in _NODES.items() if path.partition(".")[2].startswith("status")}
    assert len(status) > 20
    assert [path for path, node in status.items() if "enum" in node or "default" in node] == []


@pytest.mark.parametrize(("path", "each"), [pytest.param(*r, id=f"{r[0]} {r[1]['rule'][:60]}") for r in _RULES])
def test_every_rule_says_what_is_wrong_with_a_field_that_there_is(path: str, each: Node) -> None:
    assert ("message" in each) != ("messageExpression" in each)
    field = each.get("fieldPath", "")
    assert f"{path}{field}" in _NODES or f"{path}{field.rpartition('.')[0]}[]" in _NODES


@pytest.mark.parametrize(
    ("plural", "column"), [pytest.param(*c, id=f"{c[0]} {c[1]['name']}") for c in _COLUMNS if c[1]["name"] != "Age"]
)
def test_a_column_shows_a_field_of_its_type(plural: str, column: Node) -> None:
    node = _NODES[f"{plural}{column['jsonPath']}"]
    is_time = (node["type"], node.get("format")) == ("string", "date-time")
    assert (node["type"] == column["type"]) != (is_time and column["type"] == "date")


@pytest.mark.parametrize(
    ("plural", "narrow", "wide"),
    [
        pytest.param(
            "llmbatches",
            ("PHASE", "PROGRESS", "SUCCEEDED", "FAILED", "TOTAL", "RATE", "ETA", "AGE"),
            ("MODEL", "TOKENS", "COST", "TRACE"),
            id="of batches",
        ),
        pytest.param(
            "llmendpoints",
            ("URL", "HEALTH", "BATCHES", "PODS", "RPM", "USED RPM", "TPM", "USED TPM", "THROTTLED", "AGE"),
            ("LAST ERROR",),
            id="of endpoints",
        ),
    ],
)
def test_the_columns_are_those_that_the_manual_shows(
    plural: str, narrow: tuple[str, ...], wide: tuple[str, ...]
) -> None:
    columns = _VERSIONS[plural]["additionalPrinterColumns"]
    shown = [(column["name"].upper(), column.get("priority", 0)) for column in columns]
    assert shown == [(name, 0) for name in narrow] + [(name, 1) for name in wide]


def test_a_field_without_a_description_is_refused() -> None:
    done = _generator(
        "import crds",
        "from llmbatch_contract.model import Model",
        "class Mute(Model):",
        "    some_field: int = 1",
        "crds.model_schema(Mute)",
    )
    assert (done.returncode, done.stderr.strip()) == (1, "Mute.someField has no description")


def test_a_union_is_refused() -> None:
    done = _generator(
        "import crds",
        "from pydantic import Field",
        "from llmbatch_contract.model import Model",
        "class Torn(Model):",
        "    field: int | str = Field(description='This or that.')",
        "crds.model_schema(Torn)",
    )
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "Torn.field: a CRD has no unions; give the type a WithJsonSchema",
    )


@pytest.mark.parametrize(
    ("sentence", "written"),
    [
        pytest.param("must be there", {"message": "must be there"}, id="about the whole"),
        pytest.param("uri: must go", {"message": "must go", "fieldPath": ".uri"}, id="about a field"),
        pytest.param("must go: now", {"message": "must go: now"}, id="a colon later on"),
        pytest.param("metadata.name: too long", {"message": "metadata.name: too long"}, id="about metadata"),
        pytest.param(
            "api: {self.api} is no {kind}",
            {"messageExpression": 'self.api + " is no " + self.x', "fieldPath": ".api"},
            id="with values",
        ),
    ],
)
def test_a_rule_says_what_its_validator_says(sentence: str, written: dict[str, str]) -> None:
    assert rule(sentence, "true", kind="self.x") == {"rule": "true", **written}


def test_an_immutable_field_may_be_neither_added_nor_removed_if_it_is_optional() -> None:
    assert immutable("input", required=True)["rule"] == "self.input == oldSelf.input"
    assert immutable("model")["rule"].startswith("has(self.model) == has(oldSelf.model) && ")
