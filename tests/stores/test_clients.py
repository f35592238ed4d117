"""How object stores are reached: credentials from Secrets and variables, endpoints, path style, own authorities."""

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from builders import batch
from fault_proxy import Fault, FaultProxy, Handler, status
from llmbatch_contract.errors import LLMBatchError, StoreAwayError, StoreDeniedError, StoreError
from llmbatch_contract.storage import ObjectStore
from llmbatch_worker.stores.clients import Access, Client, TimeLimits
from llmbatch_worker.stores.credentials import of_environment, of_secret, settings_of
from llmbatch_worker.stores.opening import OpenStores, Troubles, local_stores
from s3_servers import ACCESS_KEY, QUICK, REGION, SECRET_KEY, Bucket
from stores.own_authority import serve_tls

pytest_plugins = ["s3_fixture"]

_KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
_ACCOUNT_KEY = json.dumps({"type": "service_account", "client_email": "a@b", "private_key": "x"})


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a developer's shell says stays out, and nobody asks a cloud's metadata server."""
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1/169.254.169.254")


# What is given


@pytest.mark.parametrize(
    ("scheme", "values", "settings"),
    [
        pytest.param("s3", {}, {}, id="nothing: the platform's"),
        pytest.param(
            "s3",
            {**_KEYS, "AWS_SESSION_TOKEN": "t"},
            {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY, "session_token": "t"},
            id="keys of AWS",
        ),
        pytest.param("s3", {"AWS_SKIP_SIGNATURE": "true"}, {"skip_signature": True}, id="public data"),
        pytest.param("gs", {"GOOGLE_SERVICE_ACCOUNT_KEY": _ACCOUNT_KEY}, {"service_account_key": _ACCOUNT_KEY}),
        pytest.param(
            "gs", {"GOOGLE_APPLICATION_CREDENTIALS_JSON": _ACCOUNT_KEY}, {"service_account_key": _ACCOUNT_KEY},
            id="gs, by its other name",
        ),
        pytest.param(
            "az",
            {"AZURE_STORAGE_ACCOUNT_NAME": "a", "AZURE_STORAGE_ACCOUNT_KEY": "k"},
            {"account_name": "a", "account_key": "k", "credential_type": "access_key"},
            id="an account's key",
        ),
        pytest.param(
            "az",
            {"AZURE_STORAGE_ACCOUNT_NAME": "a", "AZURE_STORAGE_SAS_TOKEN": "?sv=1"},
            {"account_name": "a", "sas_key": "sv=1", "credential_type": "sas_token"},
            id="a SAS",
        ),
        pytest.param(
            "az",
            {"AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s", "AZURE_TENANT_ID": "t"},
            {"client_id": "c", "client_secret": "s", "tenant_id": "t", "credential_type": "client_secret"},
            id="an application",
        ),
    ],
)  # fmt: skip
def test_values_are_what_the_provider_takes(scheme: str, values: Mapping[str, str], settings: dict[str, Any]) -> None:
    assert settings_of(scheme, values) == settings


@pytest.mark.parametrize(
    ("scheme", "values", "sentence"),
    [
        ("s3", {"AWS_ACCESS_KEY_ID": "k"}, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together"),
        ("gs", {"GOOGLE_SERVICE_ACCOUNT_KEY": "{"}, "is not the JSON key of a service account"),
        ("gs", {"GOOGLE_SERVICE_ACCOUNT_KEY": "[]"}, "is not the JSON key of a service account"),
        ("gs", {"GOOGLE_SERVICE_ACCOUNT_KEY": '{"type": "authorized_user"}'}, "is of the type authorized_user"),
        ("az", {"AZURE_CLIENT_SECRET": "s"}, "go together; give all three"),
    ],
)
def test_half_of_the_values_are_refused(scheme: str, values: Mapping[str, str], sentence: str) -> None:
    with pytest.raises(StoreDeniedError, match=sentence):
        settings_of(scheme, values)


def test_a_secret_is_read_anew_each_time(tmp_path: Path) -> None:
    read = of_secret("Secret aws", tmp_path)
    with pytest.raises(StoreDeniedError, match=r"^Secret aws is missing, or has none of the keys AWS_ACCESS_KEY_ID, "):
        read()
    (tmp_path / "AWS_ACCESS_KEY_ID").write_text("one\n")
    (tmp_path / "unrelated").write_text("x")
    assert read() == {"AWS_ACCESS_KEY_ID": "one"}
    (tmp_path / "AWS_ACCESS_KEY_ID").write_text("two")
    assert read() == {"AWS_ACCESS_KEY_ID": "two"}


def test_variables_are_read_anew_each_time() -> None:
    environment = {"AWS_ACCESS_KEY_ID": "one", "PATH": "/bin"}
    read = of_environment(environment)
    assert read() == {"AWS_ACCESS_KEY_ID": "one"}
    environment["AWS_ACCESS_KEY_ID"] = "two"
    assert read() == {"AWS_ACCESS_KEY_ID": "two"}


# The way to the store


class _Listener:
    """Notes the host and path that are asked for."""

    def __init__(self) -> None:
        asked = self.asked = list[tuple[str, str]]()

        class Heads(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                asked.append((self.headers["host"], self.path))
                self.send_response(200)
                self.send_header("Content-Length", "5")
                self.send_header("ETag", '"e"')
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Heads)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.mark.parametrize(
    ("path_style", "host", "path"),
    [(None, "localhost", "/bucket/key"), (True, "localhost", "/bucket/key"), (False, "bucket.localhost", "/key")],
)
def test_the_bucket_stands_where_the_manifest_says(path_style: bool | None, host: str, path: str) -> None:
    listener = _Listener()
    port = listener.server.server_port
    store = ObjectStore.model_validate({"endpoint": f"http://localhost:{port}", "pathStyle": path_style})
    stores = OpenStores(Access(store, lambda: _KEYS), Access(), Troubles(brief_s=0), QUICK)
    try:
        found, name = stores.open_input("s3://bucket/key")
        assert found.info(name).size == 5
    except StoreAwayError as error:  # not every resolver knows names below localhost
        assert f"{host}:{port} is not known" in str(error)
        return
    finally:
        listener.server.shutdown()
        listener.server.server_close()
    assert listener.asked == [(f"{host}:{port}", path)]


def test_an_endpoint_in_the_environment_is_used(moto_s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in moto_s3.environment.items():
        monkeypatch.setenv(name, value)
    moto_s3.put("a.csv", b"hello")
    stores = local_stores(batch(input={"uri": moto_s3.uri("a.csv"), "credentialsSecret": {"name": "not-here"}}))
    found, name = stores.open_input(moto_s3.uri("a.csv"))
    assert b"".join(found.blocks(name, 0, 5)) == b"hello"


def test_an_endpoint_in_the_environment_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")
    store, name = OpenStores(Access(), Access()).open_input("s3://bucket/a")
    with pytest.raises(StoreError, match=r"^AWS_ENDPOINT_URL: must start with http:// or https://"):
        store.info(name)


def test_input_and_output_have_credentials_of_their_own(
    moto_s3: Bucket, fault_proxy: Callable[[Bucket], FaultProxy]
) -> None:
    moto_s3.put("a.csv", b"hello")
    readers, writers = fault_proxy(moto_s3), fault_proxy(moto_s3)
    readers.keys, writers.keys = {"READERKEYID"}, {"WRITERKEYID"}
    stores = OpenStores(_access(readers, "READERKEYID"), _access(writers, "WRITERKEYID"), limits=QUICK)
    stores.open(moto_s3.uri("out")).put("b", b"1")
    found, name = stores.open_input(moto_s3.uri("a.csv"))
    assert found.info(name).size == 5
    assert (readers.count("PUT"), writers.count("HEAD")) == (0, 0)


def _access(proxy: FaultProxy, key: str) -> Access:
    store = ObjectStore.model_validate(proxy.bucket.settings)
    return Access(store, lambda: {**_KEYS, "AWS_ACCESS_KEY_ID": key})


def test_a_token_left_in_the_environment_does_not_get_into_a_secret_s_keys(
    versitygw: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-somebody-else")
    versitygw.store().put("a", b"1")
    assert versitygw.get("a") == b"1"


def test_a_wrong_secret_key_is_told_by_a_server_that_checks(versitygw: Bucket) -> None:
    versitygw.keys["AWS_SECRET_ACCESS_KEY"] = "another-secret-key"
    with pytest.raises(StoreDeniedError, match="the secret key does not fit the access key") as caught:
        versitygw.store().info("a")
    assert "another-secret-key" not in str(caught.value)


def test_an_unknown_key_is_told_by_a_server_that_calls_it_missing(versitygw: Bucket) -> None:
    versitygw.keys["AWS_ACCESS_KEY_ID"] = "SOMEBODYELSE"
    store = versitygw.store()
    for operation in (lambda: store.put("a", b"1"), lambda: store.read("a"), lambda: store.names("")):
        with pytest.raises(StoreDeniedError, match="the store does not know this access key"):
            operation()


def test_another_region_is_told_with_its_name(versitygw: Bucket) -> None:
    elsewhere = ObjectStore.model_validate({**versitygw.settings, "region": "eu-west-1"})
    with pytest.raises(StoreError, match=f"the bucket is in the region {REGION}; set store.region"):
        _output(Access(elsewhere, lambda: _KEYS)).open(versitygw.uri()).put("a", b"1")


def test_a_proxy_is_taken_from_the_environment_except_where_it_says_not(
    moto_s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    access = Access(ObjectStore.model_validate(moto_s3.settings), lambda: _KEYS)
    with pytest.raises(StoreAwayError, match="is not to be reached"):
        _output(access).open(moto_s3.uri()).put("a", b"1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    _output(access).open(moto_s3.uri()).put("a", b"1")
    assert moto_s3.get("a") == b"1"


def test_without_credentials_it_says_which_to_give() -> None:
    store = ObjectStore.model_validate({"endpoint": "http://127.0.0.1:1"})
    stores = OpenStores(Access(), Access(store), Troubles(brief_s=0), QUICK)
    with pytest.raises(StoreDeniedError, match="no credentials; give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        stores.open("s3://bucket/out").put("a", b"1")


def test_an_own_authority_is_trusted_where_it_is_given(
    moto_s3: Bucket, fault_proxy: Callable[[Bucket], FaultProxy], tmp_path: Path
) -> None:
    proxy = fault_proxy(moto_s3)
    ca = serve_tls(proxy.server, tmp_path)
    store = ObjectStore.model_validate({"endpoint": proxy.url.replace("http://127.0.0.1", "https://localhost")})
    uri = moto_s3.uri("out")
    with pytest.raises(StoreAwayError, match=r"certificate is not trusted; .* store\.caConfigMap"):
        _output(Access(store, lambda: _KEYS)).open(uri).put("a", b"1")
    _output(Access(store, lambda: _KEYS, ca)).open(uri).put("a", b"1")
    assert moto_s3.get("out/a") == b"1"
    by_number = ObjectStore(endpoint=proxy.url.replace("http://", "https://"))
    with pytest.raises(StoreAwayError, match="certificate is for another name; look at the endpoint"):
        _output(Access(by_number, lambda: _KEYS, ca)).open(uri).put("a", b"1")
    ca.write_text("no certificate")
    with pytest.raises(StoreError, match="holds no PEM certificate"):
        _output(Access(store, lambda: _KEYS, ca)).open(uri).put("a", b"1")


def _output(access: Access) -> OpenStores:
    return OpenStores(Access(), access, Troubles(brief_s=0), QUICK)


def test_the_role_of_a_service_account_is_used_where_no_keys_are(
    moto_s3: Bucket,
    fault_proxy: Callable[[Bucket], FaultProxy],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """As on EKS: a token in a file, which the identity service takes for keys. It is asked by https only."""
    proxy = fault_proxy(moto_s3)
    ca = serve_tls(proxy.server, tmp_path)
    url = proxy.url.replace("http://127.0.0.1", "https://localhost")
    (tmp_path / "token").write_text("a-projected-token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/batches")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
    proxy.add(_identity_service(moto_s3.url), method="POST", query="AssumeRoleWithWebIdentity")
    access = Access(ObjectStore.model_validate({"endpoint": url}), ca_file=ca)
    _output(access).open(moto_s3.uri()).put("a", b"1")
    assert moto_s3.get("a") == b"1"
    proxy.clear()
    proxy.add(status(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"), method="POST")
    with pytest.raises(StoreDeniedError, match="look at the service account of the pods"):
        _output(access).open(moto_s3.uri()).put("a", b"2")


def _identity_service(moto_url: str) -> Fault:
    """moto's, which takes its parameters in the body only, while obstore writes them into the URL."""

    def ask(handler: Handler) -> None:
        with urllib.request.urlopen(moto_url, handler.path.partition("?")[2].encode(), timeout=10) as answer:
            handler.answer(answer.status, answer.headers.items(), answer.read())

    return ask


# Nothing is said


def test_neither_errors_nor_reprs_show_credentials() -> None:
    access = Access(ObjectStore.model_validate({"endpoint": "http://127.0.0.1:1"}), lambda: _KEYS)
    client = Client("s3", "bucket", access, TimeLimits())
    stores = OpenStores(access, access, Troubles(brief_s=0), QUICK)
    with pytest.raises(LLMBatchError) as caught:
        stores.open("s3://bucket/out").read("a")
    chain = [caught.value, caught.value.__cause__]
    assert not any(secret in repr(each) for secret in _KEYS.values() for each in (*chain, access, client, stores))


def test_a_worker_leaves_no_core_file() -> None:
    code = (
        "import resource, sys; sys.argv = ['llmbatch-worker', 'plan', '--config', '/nothing']\n"
        "from llmbatch_worker.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.endswith("0\n"), done.stderr
