"""Writes crds/ from the models, so that the API server knows the same manifests as the command line.

Run by `make docs`; a test compares each file with what this prints (`--print` and its name). What pydantic says of a
model is brought into the form that a CRD takes, a "structural" OpenAPI v3 schema: nothing by reference, no
alternatives, every field described. The rules in CEL come with the models.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from llmbatch_contract import llmendpoint
from llmbatch_contract.llmendpoint import LLMEndpoint, LLMEndpointStatus
from llmbatch_contract.model import Model
from llmbatch_contract.spec import API_VERSION, KIND, LLMBatch
from llmbatch_contract.status import LLMBatchStatus

Schema = dict[str, Any]
Column = tuple[str, str, str]
"""Name, type, and the path to what it shows."""

FOLDER = Path(__file__).resolve().parents[1] / "crds"
HEADER = "# Written by `make docs` from the models in worker/llmbatch_contract. Change those.\n"

GROUP, VERSION = API_VERSION.split("/")
AGE = ("Age", "date", ".metadata.creationTimestamp")


@dataclass(frozen=True)
class Kind:
    """A kind of resource."""

    names: Mapping[str, Any]
    scope: str
    manifest: type[Model]
    status: type[Model]
    about_status: str
    columns: tuple[Column, ...]
    wide_columns: tuple[Column, ...]

    @property
    def plural(self) -> str:
        """Its name in URLs."""
        plural: str = self.names["plural"]
        return plural

    @property
    def file(self) -> Path:
        """Where its definition is written."""
        return FOLDER / f"{self.plural}.yaml"


BATCHES = Kind(
    names={
        "kind": KIND,
        "listKind": f"{KIND}List",
        "plural": "llmbatches",
        "singular": "llmbatch",
        "shortNames": ["llmb"],
        "categories": ["all"],
    },
    scope="Namespaced",
    manifest=LLMBatch,
    status=LLMBatchStatus,
    about_status="Where the batch stands; written by the operator.",
    columns=(
        ("Phase", "string", ".status.phase"),
        ("Progress", "string", ".status.progress"),
        ("Succeeded", "integer", ".status.items.succeeded"),
        ("Failed", "integer", ".status.items.failed"),
        ("Total", "integer", ".status.items.total"),
        ("Rate", "number", ".status.itemsPerMinute"),
        ("ETA", "string", ".status.timeLeft"),
        AGE,
    ),
    wide_columns=(
        ("Model", "string", ".spec.model"),
        ("Tokens", "integer", ".status.usage.totalTokens"),
        ("Cost", "string", ".status.cost.display"),
        ("Trace", "string", ".status.traceId"),
    ),
)

ENDPOINTS = Kind(
    names={
        "kind": llmendpoint.KIND,
        "listKind": f"{llmendpoint.KIND}List",
        "plural": llmendpoint.PLURAL,
        "singular": "llmendpoint",
        "shortNames": ["llmep"],
    },
    scope="Cluster",
    manifest=LLMEndpoint,
    status=LLMEndpointStatus,
    about_status="How the endpoint is used; written by the operator.",
    columns=(
        ("URL", "string", ".spec.url"),
        ("Health", "string", ".status.health"),
        ("Batches", "integer", ".status.batches"),
        ("Pods", "integer", ".status.pods"),
        ("RPM", "number", ".status.granted.requestsPerMinute"),
        ("Used RPM", "number", ".status.used.requestsPerMinute"),
        ("TPM", "number", ".status.granted.tokensPerMinute"),
        ("Used TPM", "number", ".status.used.tokensPerMinute"),
        ("Throttled", "date", ".status.throttledSince"),
        AGE,
    ),
    wide_columns=(("Last Error", "string", ".status.lastError"),),
)

KINDS = (BATCHES, ENDPOINTS)

FREE_FORM = {"x-kubernetes-preserve-unknown-fields": True, "nullable": True}
"""Any value in a map of such values. `nullable`, or the API server would drop nulls from items.

A map, and not an object with unknown fields: a rule that compares two of those misses a renamed field.
"""

AS_THEY_ARE = frozenset(
    (
        *("description", "type", "format", "enum", "pattern", "minimum", "maximum", "required"),
        *("minLength", "maxLength", "minItems", "maxItems", "maxProperties"),
    )
)


def crd(kind: Kind) -> Schema:
    """The CustomResourceDefinition of a kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "llmbatch"}},
        "spec": {"group": GROUP, "names": dict(kind.names), "scope": kind.scope, "versions": [version(kind)]},
    }


def version(kind: Kind) -> Schema:
    """The one version there is."""
    wide = [{**_column(*column), "priority": 1} for column in kind.wide_columns]
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(*column) for column in kind.columns] + wide,
        "schema": {"openAPIV3Schema": resource(kind)},
    }


def _column(name: str, kind: str, path: str) -> Schema:
    return {"name": name, "type": kind, "jsonPath": path}


def resource(kind: Kind) -> Schema:
    """The schema of a whole resource. Name and namespace are the API server's own business."""
    manifest = model_schema(kind.manifest)
    fields = manifest["properties"]
    fields["apiVersion"].pop("enum")
    fields["kind"].pop("enum")
    fields["metadata"] = {"type": "object"}
    fields["status"] = {**model_schema(kind.status, only_types=True), "description": kind.about_status}
    return {**manifest, "required": ["spec"]}


def model_schema(model: type[Model], *, only_types: bool = False) -> Schema:
    """What a CRD says of a model. `only_types`: neither defaults nor lists of values.

    A status needs no more, and one with a newer operator's words must not be refused because of an older CRD.
    """
    said = model.model_json_schema()
    return _Translation(said.pop("$defs", {}), only_types).of(said, model.__name__)


@dataclass(frozen=True)
class _Translation:
    """From the schema that pydantic gives to a structural one."""

    definitions: Mapping[str, Schema]
    only_types: bool

    def of(self, said: Schema, where: str) -> Schema:
        """One node and all below it."""
        schema: Schema = {}
        for key, value in self._resolved(said, where).items():
            schema |= self._word(key, value, where)
        return schema

    def _word(self, key: str, value: Any, where: str) -> Schema:
        """What one keyword becomes."""
        match key:
            case "properties":
                return {key: {name: self._field(field, f"{where}.{name}") for name, field in value.items()}}
            case "items":
                return {key: self.of(value, where)}
            case "additionalProperties":
                return {} if value is False else {key: FREE_FORM if value is True else self.of(value, where)}
            case "exclusiveMinimum":
                return {"minimum": value, "exclusiveMinimum": True}
            case "const":
                return {"enum": [value]}
            case "default":
                return {key: value} if isinstance(value, str | int | float) and not self.only_types else {}
            case "title":
                return {}
            case "enum" if self.only_types:
                return {}
            case _ if key in AS_THEY_ARE or key.startswith("x-kubernetes-"):
                return {key: value}
        raise SystemExit(f"{where}: a CRD has no {key}")

    def _field(self, said: Schema, where: str) -> Schema:
        """A field, its description first."""
        schema = self.of(said, where)
        if not schema.get("description"):
            raise SystemExit(f"{where} has no description")
        return {"description": schema["description"], **schema}

    def _resolved(self, said: Schema, where: str) -> Schema:
        """The node itself instead of a reference to it, and what it is when it is not null."""
        if "$ref" in said:
            inner = self.definitions[said["$ref"].rpartition("/")[2]]
        elif "anyOf" in said:
            kinds = [kind for kind in said["anyOf"] if kind != {"type": "null"}]
            if len(kinds) != 1:
                raise SystemExit(f"{where}: a CRD has no unions; give the type a WithJsonSchema")
            inner = kinds[0]
        else:
            return said
        own = {key: value for key, value in said.items() if key not in ("$ref", "anyOf")}
        return self._resolved({**inner, **own}, where)


class _Dumper(yaml.SafeDumper):
    """Writes every value out, however often it occurs."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def text(kind: Kind) -> str:
    """The whole file."""
    return HEADER + yaml.dump(crd(kind), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    for each in KINDS:
        if "--print" not in sys.argv:
            each.file.write_text(text(each))
        elif each.plural in sys.argv:
            sys.stdout.write(text(each))
