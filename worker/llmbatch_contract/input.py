"""The part of the manifest about the input: where the items are, how they are written, which of them to take."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from llmbatch_contract.categories import Category
from llmbatch_contract.cel import rule, rules
from llmbatch_contract.model import SpecModel
from llmbatch_contract.storage import (
    STORE_RULES,
    ConfigMapKey,
    CredentialsField,
    StoreField,
    Uri,
    VolumeClaim,
    check_reached,
)

_ONE_SOURCE = "must have exactly one of items, uri, pvc, configMap and deadLettersOf"
_ITEMS_AS_FILES = "format: inline items are objects, csv and parquet do not apply; remove it"
_ID_OF_OPENAI = "idField: the id of an openai input is its custom_id; remove it"
_LOCAL_ONLY = "uri: files of a laptop do not exist on a cluster; use pvc, configMap, or a uri with s3, gs, az or https"
_SCHEMES_OF_A_CLUSTER = "^(s3|gs|az|https?)://"


class InputFormat(StrEnum):
    """How items are written in an input."""

    AUTO = "auto"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    OPENAI = "openai"


class Packing(StrEnum):
    """How the bytes of an object are packed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class DeadLettersOf(SpecModel):
    """The items that failed in another batch."""

    name: str = Field(min_length=1, max_length=63, description="Name of a finished batch in the same namespace.")
    categories: list[Annotated[Category, Field(strict=False)]] = Field(
        default_factory=list, max_length=32, description="Only items that failed for one of these. Empty: all."
    )


class ItemSample(SpecModel):
    """Some of the items, each with the same chance; the same seed takes the same ones."""

    items: int = Field(ge=1, le=1_000_000, description="How many items to take.")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Another seed takes other items.")


class Input(SpecModel):
    """Where the items are: exactly one of `items`, `uri`, `pvc`, `configMap` and `deadLettersOf`."""

    model_config = ConfigDict(
        # dyn: the compiler does not let rules see fields of free form, such as items; at run time they are there.
        json_schema_extra=rules(
            rule(
                _ONE_SOURCE,
                "[has(dyn(self).items), has(self.uri), has(self.pvc), has(self.configMap), has(self.deadLettersOf)]"
                ".filter(given, given).size() == 1",
            ),
            rule(_ITEMS_AS_FILES, "!has(dyn(self).items) || !(self.format in ['csv', 'parquet'])"),
            rule(_ID_OF_OPENAI, "!has(self.idField) || self.format != 'openai'"),
            rule(_LOCAL_ONLY, f"!has(self.uri) || self.uri.matches('{_SCHEMES_OF_A_CLUSTER}')"),
            *STORE_RULES,
        )
    )

    items: list[dict[str, Any]] | None = Field(
        default=None,
        description=(
            "The items themselves, for small batches. Plain `kubectl apply` takes 256 KB and drops nulls in them; "
            "with `--server-side` it takes 1 MB and keeps them."
        ),
    )
    uri: Uri | None = Field(
        default=None,
        description=(
            "An object, or several: `s3://bucket/2026/*.parquet` (`*`, `?`, `**`) or a prefix that ends with `/`, in "
            "the order of their names. s3, gs, az, https; on your machine also a path, relative to the manifest."
        ),
    )
    store: StoreField = None
    credentials_secret: CredentialsField = None
    pvc: VolumeClaim | None = Field(
        default=None,
        description="Files on a PersistentVolumeClaim, named as in `uri`; it is mounted read-only. On a cluster only.",
    )
    config_map: ConfigMapKey | None = Field(
        default=None, description="A key of a ConfigMap that holds the items. On a cluster only."
    )
    dead_letters_of: DeadLettersOf | None = Field(
        default=None, description="The items that failed in another batch, to ask again. On a cluster only."
    )
    format: InputFormat = Field(
        strict=False,
        default=InputFormat.AUTO,
        description=(
            "`auto` looks at name and content, and unpacks gzip and zstd. `csv` is TSV, too. `openai` is the input "
            "file of the OpenAI Batch API."
        ),
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
    where: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="Only items for which this expression over their fields holds, as in `lang == 'de' and stars < 3`.",
    )
    limit: int | None = Field(default=None, ge=1, description="Only so many items, the first ones.")
    sample: ItemSample | None = Field(
        default=None, description="Only some items, taken at random from those that `where` and `limit` leave."
    )

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        sources = (self.items, self.uri, self.pvc, self.config_map, self.dead_letters_of)
        if sum(source is not None for source in sources) != 1:
            raise ValueError(_ONE_SOURCE)
        if self.items is not None and self.format in (InputFormat.CSV, InputFormat.PARQUET):
            raise ValueError(_ITEMS_AS_FILES)
        if self.format is InputFormat.OPENAI and self.id_field is not None:
            raise ValueError(_ID_OF_OPENAI)
        check_reached(self.uri, self.store, self.credentials_secret)
        return self
