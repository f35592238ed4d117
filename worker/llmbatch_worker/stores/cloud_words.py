"""What a provider's error means, in a sentence without credentials. Pure; used by cloud.py.

obstore tells of an answer by its status and body, and of a connection by its debug text; see `read_failure`.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from llmbatch_contract.errors import StoreAwayError, StoreDeniedError, StoreError, StoreFullError, StoreMissingError
from llmbatch_worker.stores.unsaid import cleaned, without

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>\s*([\w.]{1,60})\s*</Code>")
_MESSAGE = re.compile(r"<Message>\s*([^<]{1,400})")
_OF_MANY = re.compile(r"DeleteObjects request failed for key .*: ([^:]{1,400}) \(code: ([\w.]{1,60})\)")
"""One of several objects was not removed; the request itself had status 200."""
_JSON_MESSAGE = re.compile(r'"message"\s*:\s*"([^"\\]{1,400})')
_REGION = re.compile(r"<Region>\s*([\w-]{1,40})\s*</Region>|expecting '([\w-]{1,40})'")
_TARGET = re.compile(r"performing [A-Z]+ https?://([^/\s?]+)")
_OS_WORDS = re.compile(r'message: "([^"]{1,100})"')

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "RequestExpired"}
_UNKNOWN_KEY = {"InvalidAccessKeyId", "InvalidClientTokenId", "NotSignedUp"}
_WRONG_KEY = {"SignatureDoesNotMatch", "AuthenticationFailed", "InvalidAuthenticationInfo"}
_CLOCK = {"RequestTimeTooSkewed"}
_REGIONS = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "Redirect"}
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled"}
_FULL = {"QuotaExceeded", "EntityStorageFull", "XMinioStorageFull", "XAdminBucketQuotaExceeded", "InsufficientStorage"}
_BUSY = {"SlowDown", "ServerBusy", "TooManyRequests", "RequestLimitExceeded", "Throttling", "ThrottlingException"}
_AGAIN = {"RequestTimeout", "ConditionalRequestConflict", "OperationAborted", "OperationTimedOut", "InternalError"}
_METADATA = ("169.254.169.254", "169.254.170.2", "metadata.google.internal", "metadata:80")
_HIDDEN = "performing POST REDACTED"
"""obstore hides the address with the token."""
_IDENTITY = (_HIDDEN, "token request", "AssumeRoleWithWebIdentity", "WebIdentity", "Credential", "/oauth2/")


class UploadGoneError(StoreAwayError):
    """The store does not know the upload whose parts it shall put together."""


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


@dataclass(frozen=True)
class Failure:
    """An error of a provider, taken apart."""

    status: int | None
    code: str
    message: str
    debug: str
    """obstore's whole text: to look for marks, never to show."""

    def mentions(self, *marks: str) -> bool:
        """Whether one of these words is in it."""
        return any(mark in self.debug for mark in marks)


def read_failure(text: str) -> Failure:
    """Take obstore's text apart."""
    said = text.partition("Debug source:")[0]
    status, code = _STATUS.search(said), _CODE.search(said)
    message = _MESSAGE.search(said) or _JSON_MESSAGE.search(said)
    if status is None and (of_many := _OF_MANY.search(said)):
        return Failure(status=None, code=of_many[2], message=of_many[1].strip(), debug=text)
    return Failure(
        status=int(status[1]) if status else None,
        code=code[1] if code else "",
        message=message[1].strip() if message else "",
        debug=text,
    )


def error_of(failure: Failure, target: Target) -> StoreError:
    """The error that says what to do."""
    kind, reason = _meaning(failure, target)
    return kind(without(f"cannot {target.doing} {target.where}: {reason}", target.secrets))


def _meaning(failure: Failure, target: Target) -> tuple[type[StoreError], str]:
    """What kind of error it is, and why; the first that fits."""
    for look in (_of_credentials, _of_refusals, _of_places, _of_troubles, _of_connections):
        if found := look(failure, target):
            return found
    return StoreError, _said(failure) or cleaned(failure.debug.partition("\n")[0])[:300]


Meaning = tuple[type[StoreError], str] | None


def _of_credentials(failure: Failure, target: Target) -> Meaning:
    """There are none, or they are not in the form that they must have."""
    if failure.mentions(*_METADATA):
        return StoreDeniedError, f"no credentials; {_give_credentials(target)}"
    if failure.status is None and failure.mentions("MissingAccount"):
        return StoreDeniedError, "AZURE_STORAGE_ACCOUNT_NAME is not set; say it beside the credentials"
    if failure.status is None and failure.mentions(
        "InvalidAccessKey", "DecodeCredentials", "ReadPem", "UnsupportedKey"
    ):
        return StoreDeniedError, f"the credentials are damaged or cut; renew {_credentials(target)}"
    if failure.mentions(*_IDENTITY) and failure.status in (400, 401, 403):
        return StoreDeniedError, f"the platform refuses this identity{_because(failure)}; {_look_at_identity(target)}"
    return None


def _of_refusals(failure: Failure, target: Target) -> Meaning:
    """The store knows who asks, and says no; or it does not know."""
    if failure.code in _EXPIRED or failure.mentions("not valid in the specified time frame"):
        return StoreDeniedError, f"the credentials have expired; renew {_credentials(target)}"
    if failure.code in _CLOCK:
        return StoreDeniedError, "the clock of this machine is off by too much; set it"
    if failure.code in _UNKNOWN_KEY:
        return StoreDeniedError, f"the store does not know this access key; look at {_credentials(target)}"
    if failure.code in _WRONG_KEY:
        return StoreDeniedError, f"the secret key does not fit the access key; look at {_credentials(target)}"
    if failure.status == 401 or (failure.status == 403 and "nauthenticated" in failure.debug):
        return StoreDeniedError, f"the store does not take these credentials{_because(failure)}; {_renew(target)}"
    if failure.status == 403 or failure.code in ("AccessDenied", "AuthorizationPermissionMismatch"):
        return StoreDeniedError, f"permission denied{_because(failure)}; {permission(target)}"
    return None


def _of_places(failure: Failure, target: Target) -> Meaning:
    """The store is another one, or there is no such thing in it."""
    if failure.code in _REGIONS or failure.status in (301, 307) or failure.mentions("BareRedirect"):
        return StoreError, _wrong_region(failure)
    if failure.code in _NO_BUCKET or (failure.status == 404 and "bucket does not exist" in failure.debug):
        return StoreMissingError, f"there is no {_bucket_word(target)} {target.bucket}{_at(failure)}"
    if failure.code == "NoSuchUpload" or (failure.status == 404 and target.doing is Doing.WRITE):
        return UploadGoneError, "the store has lost what was sent of it; try again"
    if failure.status == 404:
        return StoreMissingError, "there is no such object"
    if failure.mentions("BadScheme"):
        return StoreError, "the endpoint must begin with https://, or with http:// where that is meant"
    return None


def _of_troubles(failure: Failure, _target: Target) -> Meaning:
    """The store cannot just now."""
    if failure.code in _FULL or failure.status == 507:
        return StoreFullError, f"no room left{_because(failure)}; free some, or raise the quota"
    if failure.code in _BUSY or failure.status in (429, 503):
        return StoreAwayError, f"the store asks to slow down{_because(failure)}"
    if failure.code in _AGAIN or failure.status in (408, 409) or (failure.status or 0) >= 500:
        return StoreAwayError, f"the store is in trouble{_because(failure)}"
    return None


def _of_connections(failure: Failure, target: Target) -> Meaning:
    """There was no answer, or half of one."""
    if failure.status is not None:
        return None
    if failure.mentions("InvalidCertificate", "UnknownIssuer", "CertificateError"):
        return StoreAwayError, f"{_host(failure, target)}'s certificate is not trusted; {_trust_it(target)}"
    if failure.mentions("InvalidContentType"):
        return StoreAwayError, f"{_host(failure, target)} does not speak TLS there; should the endpoint be http://?"
    if failure.mentions("dns error"):
        return StoreAwayError, f"{_host(failure, target)} is not known; look at the endpoint"
    if failure.mentions("kind: Timeout", "TimedOut"):
        return StoreAwayError, "the store did not answer in time"
    if failure.mentions("kind: Connect"):
        words = _OS_WORDS.search(failure.debug)
        return (
            StoreAwayError,
            f"{_host(failure, target)} is not to be reached: {words[1] if words else 'no connection'}",
        )
    if failure.mentions("HTTP error", "HttpError", "Interrupted"):
        return StoreAwayError, "the connection broke"
    return None


def _said(failure: Failure) -> str:
    """In the store's own words."""
    message = cleaned(" ".join(failure.message.split())).rstrip(".")[:200]
    if failure.code and message:
        return f"{failure.code}, {message}"
    return failure.code or message or (f"HTTP {failure.status}" if failure.status else "")


def _because(failure: Failure) -> str:
    said = _said(failure)
    return f" ({said})" if said else ""


def _wrong_region(failure: Failure) -> str:
    if found := _REGION.search(failure.debug):
        return f"the bucket is in the region {found[1] or found[2]}; set store.region"
    return "the bucket is in another region, or at another endpoint; set store.region or store.endpoint"


def _host(failure: Failure, target: Target) -> str:
    if failure.mentions(_HIDDEN):
        return "the service that gives credentials to the platform's identities"
    found = _TARGET.search(failure.debug)
    return found[1] if found else target.bucket


def _at(failure: Failure) -> str:
    found = _TARGET.search(failure.debug)
    return f" at {found[1]}" if found else ""


def _bucket_word(target: Target) -> str:
    return "container" if target.scheme == "az" else "bucket"


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


def _give_credentials(target: Target) -> str:
    return f"give {_KEYS[target.scheme]} (credentialsSecret, or your shell's), or the pods an identity of the platform"


def _credentials(target: Target) -> str:
    return _KEYS[target.scheme] if target.has_secret else "the identity of the platform"


def _renew(target: Target) -> str:
    return f"renew {_credentials(target)}"


def _look_at_identity(target: Target) -> str:
    return "look at the service account of the pods" if not target.has_secret else f"look at {_KEYS[target.scheme]}"


def _trust_it(_target: Target) -> str:
    return "give its authority's in store.caConfigMap, or in a file that SSL_CERT_FILE names"
