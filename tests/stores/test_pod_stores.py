"""Stores as a pod has them: volumes, Secrets and certificates in folders named after their use."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from builders import batch
from fault_proxy import FaultProxy
from llmbatch_contract.errors import InputError, StoreAwayError, StoreDeniedError, StoreMissingError
from llmbatch_contract.job import Job
from llmbatch_contract.pods import OUTPUT_URI, WORK_URI, DeadLettersPlace, PodConfig, Stage
from llmbatch_contract.storage import ObjectStore
from llmbatch_contract.trace import trace_of
from llmbatch_worker.channel import Channel
from llmbatch_worker.pods.places import PodStores
from llmbatch_worker.pods.setting import read_setting
from llmbatch_worker.stores.uris import DEAD_LETTERS
from s3_servers import SECRET_KEY, Bucket
from worker.object_server import TOKEN, ObjectServer

pytest_plugins = ["s3_fixture"]

MakeStores = Callable[..., PodStores]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeStores]:
    """Makes the stores of a pod; keywords are those of the manifest, and `letters`."""
    with ObjectServer() as server:
        (tmp_path / "token").write_text(TOKEN)
        channel = Channel(server.url, "", tmp_path / "token")

        def made(letters: DeadLettersPlace | None = None, **fields: Any) -> PodStores:
            job = Job(batch=batch(**fields), store_uri=WORK_URI, output_uri=OUTPUT_URI)
            config = PodConfig(
                uid="uid", job=job, trace=trace_of("uid"), workers=1, coordinator_url=server.url, coordinator_ca="",
                dead_letters=letters,
            )  # fmt: skip
            folders = {f"_LLMBATCH_{name}": str(tmp_path / name.lower()) for name in ("VOLUMES", "CREDENTIALS", "CA")}
            return PodStores(channel, config, read_setting(Stage.PLAN, tmp_path / "config", None, folders))

        yield made
        channel.close()


def _mount_secret(tmp_path: Path, use: str, key: str) -> None:
    folder = tmp_path / "credentials" / use
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "AWS_ACCESS_KEY_ID").write_text(key)
    (folder / "AWS_SECRET_ACCESS_KEY").write_text(SECRET_KEY)


def _volume(tmp_path: Path, use: str) -> Path:
    folder = tmp_path / "volumes" / use
    folder.mkdir(parents=True)
    return folder


def test_the_input_s_volume_is_another_one_than_the_output_s(make: MakeStores, tmp_path: Path) -> None:
    (_volume(tmp_path, "input") / "tickets").mkdir()
    (tmp_path / "volumes" / "input" / "tickets" / "a.csv").write_bytes(b"hello")
    _volume(tmp_path, "output")
    stores = make()
    (found,) = stores.find_inputs("pvc:/data/./tickets/*.csv")
    assert (found.uri, found.info.size) == ("pvc:/data/tickets/a.csv", 5)
    store, name = stores.open_input(found.uri)
    assert b"".join(store.blocks(name, 0, 5, found.info.etag)) == b"hello"
    output = stores.open("pvc:/results/2026")
    output.put("summary.json", b"{}")
    assert (tmp_path / "volumes" / "output" / "2026" / "summary.json").read_bytes() == b"{}"
    assert output.where("summary.json") == "PersistentVolumeClaim results, path 2026/summary.json"


def test_a_volume_that_is_missing_is_named(make: MakeStores, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^PersistentVolumeClaim data is not mounted in this pod$"):
        make().open("pvc:/data/x")
    _volume(tmp_path, "input")
    with pytest.raises(StoreMissingError, match=r"^there is no file tickets/\*\.csv on PersistentVolumeClaim data$"):
        list(make().find_inputs("pvc:/data/tickets/*.csv"))
    with pytest.raises(StoreMissingError, match=r"^PersistentVolumeClaim data, path tickets is not a folder$"):
        list(make().open_input("pvc:/data/tickets/a.csv"))


def test_each_use_has_its_own_secret_and_a_renewed_one_heals(
    make: MakeStores, tmp_path: Path, moto_s3: Bucket, fault_proxy: Callable[[Bucket], FaultProxy]
) -> None:
    proxy = fault_proxy(moto_s3)
    proxy.keys = {"READERKEYID", "WRITERKEYID"}
    _mount_secret(tmp_path, "input", "READERKEYID")
    _mount_secret(tmp_path, "output", "OLDKEYID")
    moto_s3.put("a.csv", b"hello")
    secret = {"credentialsSecret": {"name": "aws"}, "store": proxy.bucket.settings}
    stores = make(input={"uri": moto_s3.uri("*.csv"), **secret}, output={"uri": moto_s3.uri("out"), **secret})
    assert [each.info.size for each in stores.find_inputs(moto_s3.uri("*.csv"))] == [5]
    output = stores.open(moto_s3.uri("out"))
    with pytest.raises(StoreDeniedError, match="have expired"):
        output.put("b", b"1")
    _mount_secret(tmp_path, "output", "WRITERKEYID")
    output.put("b", b"1")
    assert moto_s3.get("out/b") == b"1"


def test_a_secret_that_is_missing_is_named(make: MakeStores, tmp_path: Path, moto_s3: Bucket) -> None:
    (tmp_path / "credentials" / "output").mkdir(parents=True)
    stores = make(output={"uri": moto_s3.uri("out"), "credentialsSecret": {"name": "aws"}, "store": moto_s3.settings})
    with pytest.raises(StoreDeniedError, match=r"^Secret aws is missing, or has none of the keys AWS_ACCESS_KEY_ID"):
        stores.open(moto_s3.uri("out")).put("a", b"1")


def test_a_secret_with_half_of_the_keys_is_named(make: MakeStores, tmp_path: Path, moto_s3: Bucket) -> None:
    _mount_secret(tmp_path, "output", "KEYID")
    (tmp_path / "credentials" / "output" / "AWS_SECRET_ACCESS_KEY").unlink()
    stores = make(output={"uri": moto_s3.uri("out"), "credentialsSecret": {"name": "aws"}, "store": moto_s3.settings})
    with pytest.raises(StoreDeniedError, match=r"Secret aws: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together"):
        stores.open(moto_s3.uri("out")).put("a", b"1")


def test_the_config_map_of_a_certificate_that_is_missing_is_named_and_may_still_come(
    make: MakeStores, tmp_path: Path, moto_s3: Bucket
) -> None:
    _mount_secret(tmp_path, "output", "KEYID")
    store = {**moto_s3.settings, "caConfigMap": {"name": "minio-ca", "key": "ca.crt"}}
    stores = make(output={"uri": moto_s3.uri("out"), "store": store, "credentialsSecret": {"name": "aws"}})
    with pytest.raises(StoreAwayError, match=r"ConfigMap minio-ca, key ca\.crt\) is not there; create it"):
        stores.open(moto_s3.uri("out")).put("a", b"1")


def test_dead_letters_in_another_bucket_are_read_with_that_batch_s_secret(
    make: MakeStores, tmp_path: Path, moto_s3: Bucket, fault_proxy: Callable[[Bucket], FaultProxy]
) -> None:
    proxy = fault_proxy(moto_s3)
    proxy.keys = {"LETTERSKEYID"}
    _mount_secret(tmp_path, "dead-letters", "LETTERSKEYID")
    moto_s3.put("out/errors.jsonl", b"{}\n")
    place = DeadLettersPlace(
        uri=moto_s3.uri("out/errors.jsonl"), store=ObjectStore.model_validate(proxy.bucket.settings)
    )
    store, name = make(place).open_input(f"{DEAD_LETTERS}triage")
    assert b"".join(store.blocks(name, 0, store.info(name).size)) == b"{}\n"


def test_dead_letters_on_a_volume_are_read_there(make: MakeStores, tmp_path: Path) -> None:
    (_volume(tmp_path, "dead-letters") / "errors.jsonl").write_bytes(b"{}\n")
    store, name = make(DeadLettersPlace(uri="pvc:/data/errors.jsonl")).open_input(f"{DEAD_LETTERS}triage")
    assert store.info(name).size == 3
