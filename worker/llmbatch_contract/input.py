"""The part of the manifest about the input: where the items are and how they are written."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from llmbatch_contract.categories import Category
from llmbatch_contract.cel import rule, rules
from llmbatch_contract.model import SpecModel

_ONE_SOURCE = "must have exactly one of items, uri, configMap and deadLettersOf"
_ITEMS_AS_CSV = "format: inline items are objects, csv does not apply; remove it"
_ID_OF_OPENAI = "idField: the id of an openai input is its custom_id; remove it"
_LOCAL_ONLY = "uri: files of a laptop do not exist on a cluster; use items or configMap"


class InputFormat(StrEnum):
    """How items are written in an input."""

    AUTO = "auto"
    JSONL = "jsonl"
    CSV = "csv"
    OPENAI = "openai"


class ConfigMapKey(SpecModel):
    """One key of a ConfigMap."""

    name: str = Field(min_length=1, max_length=253, description="Name of the ConfigMap, in the namespace of the batch.")
    key: str = Field(min_length=1, max_length=253, description="Key in `data` or `binaryData` that holds the items.")


class DeadLettersOf(SpecModel):
    """The items that failed in another batch."""

    name: str = Field(min_length=1, max_length=63, description="Name of a finished batch in the same namespace.")
    categories: list[Annotated[Category, Field(strict=False)]] = Field(
        default_factory=list, max_length=32, description="Only items that failed for one of these. Empty: all."
    )


class Input(SpecModel):
    """Where the items are: exactly one of `items`, `uri`, `configMap` and `deadLettersOf`."""

    model_config = ConfigDict(
        # dyn: the compiler does not let rules see fields of free form, such as items; at run time they are there.
        json_schema_extra=rules(
            rule(
                _ONE_SOURCE,
                "[has(dyn(self).items), has(self.uri), has(self.configMap), has(self.deadLettersOf)]"
                ".filter(given, given).size() == 1",
            ),
            rule(_ITEMS_AS_CSV, "!has(dyn(self).items) || self.format != 'csv'"),
            rule(_ID_OF_OPENAI, "!has(self.idField) || self.format != 'openai'"),
            rule(_LOCAL_ONLY, "!has(self.uri)"),
        )
    )

    items: list[dict[str, Any]] | None = Field(
        default=None,
        description=(
            "The items themselves, for small batches. Plain `kubectl apply` takes 256 KB and drops nulls in them; "
            "with `--server-side` it takes 1 MB and keeps them."
        ),
    )
    uri: str | None = Field(
        default=None,
        min_length=1,
        description=(
            "A file, plain or gzip; a relative path is relative to the manifest. In a local run only, for now."
        ),
    )
    config_map: ConfigMapKey | None = Field(
        default=None, description="A key of a ConfigMap, plain or gzip, that holds the items. On a cluster only."
    )
    dead_letters_of: DeadLettersOf | None = Field(
        default=None, description="The items that failed in another batch, to ask again. On a cluster only."
    )
    format: InputFormat = Field(
        strict=False,
        default=InputFormat.AUTO,
        description="`auto` looks at name and content. `openai` is the input file of the OpenAI Batch API.",
    )
    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="The character between CSV fields. Unset: the one of `,` `;` tab and `|` that the header uses.",
    )
    id_field: str | None = Field(
        default=None,
        min_length=1,
        description="The field that identifies an item; its values must be unique. Unset: the item's number, from 0.",
    )

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        sources = (self.items, self.uri, self.config_map, self.dead_letters_of)
        if sum(source is not None for source in sources) != 1:
            raise ValueError(_ONE_SOURCE)
        if self.items is not None and self.format is InputFormat.CSV:
            raise ValueError(_ITEMS_AS_CSV)
        if self.format is InputFormat.OPENAI and self.id_field is not None:
            raise ValueError(_ID_OF_OPENAI)
        return self
