"""The part of the manifest about the output: where and how results are written, and where else they go."""

from enum import StrEnum
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from llmbatch_contract.cel import rule, rules
from llmbatch_contract.endpoint import WholeUrl
from llmbatch_contract.input import Packing
from llmbatch_contract.model import SpecModel
from llmbatch_contract.storage import STORE_RULES, CredentialsField, StoreField, Uri, VolumeClaim, check_reached

_ONE_PLACE = "pvc: has no uri beside it; give one of them"
_NOT_A_CLUSTERS = "uri: on a cluster must start with s3://, gs:// or az://; or use pvc, or leave it out"
_READ_ONLY = "uri: can be read only; results go to s3://, gs://, az:// or a folder"
_OPENAI_AS_IT_IS = "{name}: the form of OpenAI's files is fixed; remove it"
_PARQUET_IS_PACKED = "compression: parquet is packed already; remove it"
_SHARDED_NEEDS_A_PLACE = "layout: the built-in store holds merged results only; give uri or pvc"


class OutputFormat(StrEnum):
    """How results are written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    OPENAI = "openai"


class Layout(StrEnum):
    """In how many objects results are written."""

    AUTO = "auto"
    MERGED = "merged"
    SHARDED = "sharded"


class Output(SpecModel):
    """Where and how results are written."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(_ONE_PLACE, "!has(self.pvc) || !has(self.uri)"),
            rule(_NOT_A_CLUSTERS, "!has(self.uri) || self.uri.matches('^(s3|gs|az)://')"),
            rule(_OPENAI_AS_IT_IS.format(name="includeInput"), "!self.includeInput || self.format != 'openai'"),
            rule(_OPENAI_AS_IT_IS.format(name="fields"), "!has(self.fields) || self.format != 'openai'"),
            rule(_PARQUET_IS_PACKED, "self.compression == 'none' || self.format != 'parquet'"),
            rule(_SHARDED_NEEDS_A_PLACE, "self.layout != 'sharded' || has(self.uri) || has(self.pvc)"),
            *STORE_RULES,
        )
    )

    uri: Uri | None = Field(
        default=None,
        description=(
            "A folder for results, errors and summary.json: s3, gs, az; on your machine also a path. "
            "Unset: `NAME-output` beside the manifest, on a cluster the built-in store."
        ),
    )
    store: StoreField = None
    credentials_secret: CredentialsField = None
    pvc: VolumeClaim | None = Field(default=None, description="A folder on a PersistentVolumeClaim. On a cluster only.")
    format: OutputFormat = Field(
        strict=False,
        default=OutputFormat.JSONL,
        description=(
            "`csv` and `parquet`: a row per result, a column for each property of the response schema. `openai`: as "
            "its Batch API."
        ),
    )
    compression: Packing = Field(
        strict=False, default=Packing.NONE, description="How results and errors are packed: `none`, `gzip`, `zstd`."
    )
    layout: Layout = Field(
        strict=False,
        default=Layout.AUTO,
        description=(
            "`merged`: one object, in the order of the input. `sharded`: a folder with one object a shard and a "
            "manifest. `auto`: sharded above a million items, where there is a `uri` or `pvc`."
        ),
    )
    include_input: bool = Field(
        default=False, description="Write each item into its result: as `input`, or as columns (csv always does)."
    )
    fields: list[str] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="Only these fields or columns of the results, in this order. Unset: all.",
    )
    overwrite: bool = Field(
        default=False, description="Replace the outputs of an earlier batch in the same place. Else that is an error."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.pvc is not None and self.uri is not None:
            raise ValueError(_ONE_PLACE)
        if self.uri is not None and self.uri.lower().startswith(("http://", "https://")):
            raise ValueError(_READ_ONLY)
        if self.format is OutputFormat.OPENAI and self.include_input:
            raise ValueError(_OPENAI_AS_IT_IS.format(name="includeInput"))
        if self.format is OutputFormat.OPENAI and self.fields is not None:
            raise ValueError(_OPENAI_AS_IT_IS.format(name="fields"))
        if self.format is OutputFormat.PARQUET and self.compression is not Packing.NONE:
            raise ValueError(_PARQUET_IS_PACKED)
        check_reached(self.uri, self.store, self.credentials_secret)
        return self


class Deliver(SpecModel):
    """A webhook that gets the results themselves, many at a time, when they are written. At least once."""

    url: WholeUrl = Field(description="Where to POST to.")
    batch_size: int = Field(default=100, ge=1, le=10_000, description="Results in one request, at most 4 MiB of them.")
