"""The key that messages of a namespace are signed with, and their headers. Pure.

As https://www.standardwebhooks.com has it (version 1.0.0, symmetric signatures), so that receivers find libraries.
The key is made from the operator's own: nothing of the users' Secrets is read.
"""

import base64
import hashlib
import hmac

from llmbatch_operator.facts import Body

SECRET_NAME = "llmbatch-notify"
SECRET_KEY = "signing-key"
_PREFIX = "whsec_"


def signing_key(master: bytes, namespace: str) -> str:
    """The key of a namespace, in the form that libraries take."""
    key = hmac.new(master, f"notify/{namespace}".encode(), hashlib.sha256).digest()
    return _PREFIX + base64.b64encode(key).decode()


def signed_headers(key: str, id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of one try; `timestamp` is Unix time."""
    content = f"{id_}.{timestamp}.".encode() + body
    digest = hmac.new(base64.b64decode(key.removeprefix(_PREFIX)), content, hashlib.sha256).digest()
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def key_secret(master: bytes, namespace: str) -> Body:
    """The Secret from which users copy the key to their receivers. It belongs to no batch, and outlives all."""
    labels = {"app.kubernetes.io/name": "llmbatch", "app.kubernetes.io/managed-by": "llmbatch"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET_NAME, "namespace": namespace, "labels": labels},
        "type": "Opaque",
        "stringData": {SECRET_KEY: signing_key(master, namespace)},
    }
