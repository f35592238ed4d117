"""Google Cloud Storage and Azure Blob Storage, as far as their API can be played here: the same promises as S3's."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from llmbatch_contract.errors import InputChangedError, StoreDeniedError, StoreMissingError
from llmbatch_contract.storage import ObjectStore
from llmbatch_worker.stores.clients import Access
from llmbatch_worker.stores.opening import OpenStores, Troubles
from llmbatch_worker.stores.protocol import Store
from s3_servers import QUICK
from stores.other_clouds import OtherCloud, azure, google

_ACCOUNT = {
    "type": "service_account",
    "disable_oauth": True,
    "private_key_id": "1",
    "client_email": "a@b",
    "private_key": "x",
}
_NUMBER = "\nRequestId:eba796eb-c263-4def-afb2-d5197fb5cca0\nTime:2026-11-22T21:54:28.171Z"
_NOT_AUTHENTICATED = f"Server failed to authenticate the request. Make sure it is formed correctly.{_NUMBER}"
_ACCOUNT_KEY = base64.b64encode(b"an account's key").decode()


@dataclass
class Cloud:
    """A server and the way to it."""

    scheme: str
    server: OtherCloud
    stores: OpenStores

    @property
    def store(self) -> Store:
        return self.stores.open(self.uri("out"))

    def uri(self, key: str) -> str:
        return f"{self.scheme}://bucket/{key}"


@pytest.fixture(params=["gs", "az"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    is_google = request.param == "gs"
    with google("bucket") if is_google else azure("bucket", "acc") as server:
        values = (
            {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(_ACCOUNT)}
            if is_google
            else {"AZURE_STORAGE_ACCOUNT_NAME": "acc", "AZURE_STORAGE_ACCOUNT_KEY": _ACCOUNT_KEY}
        )
        access = Access(ObjectStore.model_validate({"endpoint": server.url}), lambda: values)
        yield Cloud(request.param, server, OpenStores(access, access, Troubles(brief_s=2), QUICK))


def test_objects_are_written_read_listed_and_removed(cloud: Cloud) -> None:
    store = cloud.store
    store.put("a", b"one")
    store.put("b c+é%20.jsonl", b"two")
    store.put("a", b"three")
    assert (store.read("a"), store.info("a").size, store.exists("a"), store.exists("z")) == (b"three", 5, True, False)
    assert store.names("") == ["a", "b c+é%20.jsonl"]
    store.remove(["a", "not-there", "b c+é%20.jsonl"])
    assert store.names("") == []


def test_only_the_first_creates_an_object(cloud: Cloud) -> None:
    assert cloud.store.create("claim", b"mine")
    assert not cloud.store.create("claim", b"mine")
    assert not cloud.store.create("claim", b"yours")
    assert cloud.store.read("claim") == b"mine"


def test_ranges_of_a_version_are_read(cloud: Cloud) -> None:
    cloud.store.put("data", b"hello")
    etag = cloud.store.info("data").etag
    assert etag is not None
    assert b"".join(cloud.store.blocks("data", 1, 4, etag)) == b"ell"
    with pytest.raises(InputChangedError, match="has become shorter"):
        list(cloud.store.blocks("data", 7, 9, etag))
    cloud.store.put("data", b"jello")
    with pytest.raises(InputChangedError, match="has changed"):
        list(cloud.store.blocks("data", 1, 4, etag))


def test_a_large_object_is_written_in_parts_and_appears_when_it_is_whole(cloud: Cloud) -> None:
    data = bytes(range(256)) * (80 << 10)
    with cloud.store.writer("results.jsonl") as write:
        write(data)
        assert cloud.server.objects == {}
    assert cloud.server.objects == {"out/results.jsonl": data}
    with pytest.raises(RuntimeError), cloud.store.writer("results.jsonl") as write:
        write(b"x" * len(data))
        raise RuntimeError
    assert cloud.server.objects == {"out/results.jsonl": data}


def test_patterns_stand_for_objects(cloud: Cloud) -> None:
    for name in ("2026/b.csv", "2026/a.csv", "2026/_x.csv", "2025/c.csv"):
        cloud.server.objects[name] = b"x"
    assert [each.uri for each in cloud.stores.find_inputs(cloud.uri("20*/*.csv"))] == [
        cloud.uri("2025/c.csv"),
        cloud.uri("2026/a.csv"),
        cloud.uri("2026/b.csv"),
    ]


def test_the_version_of_a_listed_object_is_the_one_that_is_read(cloud: Cloud) -> None:
    """Azure lists ETags without the quotation marks that it puts around them elsewhere."""
    cloud.server.objects["in/a.csv"] = b"hello"
    (found,) = cloud.stores.find_inputs(cloud.uri("in/*.csv"))
    store, name = cloud.stores.open_input(found.uri)
    assert b"".join(store.blocks(name, 0, 5, found.info.etag)) == b"hello"
    cloud.server.objects["in/a.csv"] = b"jello"
    with pytest.raises(InputChangedError, match="has changed"):
        list(store.blocks(name, 0, 5, found.info.etag))


def test_what_is_missing_is_named(cloud: Cloud) -> None:
    with pytest.raises(StoreMissingError, match="out/a: there is no such object"):
        cloud.store.info("a")
    word = "bucket" if cloud.scheme == "gs" else "container"
    for operation in (
        lambda: cloud.stores.open(f"{cloud.scheme}://another/out").put("a", b"1"),
        lambda: cloud.stores.open(f"{cloud.scheme}://another/out").info("a"),
        lambda: cloud.stores.open(f"{cloud.scheme}://another/out").names(""),
    ):
        with pytest.raises(StoreMissingError, match=f"there is no {word} another"):
            operation()


def test_a_refusal_names_the_permission(cloud: Cloud) -> None:
    cloud.server.refuse = (403, "AccessDenied", "Access denied.")
    expected = "storage.objects.create" if cloud.scheme == "gs" else "Storage Blob Data Contributor"
    with pytest.raises(StoreDeniedError, match=expected):
        cloud.store.put("a", b"1")
    expected = "storage.objects.get" if cloud.scheme == "gs" else "Storage Blob Data Reader"
    with pytest.raises(StoreDeniedError, match=expected):
        cloud.store.info("a")


def test_a_refused_removal_among_several_names_the_permission() -> None:
    """Azure answers each of them inside an answer that is good."""
    with azure("bucket", "acc") as server:
        server.objects["out/a"] = b"1"
        server.keeps_all = True
        with pytest.raises(StoreDeniedError, match=r"permission denied \(This request .*Storage Blob Data Contributor"):
            _with_token(server).open("az://bucket/out").remove(["a"])


def test_a_refused_removal_with_a_token_blames_the_token_not_the_platform() -> None:
    with azure("bucket", "acc") as server:
        server.refuse = (403, "AuthenticationFailed", _NOT_AUTHENTICATED)
        with pytest.raises(StoreDeniedError, match="the SAS token is wrong or has expired; look at AZURE_STORAGE_AC"):
            _with_token(server).open("az://bucket/out").remove(["a"])


def test_a_wrong_key_of_an_account_is_told_whatever_the_code_and_without_the_number_of_the_request() -> None:
    with azure("bucket", "acc") as server:
        server.refuse = (403, "AuthorizationFailure", _NOT_AUTHENTICATED)
        with pytest.raises(StoreDeniedError, match="the key does not fit the account") as caught:
            _with_token(server).open("az://bucket/out").names("")
        server.refuse = (403, "AuthorizationPermissionMismatch", f"Not allowed.{_NUMBER}")
        with pytest.raises(StoreDeniedError, match=r"\(AuthorizationPermissionMismatch, Not allowed\)") as caught:
            _with_token(server).open("az://bucket/out").names("")
    assert "RequestId" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "values"),
    [
        ("az://bucket/out", {"AZURE_STORAGE_ACCOUNT_NAME": "acc", "AZURE_STORAGE_ACCOUNT_KEY": "not base64 !"}),
        ("gs://bucket/out", {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps({**_ACCOUNT, "disable_oauth": False})}),
        ("gs://bucket/out", {"GOOGLE_SERVICE_ACCOUNT_KEY": '{"type": "service_account"}'}),
    ],
)
def test_a_damaged_key_is_an_error_with_words(uri: str, values: dict[str, str]) -> None:
    access = Access(ObjectStore(endpoint="http://127.0.0.1:1"), lambda: values)
    store = OpenStores(access, access, Troubles(brief_s=0), QUICK).open(uri)
    with pytest.raises(StoreDeniedError, match="the credentials are damaged or cut; renew"):
        store.read("a")
    with pytest.raises(StoreDeniedError, match="the credentials are damaged or cut; renew"), store.writer("a") as write:
        write(b"1")


def test_the_signature_of_a_link_is_in_no_message() -> None:
    """Azure's are part of the address, so obstore writes them into every error."""
    with azure("bucket", "acc") as server:
        server.refuse = (403, "AuthenticationFailed", "Signature did not match.")
        with pytest.raises(StoreDeniedError) as caught:
            _with_token(server).open("az://bucket/out").put("a", b"1")
        assert server.asked[0].query["sig"] == "c2VjcmV0c2VjcmV0"
    assert "c2VjcmV0" not in str(caught.value)
    assert "look at AZURE_STORAGE_ACCOUNT_NAME" in str(caught.value)


def _with_token(server: OtherCloud) -> OpenStores:
    values = {"AZURE_STORAGE_ACCOUNT_NAME": "acc", "AZURE_STORAGE_SAS_TOKEN": "?sv=2026&sig=c2VjcmV0c2VjcmV0"}
    access = Access(ObjectStore.model_validate({"endpoint": server.url}), lambda: values)
    return OpenStores(access, access, Troubles(brief_s=0), QUICK)
