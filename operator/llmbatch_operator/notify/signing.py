"""The Secret with the key that webhooks of a namespace are signed with. Pure.

The key is made from the operator's own: nothing of the users' Secrets is read.
"""

from llmbatch_contract.signing import KEY_IN_SECRET, KEY_SECRET, signing_key
from llmbatch_operator.facts import Body


def key_secret(master: bytes, namespace: str) -> Body:
    """The Secret from which users copy the key to their receivers. It belongs to no batch, and outlives all."""
    labels = {"app.kubernetes.io/name": "llmbatch", "app.kubernetes.io/managed-by": "llmbatch"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": KEY_SECRET, "namespace": namespace, "labels": labels},
        "type": "Opaque",
        "stringData": {KEY_IN_SECRET: signing_key(master, namespace)},
    }
