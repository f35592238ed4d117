"""Outputs that are not in the built-in store: in buckets with the user's own keys, on volumes by a pod."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard

from builders import Document
from finished_shards import finished_shards
from kubectl_cli.batch_documents import status
from kubectl_cli.shop import Ended, Shop
from kubectl_cli.tls_front import tls_front
from s3_servers import Bucket

pytest_plugins = ["cluster_fixture", "kubectl_cli.shop", "s3_fixture"]

LINES = [b'{"id":"%d","output":"\xc3\xbc"}\n' % n for n in range(3)]
LETTERS = b'{"id":"a","error":{"category":"auth"}}\n{"id":"b","error":{"category":"timeout"}}\n'


def row(name: str, data: bytes) -> Document:
    return {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def finished(
    shop: Shop,
    bucket: Bucket,
    objects: dict[str, bytes],
    results: str = "results.jsonl",
    errors: str = "errors.jsonl",
    **store: Any,
) -> None:
    """A batch with these objects in its folder of the bucket; keywords replace settings of its store."""
    told = {which: row(name, objects.get(name, b"")) for which, name in (("results", results), ("errors", errors))}
    for name, data in (objects | {"summary.json": json.dumps({"name": "tickets", "output": told}).encode()}).items():
        bucket.put(f"answers/{name}", data)
    places = {"results": results, "errors": errors, "summary": "summary.json"}
    output = {which: bucket.uri(f"answers/{name}") for which, name in places.items()}
    shop.create(status("Succeeded", total=3, succeeded=3) | {"output": output}, output=spec(bucket, **store))


def spec(bucket: Bucket, **store: Any) -> Document:
    """`output` of a batch."""
    settings = bucket.settings | store
    return {"uri": bucket.uri("answers/"), "store": settings, "credentialsSecret": {"name": "not-the-users"}}


def run(shop: Shop, bucket: Bucket, *words: str) -> Ended:
    """The command, with the user's own keys."""
    return shop.run(*words, **bucket.keys)


def test_outputs_in_a_bucket_come_as_they_are(shop: Shop, s3: Bucket, tmp_path: Path) -> None:
    packed = zstandard.compress(LETTERS)
    whole = b"".join(LINES)
    finished(shop, s3, {"results.jsonl": whole, "errors.jsonl.zst": packed}, "results.jsonl", "errors.jsonl.zst")
    ended = run(shop, s3, "results", "tickets")
    assert (ended.code, ended.out.encode(), ended.err) == (0, whole, "")
    assert json.loads(run(shop, s3, "summary", "tickets").out)["name"] == "tickets"
    chosen = run(shop, s3, "errors", "tickets", "--category", "timeout")
    assert (chosen.code, chosen.out.encode()) == (0, LETTERS.splitlines(keepends=True)[1])
    file = tmp_path / "errors.jsonl.zst"
    assert run(shop, s3, "errors", "tickets", "-o", str(file)).code == 0
    assert file.read_bytes() == packed
    assert f"results    {s3.uri('answers/results.jsonl')}" in run(shop, s3, "status", "tickets").out

    s3.put("answers/results.jsonl", whole[::-1])
    spoilt = run(shop, s3, "results", "tickets", "-o", str(tmp_path / "results"))
    assert (spoilt.code, "SHA-256 differs" in spoilt.err) == (1, True)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("ending", "contents", "joined"),
    [
        pytest.param("jsonl", LINES, b"".join(LINES), id="JSON lines"),
        pytest.param("csv", [b"a,b\n1,2\n", b"a,b\n3,4\n"], b"a,b\n1,2\n3,4\n", id="CSV has one header"),
        pytest.param("parquet", [b"PAR1 one", b"PAR1 two"], None, id="Parquet needs a folder"),
    ],
)
def test_results_in_many_objects(
    shop: Shop, moto_s3: Bucket, tmp_path: Path, ending: str, contents: Sequence[bytes], joined: bytes | None
) -> None:
    objects = {f"results/{n:05d}.{ending}": data for n, data in enumerate(contents)}
    manifest = json.dumps([row(name.partition("/")[2], data) for name, data in objects.items()]).encode()
    finished(shop, moto_s3, objects | {"results/_manifest.json": manifest}, "results/")
    ended = run(shop, moto_s3, "results", "tickets")
    if joined is None:
        assert (ended.code, ended.out) == (2, "")
        assert "error: the results are 2 files of format parquet, which do not make one: -o DIR/" in ended.err
    else:
        assert (ended.code, ended.out.encode(), ended.err) == (0, joined, "")
    assert run(shop, moto_s3, "results", "tickets", "-o", f"{tmp_path}/all/").code == 0
    files = {f"results/{path.name}": path.read_bytes() for path in (tmp_path / "all").iterdir()}
    assert files == objects | {"results/_manifest.json": manifest}


def test_records_of_finished_shards_are_read_beside_the_outputs(shop: Shop, s3: Bucket) -> None:
    uid = shop.create(status("Running", total=120, succeeded=60), output=spec(s3))
    early = run(shop, s3, "results", "tickets", "--partial")
    assert (early.code, early.out) == (1, "")
    assert early.err.startswith(f"error: no shard is finished yet (cannot read {s3.uri('answers/_llmbatch/')}{uid}")
    work = finished_shards(6, 20, [0, 2, 5])
    for name, data in work.objects.items():
        s3.put(f"answers/_llmbatch/{uid}/{name}", data)
    ended = run(shop, s3, "results", "tickets", "--partial")
    assert (ended.code, ended.out.encode()) == (0, b"".join(work.results))
    counted = f"{len(work.results)} results; 60 of 120 items (50 %), 3 of 6 shards are finished\n"
    assert ended.err == counted
    assert run(shop, s3, "errors", "tickets", "--partial").out.encode() == b"".join(work.errors)


def test_a_store_is_reached_by_another_address_if_users_have_one(shop: Shop, moto_s3: Bucket) -> None:
    objects = {"results.jsonl": LINES[0], "errors.jsonl": b""}
    finished(shop, moto_s3, objects, endpoint="http://store.storage.svc.example:9000")
    ended = run(shop, moto_s3, "results", "tickets", "--store-endpoint", moto_s3.url)
    assert (ended.code, ended.out.encode()) == (0, LINES[0])


def test_what_the_store_refuses_or_lacks_is_one_sentence(shop: Shop, versitygw: Bucket) -> None:
    finished(shop, versitygw, {"results.jsonl": LINES[0], "errors.jsonl": b""})
    wrong = shop.run("results", "tickets", AWS_ACCESS_KEY_ID="nobody", AWS_SECRET_ACCESS_KEY="no-such-secret")
    assert wrong.code == 1
    assert wrong.err.startswith("error: ")
    assert wrong.err.count("\n") == 1
    assert "no-such-secret" not in wrong.err
    versitygw.client.delete_object(Bucket=versitygw.name, Key="answers/results.jsonl")
    gone = run(shop, versitygw, "results", "tickets")
    assert (gone.code, gone.err.count("\n")) == (1, 1)
    assert versitygw.uri("answers/results.jsonl") in gone.err


def test_the_stores_certificate_comes_from_its_config_map(shop: Shop, moto_s3: Bucket) -> None:
    objects = {"results.jsonl": LINES[0], "errors.jsonl": b""}
    with tls_front(moto_s3.url) as (url, authority):
        finished(shop, moto_s3, objects, endpoint=url, caConfigMap={"name": "store-ca", "key": "ca.crt"})
        missing = run(shop, moto_s3, "results", "tickets")
        assert (missing.code, '"store-ca" not found' in missing.err) == (1, True)
        config_map = ("configmap", "store-ca", "-n", shop.namespace)
        shop.cluster.kubectl("create", *config_map, "--from-literal=other.crt=x")
        wrong = run(shop, moto_s3, "results", "tickets")
        assert "has no key ca.crt: the certificate of the store" in wrong.err
        shop.cluster.kubectl("delete", *config_map)
        shop.cluster.kubectl("create", *config_map, f"--from-literal=ca.crt={authority.decode()}")
        ended = run(shop, moto_s3, "results", "tickets")
    assert (ended.code, ended.out.encode(), ended.err) == (0, LINES[0], "")


def test_outputs_on_a_volume_are_read_by_a_pod(shop: Shop) -> None:
    place = "pvc:/answers/2026/11"
    output = {"results": f"{place}/results.csv", "errors": f"{place}/errors.jsonl", "summary": f"{place}/summary.json"}
    volume = {"pvc": {"claimName": "answers", "path": "2026/11"}}
    shop.create(status("Running", total=2), output=volume)
    partial = shop.run("results", "tickets", "--partial")
    assert partial.err == "error: --partial: cannot read the PersistentVolumeClaim answers; only pods can\n"
    shop.write(status("Succeeded", total=2, succeeded=2) | {"output": output})
    ended = shop.run("results", "tickets")
    assert ended.code == 1
    assert "on the PersistentVolumeClaim answers" in ended.err
    assert f"`kubectl cp {shop.namespace}/POD:MOUNT/2026/11/results.csv results.csv`" in ended.err
