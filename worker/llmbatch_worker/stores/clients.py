"""The ways to buckets and containers, through obstore: address, credentials, authorities, time limits. For cloud.py.

obstore's own async calls can abort the interpreter at exit, so none are made:
https://github.com/PyO3/pyo3-async-runtimes/issues/40.
"""

import contextlib
import os
import threading
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore.store

from llmbatch_contract.errors import StoreAwayError, StoreDeniedError, StoreError
from llmbatch_contract.storage import ObjectStore
from llmbatch_worker.stores.credentials import S3_KEYS, ReadCredentials, no_credentials, settings_of

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Credential

_REREAD_S = 60.0
_AS_LONG_AS_OBSTORE_KEEPS = timedelta(seconds=300 + _REREAD_S)
"""obstore asks anew five minutes before the end."""
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class TimeLimits:
    """How long one call may take. Tries again are counted by Troubles; only parts of a large object, which cannot be
    sent again from here, are tried again by obstore itself."""

    connect_s: float = 5.0
    silence_s: float = 20.0
    """Between two bits of an answer."""
    request_s: float = 600.0
    part_s: float = 120.0
    parts_again_s: float = 45.0
    parts_again: int = 10


@dataclass(frozen=True)
class Access:
    """How one store of a batch is reached: the settings of its manifest, its credentials, its authority."""

    store: ObjectStore | None = None
    read_credentials: ReadCredentials = no_credentials
    ca_file: Path | None = None
    uri: str | None = field(default=None, repr=False)
    """What the manifest names: plans hold a web address without its query, which may be a signature."""
    ca_title: str = "store.caConfigMap"
    """What to say of `ca_file`."""
    secret: str = ""
    """Where the credentials come from, as in `Secret aws`; empty: from variables."""


class Client:
    """The way to one bucket or container. Threads may share it."""

    def __init__(self, scheme: str, bucket: str, access: Access, limits: TimeLimits) -> None:
        self._scheme, self._bucket, self._access, self._limits = scheme, bucket, access, limits
        self._lock = threading.Lock()
        self._values: Mapping[str, str] = {}
        self._read_at = float("-inf")
        self._objects: Any = None
        self._uploads: Any = None

    @property
    def has_keys(self) -> bool:
        """There are keys, rather than an identity of the platform."""
        return bool(self._values)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be said."""
        return tuple(self._values.values())

    @property
    def lists_in_order(self) -> bool:
        """The provider says that a listing is sorted: not so in S3's directory buckets, nor in every server."""
        return self._endpoint() is None and not self._bucket.endswith("--x-s3")

    def objects(self) -> Any:
        """obstore's store for single calls: it tries nothing again."""
        self._refresh(older_than_s=_REREAD_S)
        return self._objects

    def uploads(self) -> Any:
        """obstore's store for objects in many parts."""
        self._refresh(older_than_s=_REREAD_S)
        return self._uploads

    def renew(self) -> bool:
        """Read the credentials again; whether they are others now."""
        return self._refresh(older_than_s=0)

    def _refresh(self, *, older_than_s: float) -> bool:
        with self._lock:
            if time.monotonic() - self._read_at < older_than_s:
                return False
            values = self._access.read_credentials()
            has_changed = self._objects is None or values != self._values
            if has_changed:
                settings = self._settings(values)
                self._values = values
                self._build(settings)
            self._read_at = time.monotonic()
            return has_changed

    def _settings(self, values: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            return settings_of(self._scheme, values)
        except StoreDeniedError as error:
            raise StoreDeniedError(f"{self._access.secret}: {error}" if self._access.secret else str(error)) from None

    def _build(self, credentials: Mapping[str, Any]) -> None:
        once: RetryConfig = {"max_retries": 0, "retry_timeout": timedelta(seconds=self._limits.request_s)}
        again: RetryConfig = {
            "max_retries": self._limits.parts_again,
            "retry_timeout": timedelta(seconds=self._limits.parts_again_s),
            "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=5)},
        }
        patient = replace(self._limits, silence_s=self._limits.part_s, request_s=self._limits.part_s)
        self._objects = self._store(credentials, once, self._client(self._limits))
        self._uploads = self._store(credentials, again, self._client(patient))

    def _client(self, limits: TimeLimits) -> "ClientConfig":
        config: ClientConfig = {
            "connect_timeout": timedelta(seconds=limits.connect_s),
            "read_timeout": timedelta(seconds=limits.silence_s),
            "timeout": timedelta(seconds=limits.request_s),
            "allow_http": (self._endpoint() or "").startswith("http://"),
        }
        if authorities := authorities_of(self._access.ca_file, self._access.ca_title):
            config["root_certificate"] = authorities
        return config

    def _store(self, credentials: Mapping[str, Any], retry: "RetryConfig", client: "ClientConfig") -> Any:
        kind, settings = {"s3": self._s3, "gs": self._gs, "az": self._az}[self._scheme]()
        options: dict[str, Any] = {"retry_config": retry, "client_options": client}
        if "access_key_id" in credentials:
            options["credential_provider"] = self._s3_keys
        else:
            settings = {**settings, **credentials}
        return kind(self._bucket, config=settings, **options)

    def _s3_keys(self) -> "S3Credential":
        """For obstore: the keys as they are now, also in the middle of a long upload. A variable of this process that
        is none of these keys, as a token left from elsewhere, does not get between them."""
        with contextlib.suppress(StoreError):  # the older ones may still do
            self._refresh(older_than_s=_REREAD_S)
        key, secret, token = map(self._values.get, S3_KEYS)
        ends_at = datetime.now(UTC) + _AS_LONG_AS_OBSTORE_KEEPS
        return {"access_key_id": key or "", "secret_access_key": secret or "", "token": token, "expires_at": ends_at}

    def _s3(self) -> tuple[Any, dict[str, Any]]:
        given = self._access.store or ObjectStore()
        endpoint = self._endpoint()
        is_path = given.path_style if given.path_style is not None else endpoint is not None or "." in self._bucket
        settings: dict[str, Any] = {"region": given.region or _variable(*_REGIONS) or _DEFAULT_REGION}
        settings["virtual_hosted_style_request"] = not is_path
        if endpoint is not None:
            settings["endpoint"] = endpoint if is_path else _with_bucket(endpoint, self._bucket)
        return obstore.store.S3Store, settings

    def _gs(self) -> tuple[Any, dict[str, Any]]:
        endpoint = self._endpoint()
        return obstore.store.GCSStore, {"base_url": endpoint} if endpoint is not None else {}

    def _az(self) -> tuple[Any, dict[str, Any]]:
        endpoint = self._endpoint()
        account = _variable("AZURE_STORAGE_ACCOUNT_NAME") or (_account_in(endpoint) if endpoint else None)
        settings = {"account_name": account} if account else {}
        return obstore.store.AzureStore, settings | ({"endpoint": endpoint} if endpoint is not None else {})

    def _endpoint(self) -> str | None:
        given = self._access.store.endpoint if self._access.store is not None else None
        endpoint = given or _variable(*_ENDPOINTS[self._scheme])
        if endpoint and not endpoint.startswith(("http://", "https://")):  # obstore would panic
            names = " or ".join(name for name in _ENDPOINTS[self._scheme] if _variable(name))
            raise StoreError(f"{names}: must start with http:// or https://, as in http://127.0.0.1:9000")
        return endpoint.rstrip("/") if endpoint else None


def authorities_of(ca_file: Path | None, ca_title: str) -> bytes:
    """Certificates of authorities to trust beside the system's: of a store's own, and of SSL_CERT_FILE."""
    named = _variable("SSL_CERT_FILE")
    found = [_certificates(ca_file, ca_title)] if ca_file is not None else []
    return b"\n".join([*found, *([_certificates(Path(named), "SSL_CERT_FILE")] if named else [])])


def _certificates(file: Path, what: str) -> bytes:
    try:
        data = file.read_bytes()
    except FileNotFoundError:  # of a ConfigMap that may still come
        raise StoreAwayError(f"the certificate of {what} is not there; create it") from None
    except OSError as error:
        raise StoreError(f"cannot read the certificate of {what}: {error.strerror}") from None
    if b"-----BEGIN CERTIFICATE-----" not in data:
        raise StoreError(f"the file of {what} holds no PEM certificate")
    return data


def _variable(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


def _with_bucket(endpoint: str, bucket: str) -> str:
    parts = urllib.parse.urlsplit(endpoint)
    return urllib.parse.urlunsplit(parts._replace(netloc=f"{bucket}.{parts.netloc}"))


def _account_in(endpoint: str) -> str | None:
    """As in https://ACCOUNT.blob.core.windows.net."""
    account, dot, rest = (urllib.parse.urlsplit(endpoint).hostname or "").partition(".")
    return account if dot and rest.startswith("blob.") else None
