"""The part of the manifest about the pods of a batch: image, resources, where they may run."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from llmbatch_contract.cel import rule, rules
from llmbatch_contract.model import SpecModel

_NO_QUANTITY = "must be a quantity, as in 500m or 2Gi"
_QUANTITY = re.compile(r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?")


def _quantity(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int) or not _QUANTITY.fullmatch(str(value)):
        raise ValueError(_NO_QUANTITY)
    return value


Quantity = Annotated[
    str | int,
    BeforeValidator(_quantity),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "maxLength": 64,
            **rules(rule(_NO_QUANTITY, f"string(self).matches(r'^({_QUANTITY.pattern})$')")),
        }
    ),
]
Quantities = dict[str, Quantity]


class EnvVar(SpecModel):
    """One environment variable."""

    name: str = Field(min_length=1, max_length=253, description="Name of the variable.")
    value: str = Field(default="", description="Its value. Not for keys: the manifest is not a secret.")


class Resources(SpecModel):
    """CPU and memory of a container, as in a Pod."""

    requests: Quantities = Field(default_factory=dict, max_length=20, description="What is set aside for it.")
    limits: Quantities = Field(default_factory=dict, max_length=20, description="What it may use at most.")


class Worker(SpecModel):
    """How the pods of a batch look. For clusters; a local run passes it over."""

    image: str | None = Field(
        default=None, min_length=1, description="Image of the worker. Unset: the operator's choice."
    )
    image_pull_secrets: list[str] = Field(
        default_factory=list, max_length=16, description="Names of Secrets to pull the image with."
    )
    resources: Resources | None = Field(
        default=None, description="CPU and memory of each pod. Unset: the operator's choice."
    )
    node_selector: dict[str, str] = Field(default_factory=dict, description="Labels that a node must have.")
    tolerations: list[dict[str, Any]] = Field(
        default_factory=list, max_length=32, description="Taints that the pods bear, as in a Pod."
    )
    env: list[EnvVar] = Field(default_factory=list, max_length=100, description="More environment variables.")
    service_account_name: str | None = Field(
        default=None, min_length=1, max_length=253, description="Service account of the pods. Unset: `default`."
    )
    labels: dict[str, str] = Field(default_factory=dict, description="Labels on Jobs and pods.")
    annotations: dict[str, str] = Field(default_factory=dict, description="Annotations on pods.")
