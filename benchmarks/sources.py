"""How fast planning reads items out of a store, and how much memory it takes, beside pandas, which reads them all."""

import itertools
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from benchmarks import processes
from benchmarks.object_store import ObjectStore, object_store
from benchmarks.parquet_items import write_parquet
from benchmarks.rounds import Timing
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from benchmarks.workload import NOWHERE, job_in_store, text_of, write_gzip, write_jsonl

_ITEM_BYTES = 1000
_UNUSED_BYTES = 500
_OBJECTS = 16
_TARGETS = {"JSONL": "≤ 20 s, ≤ 200 MB"}
_PANDAS = {"JSONL": "jsonl", "Parquet": "parquet"}


def measure(sizes: Sizes) -> Section:
    """Every form of the same items, one after another, so that the disk holds one."""
    table = Table(
        f"{sizes.source_items:,} items of 1 KB in S3, planned on one core; MB are 10⁶ bytes:",
        ("input", "stored MB", "read by", "seconds", "MB/s of items", "peak MB", "target"),
    )
    with tempfile.TemporaryDirectory() as name, object_store(Path(name)) as store:
        for form, upload in _forms(sizes).items():
            uri = upload(Path(name), store)
            stored_mb = sum(store.bucket.client.head_object(Bucket=store.bucket.name, Key=key)["ContentLength"]
                            for key in store.bucket.names()) / 1e6  # fmt: skip
            for reader, taken in _taken(form, uri, store).items():
                target = _TARGETS.get(form, "") if reader == "make_plan" else ""
                table.rows.append((form, f"{stored_mb:,.0f}", f"`{reader}`", *_figures(taken, sizes), target))
            store.clear("")
    return Section("sources", (table,))


def _taken(form: str, uri: str, store: ObjectStore) -> dict[str, Timing]:
    job = text_of(job_in_store(store.bucket, uri, NOWHERE))
    taken = {"make_plan": processes.measure("plan", environment=store.environment, job=job)}
    if form in _PANDAS:
        reader = f"pandas.read_{'json' if form == 'JSONL' else 'parquet'}"
        key = uri.removeprefix(store.bucket.uri())
        taken[reader] = processes.measure(
            "with_pandas", environment=store.environment, bucket=store.bucket.name, key=key, form=_PANDAS[form]
        )  # fmt: skip
    return taken


def _figures(taken: Timing, sizes: Sizes) -> tuple[str, str, str]:
    megabytes = sizes.source_items * _ITEM_BYTES / 1e6
    return f"{taken['seconds']:.1f}", f"{megabytes / taken['seconds']:,.0f}", f"{taken['peak_mb']:,.0f}"


def _forms(sizes: Sizes) -> Mapping[str, Callable[[Path, ObjectStore], str]]:
    return {
        "JSONL": partial(_jsonl, sizes),
        f"JSONL, {_OBJECTS} objects": partial(_several, sizes),
        "JSONL, gzip": partial(_gzip, sizes),
        "Parquet": partial(_parquet, sizes),
    }


def _jsonl(sizes: Sizes, folder: Path, store: ObjectStore) -> str:
    return _moved(store, write_jsonl(folder / "items.jsonl", sizes.source_items, _ITEM_BYTES))


def _several(sizes: Sizes, folder: Path, store: ObjectStore) -> str:
    """Neighbouring items in each."""
    whole = write_jsonl(folder / "items.jsonl", sizes.source_items, _ITEM_BYTES)
    per_object = -(-sizes.source_items // _OBJECTS)
    with whole.open("rb") as lines:
        for number in range(_OBJECTS):
            path = folder / f"part-{number:02d}.jsonl"
            path.write_bytes(b"".join(itertools.islice(lines, per_object)))
            _moved(store, path)
    whole.unlink()
    return store.bucket.uri("part-*.jsonl")


def _gzip(sizes: Sizes, folder: Path, store: ObjectStore) -> str:
    whole = write_jsonl(folder / "items.jsonl", sizes.source_items, _ITEM_BYTES)
    uri = _moved(store, write_gzip(folder / "items.jsonl.gz", whole))
    whole.unlink()
    return uri


def _parquet(sizes: Sizes, folder: Path, store: ObjectStore) -> str:
    path = folder / "items.parquet"
    return _moved(store, write_parquet(path, sizes.source_items, _ITEM_BYTES, unused_bytes=_UNUSED_BYTES))


def _moved(store: ObjectStore, path: Path) -> str:
    uri = store.upload(path, path.name)
    path.unlink()
    return uri
