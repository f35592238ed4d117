"""What a provider's error becomes: its kind, what to do, and no credential in it."""

import pytest

from llmbatch_contract.errors import StoreAwayError, StoreDeniedError, StoreError, StoreFullError, StoreMissingError
from llmbatch_worker.stores.cloud_words import error_of
from llmbatch_worker.stores.failures import read_failure
from llmbatch_worker.stores.remedies import Doing, Target
from llmbatch_worker.stores.unsaid import cleaned, without


def _answer(status: int, code: str, message: str, more: str = "") -> str:
    """As obstore tells of an error answer."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    said = (
        f"Error performing GET https://host/bucket/key in 2ms - Server returned non-2xx status code: {status} X: {body}"
    )
    return f"Generic S3 error: {said}\n\nDebug source:\nGeneric {{ status: {status}, body: {body!r} }}"


def _broken(debug: str) -> str:
    """As obstore tells of a connection."""
    said = (
        "Generic S3 error: Error performing GET https://host:9000/bucket/key in 2ms - HTTP error: error sending request"
    )
    return f"{said}\n\nDebug source:\nHttp(HttpError {{ {debug} }})"


def said(text: str, *, scheme: str = "s3", doing: Doing = Doing.READ, has_secret: bool = True) -> StoreError:
    secrets = ("the-very-secret-key",) if has_secret else ()
    return error_of(read_failure(text), Target(scheme, "bucket", f"{scheme}://bucket/key", doing, has_secret, secrets))


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        pytest.param(
            _answer(404, "NoSuchKey", "The specified key does not exist."),
            StoreMissingError,
            "cannot read s3://bucket/key: there is no such object",
            id="no object",
        ),
        pytest.param(
            _answer(404, "NoSuchBucket", "The specified bucket does not exist"),
            StoreMissingError,
            "cannot read s3://bucket/key: there is no bucket bucket at host",
            id="no bucket",
        ),
        pytest.param(
            _answer(403, "AccessDenied", "User: arn:aws:iam::1:user/a is not authorized to perform: s3:GetObject"),
            StoreDeniedError,
            "cannot read s3://bucket/key: permission denied (AccessDenied, User: arn:aws:iam::1:user/a is not "
            "authorized to perform: s3:GetObject); give these credentials s3:GetObject on it, and s3:ListBucket "
            "(without that a missing object looks so, too)",
            id="denied",
        ),
        pytest.param(
            _answer(400, "ExpiredToken", "The provided token has expired."),
            StoreDeniedError,
            "cannot read s3://bucket/key: the credentials have expired; renew AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY",
            id="expired",
        ),
        pytest.param(
            _answer(503, "SlowDown", "Please reduce your request rate."),
            StoreAwayError,
            "cannot read s3://bucket/key: the store asks to slow down (SlowDown, Please reduce your request rate)",
            id="slow down",
        ),
        pytest.param(
            _answer(400, "RequestTimeout", "Your socket connection was not read from."),
            StoreAwayError,
            "cannot read s3://bucket/key: the store is in trouble (RequestTimeout, Your socket connection was not read "
            "from)",
            id="too slow",
        ),
        pytest.param(
            _answer(507, "", ""), StoreFullError, "cannot read s3://bucket/key: no room left (HTTP 507); free some, or "
            "raise the quota", id="full",
        ),
        pytest.param(
            _answer(400, "InvalidArgument", "x y"),
            StoreError,
            "cannot read s3://bucket/key: InvalidArgument, x y",
            id="something else",
        ),
        pytest.param(
            _broken('Connect, ConnectError("tcp connect error", Os { message: "Connection refused" }) kind: Connect'),
            StoreAwayError,
            "cannot read s3://bucket/key: host:9000 is not to be reached: Connection refused",
            id="refused",
        ),
        pytest.param(
            _broken('kind: Connect, "dns error", error: "failed to lookup address information"'),
            StoreAwayError,
            "cannot read s3://bucket/key: host:9000 is not known; look at the endpoint",
            id="no such host",
        ),
        pytest.param(
            _broken("kind: Connect, InvalidCertificate(UnknownIssuer)"),
            StoreAwayError,
            "cannot read s3://bucket/key: host:9000's certificate is not trusted; give its authority's in "
            "store.caConfigMap, or in a file that SSL_CERT_FILE names",
            id="certificate",
        ),
        pytest.param(
            _broken("kind: Connect, InvalidCertificate(Expired)"),
            StoreAwayError,
            "cannot read s3://bucket/key: host:9000's certificate has expired, or the clock of this machine is wrong",
            id="an expired certificate",
        ),
        pytest.param(
            "Generic S3 error: DeleteObjects request failed for key a/b: Access Denied. (code: AccessDenied)",
            StoreDeniedError,
            "cannot read s3://bucket/key: permission denied (AccessDenied, Access Denied); give these credentials "
            "s3:GetObject on it, and s3:ListBucket (without that a missing object looks so, too)",
            id="one of many",
        ),
        pytest.param(
            _broken("kind: Timeout"), StoreAwayError, "cannot read s3://bucket/key: the store did not answer in time",
            id="timeout",
        ),
    ],
)  # fmt: skip
def test_an_error_says_what_to_do(text: str, kind: type[StoreError], sentence: str) -> None:
    error = said(text)
    assert (type(error), str(error)) == (kind, sentence)


@pytest.mark.parametrize(
    ("scheme", "doing", "permission"),
    [
        ("s3", Doing.WRITE, "s3:PutObject"),
        ("s3", Doing.LIST, "s3:ListBucket"),
        ("s3", Doing.REMOVE, "s3:DeleteObject"),
        ("gs", Doing.READ, "storage.objects.get"),
        ("gs", Doing.WRITE, "storage.objects.create"),
        ("gs", Doing.LIST, "storage.objects.list"),
        ("az", Doing.READ, "Storage Blob Data Reader"),
        ("az", Doing.WRITE, "Storage Blob Data Contributor"),
    ],
)
def test_a_refusal_names_the_permission_of_the_provider(scheme: str, doing: Doing, permission: str) -> None:
    assert permission in str(said(_answer(403, "AccessDenied", "Access denied."), scheme=scheme, doing=doing))


@pytest.mark.parametrize(
    ("scheme", "text", "sentence"),
    [
        pytest.param(
            "az",
            _answer(403, "AuthenticationFailed", "Server failed", "<AuthenticationErrorDetail>Signature not valid in "
                    "the specified time frame</AuthenticationErrorDetail>"),
            "the credentials have expired; renew AZURE_STORAGE_ACCOUNT_NAME",
            id="an old SAS",
        ),
        pytest.param("az", _answer(404, "ContainerNotFound", "x"), "there is no container bucket", id="no container"),
        pytest.param(
            "az", "Generic MicrosoftAzure error: Account must be specified\n\nDebug source:\nMissingAccount",
            "AZURE_STORAGE_ACCOUNT_NAME is not set", id="no account",
        ),
        pytest.param(
            "gs", "Generic GCS error: GCP credential error: Unable to decode\n\nDebug source:\nDecodeCredentials",
            "the credentials are damaged or cut; renew GOOGLE_SERVICE_ACCOUNT_KEY", id="half a key",
        ),
    ],
)  # fmt: skip
def test_each_provider_has_its_own_words(scheme: str, text: str, sentence: str) -> None:
    assert sentence in str(said(text, scheme=scheme))


def test_without_any_credentials_it_says_which_to_give() -> None:
    text = "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 1s - HTTP error"
    error = said(text, has_secret=False)
    assert isinstance(error, StoreDeniedError)
    assert str(error) == (
        "cannot read s3://bucket/key: no credentials; give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
        "(credentialsSecret, or your shell's), or the pods an identity of the platform"
    )


# What must not be said

_SECRETS = [
    pytest.param("AccountName=a;AccountKey=Zm9vYmFy==;x", "Zm9vYmFy", id="a key of a connection string"),
    pytest.param('{"access_token":"abc.def"}', "abc.def", id="a token in JSON"),
    pytest.param("SharedKey account:Zm9vYmFy= is not right", "Zm9vYmFy", id="a signature by a shared key"),
    pytest.param("the token ya29.A0ARrdaM-abc has ended", "A0ARrdaM", id="a token of Google"),
    pytest.param("see https://a.blob.core.windows.net/c/b?sv=2026&sig=Zm9vYmFy%3D now", "Zm9vYmFy", id="a SAS"),
    pytest.param("AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE", id="a key id"),
    pytest.param("The key AKIAIOSFODNN7EXAMPLE is not known", "AKIAIOSFODNN7EXAMPLE", id="a key id in a sentence"),
    pytest.param("X-Amz-Signature=0123abcd, X-Amz-Security-Token: FwoGZX", "FwoGZX", id="a security token"),
    pytest.param("Authorization: Bearer ya29.a0AfH6SMB-x", "ya29", id="a bearer token"),
    pytest.param("token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.abc_-d", "eyJhbGciOi", id="a web token"),
    pytest.param("key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY12 is wrong", "K7MDENG", id="a secret key"),
    pytest.param("-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----", "MIIEvQ", id="a private key"),
    pytest.param("client_secret=abc~def", "abc~def", id="a client secret"),
]


@pytest.mark.parametrize(("text", "secret"), _SECRETS)
def test_what_looks_like_a_credential_is_taken_out_of_a_provider_s_words(text: str, secret: str) -> None:
    assert secret not in cleaned(text)
    assert secret not in str(said(_answer(400, "SomethingElse", text)))


@pytest.mark.parametrize(
    "text",
    [
        "The specified key does not exist",
        "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: s3:GetObject",
        "alice@project.iam.gserviceaccount.com does not have storage.objects.get access",
        "Connection refused (os error 111)",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert cleaned(text) == text


def test_the_credentials_themselves_are_never_said() -> None:
    assert "the-very-secret-key" not in str(said(_answer(400, "SomethingElse", "the-very-secret-key is wrong")))
    assert without("a short key", ["key"]) == "a short key"
