"""The parts of the manifest that say how a store is reached: its address, credentials, volumes; of input and output.

What a URI names (`s3://`, `gs://`, `az://`, `https://`) is opened by the worker; the operator mounts what that takes.
"""

import re
import urllib.parse
from typing import Annotated

from pydantic import AfterValidator, Field

from llmbatch_contract.cel import JsonSchema, rule, rules
from llmbatch_contract.endpoint import StoreUrl
from llmbatch_contract.model import SpecModel

OBJECT_SCHEMES = ("s3", "gs", "az")
"""Stores that are read and written."""
WEB_SCHEMES = ("https", "http")
"""Servers that are read only."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_NO_SCHEME = "must be a path, or start with s3://, gs://, az:// or https://"
_NO_BUCKET = "must name a bucket or container, as in s3://bucket/folder/"
_NO_HOST = "must name a host, as in https://example.com/items.jsonl"
_PASSWORD = "must not hold a user or password: use credentialsSecret"
_INSIDE = r"[^/\x00-\x1f][^\x00-\x1f]*"
_NO_PATH = "must be a path inside the volume: neither with / at its start nor with .. in it"
CREDENTIALS_ELSEWHERE = "credentialsSecret: goes with a uri that starts with s3://, gs:// or az://"
STORE_ELSEWHERE = "store: goes with a uri that starts with s3://, gs:// or az://"
_IS_IN_A_STORE = f"(has(self.uri) && self.uri.matches('^({'|'.join(OBJECT_SCHEMES)})://'))"


class ConfigMapKey(SpecModel):
    """One key of a ConfigMap."""

    name: str = Field(min_length=1, max_length=253, description="Name of the ConfigMap, in the namespace of the batch.")
    key: str = Field(min_length=1, max_length=253, description="Key in `data` or `binaryData`.")


class CredentialsSecret(SpecModel):
    """A Secret whose keys are the variables that the provider's own tools know; `docs/stores.md` lists them."""

    name: str = Field(
        min_length=1,
        max_length=253,
        description=(
            "Name of the Secret, in the namespace of the batch; its keys are the provider's own variables, as in "
            "AWS_ACCESS_KEY_ID. It may be renewed while the batch runs."
        ),
    )


class ObjectStore(SpecModel):
    """How to reach a store where its provider's defaults will not do, as with a server of one's own."""

    endpoint: StoreUrl | None = Field(default=None, description="Address of the server. Unset: the provider's.")
    region: str | None = Field(
        default=None, min_length=1, max_length=63, description="Region of the bucket. Unset: AWS_REGION, or us-east-1."
    )
    path_style: bool | None = Field(
        default=None,
        description="The bucket stands in the path, not in the host's name. Unset: yes, if there is an `endpoint`.",
    )
    ca_config_map: ConfigMapKey | None = Field(
        default=None, description="A certificate (PEM) of the authority that signs the server's."
    )


def _path_inside(value: str) -> str:
    if not re.fullmatch(_INSIDE, value) or ".." in value.split("/"):
        raise ValueError(_NO_PATH)
    return value


def _uri(value: str) -> str:
    scheme = scheme_of(value)
    if _SCHEME.match(value) and scheme not in (*OBJECT_SCHEMES, *WEB_SCHEMES, "file"):
        raise ValueError(_NO_SCHEME)
    authority = re.split(r"[/?#]", value.partition("://")[2], maxsplit=1)[0]
    if scheme in OBJECT_SCHEMES and not authority:
        raise ValueError(_NO_BUCKET)
    if scheme in WEB_SCHEMES and not authority:
        raise ValueError(_NO_HOST)
    if scheme and "@" in authority:
        raise ValueError(_PASSWORD)
    return value


Uri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        json_schema_extra=rules(
            rule(_NO_BUCKET, f"!self.matches('^({'|'.join(OBJECT_SCHEMES)})://([/?#]|$)')"),
            rule(_NO_HOST, f"!self.matches('^({'|'.join(WEB_SCHEMES)})://([/?#]|$)')"),
            rule(_PASSWORD, "!self.matches('^[a-z0-9]+://[^/?#]*@')"),
        ),
    ),
    AfterValidator(_uri),
]

VolumePath = Annotated[
    str,
    Field(
        max_length=1024,
        json_schema_extra=rules(
            rule(_NO_PATH, f"self.matches(r'^{_INSIDE}$') && !self.split('/').exists(part, part == '..')")
        ),
    ),
    AfterValidator(_path_inside),
]


class VolumeClaim(SpecModel):
    """A place on a PersistentVolumeClaim."""

    claim_name: str = Field(
        min_length=1, max_length=253, description="Name of the PersistentVolumeClaim, in the namespace of the batch."
    )
    path: VolumePath = Field(description="Where in the volume, as in `tickets/2026.csv`.")


def scheme_of(uri: str) -> str:
    """The scheme of a URI; empty for a path."""
    scheme, found, _ = uri.partition("://")
    return scheme if found else ""


def without_query(uri: str) -> str:
    """A URI as it may be shown: the query of a web address may be a signature, its user a password."""
    if scheme_of(uri) not in WEB_SCHEMES:
        return uri
    parts = urllib.parse.urlsplit(uri)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def place_of(url: str) -> str:
    """Of an address that is posted to, what is no secret: paths often hold a token."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


STORE_RULES: tuple[JsonSchema, ...] = (
    rule(CREDENTIALS_ELSEWHERE, f"!has(self.credentialsSecret) || {_IS_IN_A_STORE}"),
    rule(STORE_ELSEWHERE, f"!has(self.store) || {_IS_IN_A_STORE}"),
)
"""What `check_reached` checks, for the API server."""

StoreField = Annotated[ObjectStore | None, Field(description="How to reach the store of `uri`, where not as usual.")]
CredentialsField = Annotated[
    CredentialsSecret | None,
    Field(
        description="Keys for the store of `uri`. Unset: the identity of the pods' service account, or your shell's."
    ),
]


def check_reached(uri: str | None, store: ObjectStore | None, credentials: CredentialsSecret | None) -> None:
    """Credentials and settings go with object stores only. Raises ValueError."""
    if uri is not None and scheme_of(uri) in OBJECT_SCHEMES:
        return
    if credentials is not None:
        raise ValueError(CREDENTIALS_ELSEWHERE)
    if store is not None:
        raise ValueError(STORE_ELSEWHERE)
