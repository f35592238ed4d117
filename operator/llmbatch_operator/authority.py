"""The coordinator's keys: made once, kept in a Secret of the operator's own namespace, read again after a restart."""

import base64
from dataclasses import dataclass
from datetime import datetime

from llmbatch_operator.coordinator.certificates import KeyPair, make_authority
from llmbatch_operator.facts import Body
from llmbatch_operator.kube import Kube

SECRET_NAME = "llmbatch-coordinator"


@dataclass(frozen=True)
class Authority:
    """What signs the coordinator's certificate, and what the keys to results are made from."""

    pair: KeyPair
    master_key: bytes


async def load_authority(kube: Kube, namespace: str, now: datetime, random: bytes) -> Authority:
    """The keys of this installation; new ones where there are none. Raises CallError."""
    if (secret := await kube.read_secret(namespace, SECRET_NAME)) is None:
        secret = await kube.create_secret(_secret(namespace, Authority(make_authority(now), random)))
    if secret is None:  # another operator was quicker
        secret = await kube.read_secret(namespace, SECRET_NAME)
    assert secret is not None
    data = {name: base64.b64decode(value) for name, value in secret["data"].items()}
    return Authority(KeyPair(data["ca.crt"], data["ca.key"]), data["results-master-key"])


def _secret(namespace: str, authority: Authority) -> Body:
    data = {
        "ca.crt": authority.pair.certificate_pem,
        "ca.key": authority.pair.key_pem,
        "results-master-key": authority.master_key,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET_NAME, "namespace": namespace, "labels": {"app.kubernetes.io/name": "llmbatch"}},
        "type": "Opaque",
        "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
    }
