"""What a provider's error means, in a sentence without credentials. Pure; used by cloud.py."""

from llmbatch_contract.errors import StoreAwayError, StoreDeniedError, StoreError, StoreFullError, StoreMissingError
from llmbatch_worker.stores.failures import Failure
from llmbatch_worker.stores.remedies import (
    Doing,
    Target,
    credentials,
    give_credentials,
    look_at_identity,
    permission,
    renew,
    trust_it,
)
from llmbatch_worker.stores.unsaid import cleaned, without

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "RequestExpired"}
_UNKNOWN_KEY = {"InvalidAccessKeyId", "InvalidClientTokenId", "NotSignedUp", "XAdminUserNotFound"}
_WRONG_KEY = {"SignatureDoesNotMatch", "AuthenticationFailed", "InvalidAuthenticationInfo"}
_NOT_AUTHENTICATED = "failed to authenticate the request"
"""Azure's words; of its codes there are several for that."""
_CLOCK = {"RequestTimeTooSkewed"}
_REGIONS = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "Redirect"}
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled"}
_FULL = {"QuotaExceeded", "EntityStorageFull", "XMinioStorageFull", "XAdminBucketQuotaExceeded", "InsufficientStorage"}
_BUSY = {"SlowDown", "ServerBusy", "TooManyRequests", "RequestLimitExceeded", "Throttling", "ThrottlingException"}
_AGAIN = {"RequestTimeout", "ConditionalRequestConflict", "OperationAborted", "OperationTimedOut", "InternalError"}
_METADATA = ("169.254.169.254", "169.254.170.2", "metadata.google.internal", "metadata:80")
_HIDDEN = "performing POST REDACTED"
"""obstore hides addresses that hold a secret: of tokens, and of all that a SAS signs."""
_BULK = "BulkDelete"
"""Azure's only POST."""
_IDENTITY = (_HIDDEN, "token request", "AssumeRoleWithWebIdentity", "WebIdentity", "Credential", "/oauth2/")


class UploadGoneError(StoreAwayError):
    """The store does not know the upload whose parts it shall put together."""


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
        return StoreDeniedError, f"no credentials; {give_credentials(target)}"
    if failure.status is None and failure.mentions("MissingAccount"):
        return StoreDeniedError, "AZURE_STORAGE_ACCOUNT_NAME is not set; say it beside the credentials"
    if failure.status is None and failure.mentions(
        "InvalidAccessKey", "DecodeCredentials", "ReadPem", "UnsupportedKey"
    ):
        return StoreDeniedError, f"the credentials are damaged or cut; renew {credentials(target)}"
    if failure.mentions(*_IDENTITY) and not failure.mentions(_BULK) and failure.status in (400, 401, 403):
        return StoreDeniedError, f"the platform refuses this identity{_because(failure)}; {look_at_identity(target)}"
    return None


def _of_refusals(failure: Failure, target: Target) -> Meaning:
    """The store knows who asks, and says no; or it does not know."""
    if failure.code in _EXPIRED or failure.mentions("not valid in the specified time frame"):
        return StoreDeniedError, f"the credentials have expired; renew {credentials(target)}"
    if failure.code in _CLOCK:
        return StoreDeniedError, "the clock of this machine is off by too much; set it"
    if failure.code in _UNKNOWN_KEY:
        return StoreDeniedError, f"the store does not know this access key; look at {credentials(target)}"
    if failure.code in _WRONG_KEY or _NOT_AUTHENTICATED in failure.message:
        return StoreDeniedError, f"{_wrong_key(target)}; look at {credentials(target)}"
    if failure.status == 401 or (failure.status == 403 and "nauthenticated" in failure.debug):
        return StoreDeniedError, f"the store does not take these credentials{_because(failure)}; {renew(target)}"
    if failure.status == 403 or failure.code in ("AccessDenied", "AuthorizationPermissionMismatch"):
        return StoreDeniedError, f"permission denied{_because(failure)}; {permission(target)}"
    return None


def _wrong_key(target: Target) -> str:
    if target.scheme == "az":
        return "the key does not fit the account, or the SAS token is wrong or has expired"
    return "the secret key does not fit the access key"


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


def _of_connections(failure: Failure, _target: Target) -> Meaning:
    """There was no answer, or half of one."""
    if failure.status is not None:
        return None
    if failure.mentions("InvalidCertificate", "UnknownIssuer", "CertificateError"):
        return StoreAwayError, f"{_host(failure)}'s certificate {_fault_of_certificate(failure)}"
    if failure.mentions("InvalidContentType"):
        return StoreAwayError, f"{_host(failure)} does not speak TLS there; should the endpoint be http://?"
    if failure.mentions("dns error"):
        return StoreAwayError, f"{_host(failure)} is not known; look at the endpoint"
    if failure.mentions("kind: Timeout", "TimedOut"):
        return StoreAwayError, "the store did not answer in time"
    if failure.mentions("kind: Connect"):
        return StoreAwayError, f"{_host(failure)} is not to be reached: {failure.system_words or 'no connection'}"
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


def _fault_of_certificate(failure: Failure) -> str:
    if failure.mentions("Expired"):
        return "has expired, or the clock of this machine is wrong"
    if failure.mentions("NotValidForName"):
        return "is for another name; look at the endpoint"
    return f"is not trusted; {trust_it()}"


def _wrong_region(failure: Failure) -> str:
    if failure.region:
        return f"the bucket is in the region {failure.region}; set store.region"
    return "the bucket is in another region, or at another endpoint; set store.region or store.endpoint"


def _host(failure: Failure) -> str:
    if failure.mentions(_HIDDEN) and not failure.mentions(_BULK):
        return "the service that gives credentials to the platform's identities"
    return failure.host or "the store"


def _at(failure: Failure) -> str:
    return f" at {failure.host}" if failure.host else ""


def _bucket_word(target: Target) -> str:
    return "container" if target.scheme == "az" else "bucket"
