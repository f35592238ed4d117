"""Keys of object stores: the values that the providers' own tools know, from a Secret's files or from variables.

Read anew now and then, and when a store refuses them: a Secret that is renewed heals a running pod. Without keys the
platform's identity is used, which obstore finds in the environment by itself.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llmbatch_contract.errors import StoreDeniedError

ReadCredentials = Callable[[], Mapping[str, str]]
"""The values by the names of their variables; empty to use the platform's identity."""

S3_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
GS_KEYS = ("GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS_JSON")
AZ_ACCOUNT = "AZURE_STORAGE_ACCOUNT_NAME"
AZ_KEYS = (
    AZ_ACCOUNT,
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
)
_FIRST = (S3_KEYS[0], GS_KEYS[0], AZ_ACCOUNT)
ANONYMOUS = {"s3": "AWS_SKIP_SIGNATURE", "gs": "GOOGLE_SKIP_SIGNATURE", "az": "AZURE_SKIP_SIGNATURE"}
"""`true`: ask without credentials, for public data."""
_ALL = (*S3_KEYS, *GS_KEYS, *AZ_KEYS, *ANONYMOUS.values())


def no_credentials() -> Mapping[str, str]:
    """None: the platform's identity."""
    return {}


def of_environment(environment: Mapping[str, str] = os.environ) -> ReadCredentials:
    """The variables of this process."""
    return lambda: {name: environment[name] for name in _ALL if environment.get(name)}


def of_secret(name: str, folder: Path) -> ReadCredentials:
    """The files of a Secret that is mounted; the folder is empty while there is none. `name` is as in `Secret aws`."""

    def read() -> Mapping[str, str]:
        found = {key: text for key in _ALL if (text := _text(folder / key))}
        if not found:
            raise StoreDeniedError(
                f"{name} is missing, or has none of the keys {', '.join(_FIRST)} and so on; create it"
            )
        return found

    return read


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise StoreDeniedError(f"cannot read the key {path.name} of the credentials") from error


def settings_of(scheme: str, values: Mapping[str, str]) -> dict[str, Any]:
    """What obstore calls them; empty for the platform's identity. Raises StoreDeniedError for half of them."""
    if values.get(ANONYMOUS[scheme], "").lower() in ("1", "true"):
        return {"skip_signature": True} | ({"account_name": values[AZ_ACCOUNT]} if values.get(AZ_ACCOUNT) else {})
    return {"s3": _s3, "gs": _gs, "az": _az}[scheme](values)


def _s3(values: Mapping[str, str]) -> dict[str, Any]:
    key, secret, token = map(values.get, S3_KEYS)
    if not key and not secret:
        return {}
    if not key or not secret:
        raise StoreDeniedError(f"{S3_KEYS[0]} and {S3_KEYS[1]} go together; give both")
    return {"access_key_id": key, "secret_access_key": secret} | ({"session_token": token} if token else {})


def _gs(values: Mapping[str, str]) -> dict[str, Any]:
    key = next((values[name] for name in GS_KEYS if values.get(name)), None)
    if key is None:
        return {}
    try:
        kind = json.loads(key).get("type", "service_account")
    except (ValueError, AttributeError):
        raise StoreDeniedError(f"{GS_KEYS[0]} is not the JSON key of a service account") from None
    if kind != "service_account":
        raise StoreDeniedError(f"{GS_KEYS[0]} is of the type {kind}; give the JSON key of a service account")
    return {"service_account_key": key}


def _az(values: Mapping[str, str]) -> dict[str, Any]:
    account = {"account_name": values[AZ_ACCOUNT]} if values.get(AZ_ACCOUNT) else {}
    if key := values.get("AZURE_STORAGE_ACCOUNT_KEY"):
        return account | {"account_key": key, "credential_type": "access_key"}
    if token := values.get("AZURE_STORAGE_SAS_TOKEN"):
        return account | {"sas_key": token.lstrip("?"), "credential_type": "sas_token"}
    names = ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID")
    client, secret, tenant = map(values.get, names)
    if secret:
        if not client or not tenant:
            raise StoreDeniedError(f"{', '.join(names)} go together; give all three")
        ids = {"client_id": client, "client_secret": secret, "tenant_id": tenant}
        return account | ids | {"credential_type": "client_secret"}
    return account
