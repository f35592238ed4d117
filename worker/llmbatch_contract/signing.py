"""Keys and signatures of webhooks, those of the operator and those that carry results. Pure.

As https://www.standardwebhooks.com has it (version 1.0.0, symmetric signatures), so that receivers find libraries.
"""

import base64
import binascii
import hashlib
import hmac

KEY_SECRET = "llmbatch-notify"
"""Name of the Secret that has the key of a namespace."""
KEY_IN_SECRET = "signing-key"
_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_NO_KEY = "must be `whsec_` and then 24 to 64 random bytes as base64"


def signing_key(master: bytes, namespace: str) -> str:
    """The key of a namespace, in the form that libraries take. It is made from the operator's own."""
    key = hmac.new(master, f"notify/{namespace}".encode(), hashlib.sha256).digest()
    return _PREFIX + base64.b64encode(key).decode()


def check_key(key: str) -> None:
    """Raises ValueError for what is no key; the sentence holds nothing of it."""
    try:
        secret = base64.b64decode(key.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(_NO_KEY) from None
    if not key.startswith(_PREFIX) or len(secret) not in _KEY_BYTES:
        raise ValueError(_NO_KEY)


def signed_headers(key: str, id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of one try; `timestamp` is Unix time."""
    secret = base64.b64decode(key.removeprefix(_PREFIX))
    signature = hmac.new(secret, f"{id_}.{timestamp}.".encode(), hashlib.sha256)
    signature.update(body)
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(signature.digest()).decode()}",
    }
