"""What is done to which object, and what to give or look at when that fails: permissions, keys, certificates. Pure.

Used by cloud.py and cloud_words.py.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Doing(StrEnum):
    """What is done to an object."""

    READ = "read"
    WRITE = "write"
    LIST = "list"
    REMOVE = "remove"


@dataclass(frozen=True)
class Target:
    """Of what the sentence speaks."""

    scheme: str
    bucket: str
    where: str
    """The object as the user knows it."""
    doing: Doing
    has_secret: bool
    """The credentials came from a Secret or from variables, not from the platform."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What must not be said."""


_PERMISSIONS = {
    ("s3", Doing.READ): "s3:GetObject on it, and s3:ListBucket (without that a missing object looks so, too)",
    ("s3", Doing.WRITE): "s3:PutObject and s3:AbortMultipartUpload on it",
    ("s3", Doing.LIST): "s3:ListBucket on the bucket",
    ("s3", Doing.REMOVE): "s3:DeleteObject on it",
    ("gs", Doing.READ): "storage.objects.get",
    ("gs", Doing.WRITE): "storage.objects.create, and storage.objects.delete to replace an object",
    ("gs", Doing.LIST): "storage.objects.list",
    ("gs", Doing.REMOVE): "storage.objects.delete",
    ("az", Doing.READ): "the role Storage Blob Data Reader",
    ("az", Doing.WRITE): "the role Storage Blob Data Contributor",
    ("az", Doing.LIST): "the role Storage Blob Data Reader",
    ("az", Doing.REMOVE): "the role Storage Blob Data Contributor",
}


def permission(target: Target) -> str:
    """Which permission to look at."""
    return f"give these credentials {_PERMISSIONS[target.scheme, target.doing]}"


_KEYS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_SERVICE_ACCOUNT_KEY",
    "az": "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
}


def give_credentials(target: Target) -> str:
    """What to give where there is nothing."""
    return f"give {_KEYS[target.scheme]} (credentialsSecret, or your shell's), or the pods an identity of the platform"


def credentials(target: Target) -> str:
    """What the store was asked with."""
    return _KEYS[target.scheme] if target.has_secret else "the identity of the platform"


def renew(target: Target) -> str:
    """Which credentials to renew."""
    return f"renew {credentials(target)}"


def look_at_identity(target: Target) -> str:
    """Where the identity comes from."""
    return "look at the service account of the pods" if not target.has_secret else f"look at {_KEYS[target.scheme]}"


def trust_it() -> str:
    """How to make a certificate trusted."""
    return "give its authority's in store.caConfigMap, or in a file that SSL_CERT_FILE names"
