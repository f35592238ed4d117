"""Which endpoint the pods of a Job ask, and with which key: a mark on the Job, to tell when they have to be replaced.

Limits and prices are no part of it: workers hear of those while they run. Pure.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import orjson

from llmbatch_contract.endpoint import Endpoint

ADDRESS_ANNOTATION = "llmbatch.dev/endpoint"
KEY_ANNOTATION = "llmbatch.dev/api-key-secret"
_DIGITS = 16


@dataclass(frozen=True)
class Mark:
    """What pods are started with, and cannot be told otherwise."""

    address: str
    """Digest of URL and headers, which stand in the batch's ConfigMap."""
    key: str
    """Name and key of the Secret, which stand in the Job's template; empty for none."""

    @classmethod
    def read(cls, annotations: Mapping[str, str]) -> Self | None:
        """The mark of a Job; None for one that has none."""
        address = annotations.get(ADDRESS_ANNOTATION)
        return None if address is None else cls(address, annotations.get(KEY_ANNOTATION, ""))

    @property
    def annotations(self) -> dict[str, str]:
        """The mark as annotations of a Job."""
        return {ADDRESS_ANNOTATION: self.address, KEY_ANNOTATION: self.key}


def mark_of(endpoint: Endpoint) -> Mark:
    """The mark of Jobs whose pods are to ask this endpoint, which is no reference."""
    told = orjson.dumps([endpoint.base_url, sorted(endpoint.headers.items())])
    secret = endpoint.api_key_secret
    key = "" if secret is None else f"{secret.name}/{secret.key}"
    return Mark(hashlib.sha256(told).hexdigest()[:_DIGITS], key)
