"""Inputs that only a cluster has: a ConfigMap that the pod has as files, and the dead letters of another batch."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
import zstandard

from builders import Document, batch, manifest
from llmbatch_cli.manifest import read_job
from llmbatch_contract.errors import DuplicateIdError, InputError, InputMissingError, ManifestError
from llmbatch_contract.job import Job
from llmbatch_contract.layout import UNPACKED_INPUT
from llmbatch_contract.pods import OUTPUT_URI, WORK_URI, DeadLettersPlace, PodConfig, Stage
from llmbatch_contract.spec import Input, InputFormat
from llmbatch_contract.trace import trace_of
from llmbatch_worker.channel import Channel
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.inputs.source import open_source
from llmbatch_worker.planning.planner import Planned, make_plan
from llmbatch_worker.pods.places import PodStores
from llmbatch_worker.pods.setting import read_setting
from llmbatch_worker.stores.local import LocalStore
from worker.object_server import TOKEN, ObjectServer

CSV = b"id,text\na,one\nb,two\n"


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    with ObjectServer() as running:
        yield running


@pytest.fixture
def stores(server: ObjectServer, tmp_path: Path) -> Iterator[PodStores]:
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "mounted").mkdir()
    channel = Channel(server.url, "", tmp_path / "token")
    job = Job(batch=batch(), store_uri=WORK_URI, output_uri=OUTPUT_URI)
    config = PodConfig(
        uid="uid", job=job, trace=trace_of("uid"), workers=1, coordinator_url=server.url, coordinator_ca=""
    )
    folders = {"_LLMBATCH_INPUT_FOLDER": str(tmp_path / "mounted"), "_LLMBATCH_VOLUMES": str(tmp_path)}
    yield PodStores(channel, config, read_setting(Stage.PLAN, tmp_path / "config", None, folders))
    channel.close()


def _mount(folder: Path, key: str, data: bytes) -> None:
    """As the kubelet does it: a link to a link to the file."""
    mounted = folder / "mounted"
    (mounted / "..2026").mkdir()
    (mounted / "..2026" / key).write_bytes(data)
    (mounted / "..data").symlink_to("..2026")
    (mounted / key).symlink_to(f"..data/{key}")


def _config_map(key: str, **fields: Any) -> Input:
    return Input.model_validate({"configMap": {"name": "tickets", "key": key}, **fields})


def _letters_of(*categories: str, **fields: Any) -> Document:
    return {"deadLettersOf": {"name": "triage", "categories": list(categories)}, **fields}


def _letter(number: int, category: str, item: Document | None = None) -> bytes:
    item = item or {"text": f"text {number}"}
    return orjson.dumps({"id": str(number), "item": item, "error": {"category": category}}) + b"\n"


def _plan(
    folder: Path, stores: PodStores, source: Document, **fields: Any
) -> tuple[Planned, list[tuple[str, Document]]]:
    """The plan, and the ids and items that a shard would read of it."""
    store = LocalStore((folder / "work").as_uri())
    wanted = batch(input=source, **{"prompt": "{{ text }}", **fields})
    planned = make_plan(wanted, store, uid="u", created_at="2026-01-01T00:00:00Z", stores=stores)
    items = PlannedItems(planned.plan.input, wanted.spec.input.id_field, store, stores)
    return planned, [(i, row.item) for shard in planned.plan.shards for _, i, row in items.rows(shard)]


@pytest.mark.parametrize("field", ["configMap", "deadLettersOf"])
def test_on_this_machine_they_are_a_clear_error(tmp_path: Path, field: str) -> None:
    source = {"name": "tickets"} | ({"key": "items.csv"} if field == "configMap" else {})
    path = tmp_path / "batch.yaml"
    path.write_text(yaml.safe_dump(manifest(input={field: source})))
    with pytest.raises(ManifestError) as caught:
        read_job(path)
    line = path.read_text().splitlines().index(f"    {field}:") + 1
    assert str(caught.value) == f"{path}:{line}: spec.input.{field}: exists on a cluster only; give items or uri"


def test_what_only_a_cluster_does_is_passed_over_on_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "batch.yaml"
    path.write_text(yaml.safe_dump(manifest(parallelism=9, suspend=True, cancel=True, activeDeadlineSeconds=1)))
    assert read_job(path).batch.spec.parallelism == 9


# ConfigMaps


@pytest.mark.parametrize(
    ("key", "data"),
    [
        pytest.param("items.csv", CSV, id="csv"),
        pytest.param("items.csv.gz", gzip.compress(CSV), id="gzip"),
        pytest.param("items", b'{"id":"a","text":"one"}\n{"id":"b","text":"two"}\n', id="jsonl without a suffix"),
    ],
)
def test_items_of_a_config_map_are_planned_as_a_copy(tmp_path: Path, stores: PodStores, key: str, data: bytes) -> None:
    _mount(tmp_path, key, data)
    source: Document = {"configMap": {"name": "tickets", "key": key}, "idField": "id"}
    planned, items = _plan(tmp_path, stores, source)
    assert items == [("a", {"id": "a", "text": "one"}), ("b", {"id": "b", "text": "two"})]
    assert planned.plan.input.uri == f"ConfigMap tickets, key {key}"
    assert planned.plan.input.unpacked
    assert LocalStore((tmp_path / "work").as_uri()).exists(UNPACKED_INPUT)


def test_a_mistake_in_a_config_map_names_its_key_and_line(tmp_path: Path, stores: PodStores) -> None:
    _mount(tmp_path, "items.csv", b"id,text\na,one\na,two,three\n")
    with pytest.raises(InputError, match=r"^ConfigMap tickets, key items\.csv:3: 3 fields"):
        _plan(tmp_path, stores, {"configMap": {"name": "tickets", "key": "items.csv"}})


def test_equal_ids_in_a_config_map_are_found(tmp_path: Path, stores: PodStores) -> None:
    _mount(tmp_path, "items.csv", CSV + b"a,three\n")
    with pytest.raises(DuplicateIdError, match=r"key items\.csv:4: id 'a' stands already on line 2"):
        _plan(tmp_path, stores, {"configMap": {"name": "tickets", "key": "items.csv"}, "idField": "id"})


@pytest.mark.parametrize("key", ["other.csv", "../token", "a/b"])
def test_a_key_that_is_not_there_may_yet_come(tmp_path: Path, stores: PodStores, key: str) -> None:
    _mount(tmp_path, "items.csv", CSV)
    with pytest.raises(InputMissingError) as caught:
        open_source(_config_map(key), stores)
    assert str(caught.value) == (
        f"ConfigMap tickets has no key {key}, or there is no such ConfigMap in the namespace; create it"
    )


def test_an_empty_key_is_an_error(tmp_path: Path, stores: PodStores) -> None:
    _mount(tmp_path, "items.csv", b"")
    with pytest.raises(InputError, match=r"^ConfigMap tickets, key items\.csv is empty$"):
        open_source(_config_map("items.csv"), stores)


def test_a_config_map_that_is_changed_while_it_is_read_is_read_as_it_was(tmp_path: Path, stores: PodStores) -> None:
    _mount(tmp_path, "items.csv", CSV)
    source = open_source(_config_map("items.csv"), stores)
    (tmp_path / "mounted" / "..2026" / "items.csv").write_bytes(b"id\nz\n")
    (text,) = source.texts()
    assert b"".join(text.blocks) == CSV


# Dead letters


@pytest.mark.parametrize(
    ("categories", "numbers"),
    [
        pytest.param([], [0, 1, 2], id="all"),
        pytest.param(["timeout"], [0, 2], id="one category"),
        pytest.param(["timeout", "refusal"], [0, 1, 2], id="two categories"),
        pytest.param(["auth"], [], id="none left"),
    ],
)
def test_the_items_of_dead_letters_are_asked_again(
    tmp_path: Path, server: ObjectServer, stores: PodStores, categories: list[str], numbers: list[int]
) -> None:
    server.letters["triage"] = b"".join(_letter(n, c) for n, c in enumerate(("timeout", "refusal", "timeout")))
    planned, items = _plan(tmp_path, stores, _letters_of(*categories))
    assert [item for _, item in items] == [{"text": f"text {n}"} for n in numbers]
    assert planned.plan.items == len(numbers)
    assert planned.plan.input.uri == "dead letters of triage"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_dead_letters_in_another_place_are_unpacked_by_their_content(
    tmp_path: Path, stores: PodStores, pack: Callable[[bytes], bytes]
) -> None:
    place = tmp_path / "dead-letters" / "out" / "errors.jsonl.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(pack(b"".join(_letter(n, "timeout") for n in range(3))))
    stores._config = stores._config.model_copy(
        update={"dead_letters": DeadLettersPlace(uri="pvc:/data/out/errors.jsonl.gz")}
    )
    _, items = _plan(tmp_path, stores, _letters_of())
    assert [item for _, item in items] == [{"text": f"text {n}"} for n in range(3)]


def test_dead_letters_that_are_gone_from_another_place_may_yet_come(tmp_path: Path, stores: PodStores) -> None:
    (tmp_path / "dead-letters").mkdir()
    place = DeadLettersPlace(uri="pvc:/data/errors.jsonl")
    stores._config = stores._config.model_copy(update={"dead_letters": place})
    with pytest.raises(InputMissingError, match="the errors of batch triage are not there"):
        _plan(tmp_path, stores, _letters_of())


def test_a_selection_of_dead_letters_is_numbered_among_them(
    tmp_path: Path, server: ObjectServer, stores: PodStores
) -> None:
    server.letters["triage"] = b"".join(_letter(n, "timeout") for n in range(5))
    _, items = _plan(tmp_path, stores, _letters_of("timeout", where="text in ['text 1', 'text 3']"))
    assert items == [("1", {"text": "text 1"}), ("3", {"text": "text 3"})]


# Volumes


def test_files_of_a_volume_are_read_where_they_are(tmp_path: Path, stores: PodStores) -> None:
    folder = tmp_path / "input" / "day"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(CSV)
    (folder / "b.csv").write_bytes(b"id,text\nc,three\n")
    source: Document = {"pvc": {"claimName": "data", "path": "day/*.csv"}, "idField": "id"}
    planned, items = _plan(tmp_path, stores, source)
    assert [item_id for item_id, _ in items] == ["a", "b", "c"]
    assert (planned.plan.input.uri, planned.plan.input.unpacked) == ("pvc:/data/day/*.csv", False)
    assert [o.uri for o in planned.plan.input.objects] == ["pvc:/data/day/a.csv", "pvc:/data/day/b.csv"]


def test_a_mistake_in_a_file_of_a_volume_names_claim_path_and_line(tmp_path: Path, stores: PodStores) -> None:
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "a.csv").write_bytes(b"id,text\na,one,more\n")
    with pytest.raises(InputError, match=r"^PersistentVolumeClaim data, path a\.csv:2: 3 fields"):
        _plan(tmp_path, stores, {"pvc": {"claimName": "data", "path": "a.csv"}})


def test_ids_are_those_of_the_id_field(tmp_path: Path, server: ObjectServer, stores: PodStores) -> None:
    server.letters["triage"] = _letter(7, "timeout", {"ticket": "T-7", "text": "x"})
    _, items = _plan(tmp_path, stores, _letters_of(idField="ticket"))
    assert [item_id for item_id, _ in items] == ["T-7"]


@pytest.mark.parametrize("fmt", ["auto", "openai"])
def test_dead_letters_that_are_whole_requests_are_asked_as_such(
    tmp_path: Path, server: ObjectServer, stores: PodStores, fmt: str
) -> None:
    request = {"custom_id": "c-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}
    server.letters["triage"] = _letter(0, "timeout", request)
    planned, items = _plan(tmp_path, stores, _letters_of(format=fmt), request=None, model=None, prompt=None)
    assert planned.plan.input.format is InputFormat.OPENAI
    assert items == [("c-1", request)]


@pytest.mark.parametrize("fmt", ["auto", "openai"])
def test_no_dead_letters_are_no_items_also_where_they_would_be_requests(
    tmp_path: Path, server: ObjectServer, stores: PodStores, fmt: str
) -> None:
    server.letters["triage"] = b""
    planned, _ = _plan(tmp_path, stores, _letters_of(format=fmt), request=None, model=None, prompt=None)
    assert (planned.plan.items, planned.plan.shards) == (0, [])


def test_a_batch_without_dead_letters_yet_is_waited_for(tmp_path: Path, stores: PodStores) -> None:
    with pytest.raises(InputMissingError) as caught:
        _plan(tmp_path, stores, _letters_of())
    assert str(caught.value) == (
        "batch triage has no errors.jsonl yet, or there is no such batch in the namespace; let it finish"
    )


def test_dead_letters_in_the_openai_form_say_that_they_hold_no_items(
    tmp_path: Path, server: ObjectServer, stores: PodStores
) -> None:
    server.letters["triage"] = b'{"id":"batch_req_1","custom_id":"1","response":null,"error":{"code":"timeout"}}\n'
    with pytest.raises(InputError, match=r"^dead letters of triage:1: holds no item"):
        _plan(tmp_path, stores, _letters_of())


def test_dead_letters_are_no_csv(tmp_path: Path, stores: PodStores) -> None:
    with pytest.raises(InputError, match=r"^spec\.input\.format: the items of dead letters are objects"):
        _plan(tmp_path, stores, _letters_of(format="csv"))
