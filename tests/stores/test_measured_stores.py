"""Every call of a store is measured, by what it does and how it failed; the promises stay those of the store."""

from pathlib import Path

import pytest

from llmbatch_contract.errors import StoreMissingError
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Meters
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.measured import measured
from llmbatch_worker.stores.protocol import FOLDER_CADENCE


def operations(meters: Meters) -> set[tuple[str, ...]]:
    return {tuple(point.attributes) for point in meters.collect() if point.metric is names.STORE_DURATION}


def test_every_call_is_measured(tmp_path: Path) -> None:
    meters = Meters()
    stores = measured(LOCAL, meters)
    store = stores.open(tmp_path.as_uri())
    store.put("a", b"1")
    assert store.create("b", b"2")
    assert (store.read("a"), store.exists("b"), store.names("")) == (b"1", True, ["a", "b"])
    with store.writer("c") as write:
        write(b"3")
    (found,) = stores.find_inputs((tmp_path / "a").as_uri())
    readable, name = stores.open_input(found.uri)
    assert b"".join(readable.blocks(name, 0, 1, readable.info(name).etag)) == b"1"
    store.remove(["a", "b"])
    with pytest.raises(StoreMissingError):
        store.read("a")
    done = {(each, "") for each in ("put", "create", "get", "head", "list", "remove")}
    assert operations(meters) == done | {("get", "StoreMissingError")}
    assert store.cadence is FOLDER_CADENCE


def test_nothing_is_measured_for_nobody() -> None:
    assert measured(LOCAL, Meters(is_on=False)) is LOCAL
