"""`llmbatch run` from a bucket into a bucket: as with folders, with keys from the environment only."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from builders import Document
from engine.local_run import Bench, Ended, texts, until
from fault_proxy import FaultProxy, internal_error, removal_denied, slow_down
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from s3_servers import SECRET_KEY, Bucket

pytest_plugins = ["s3_fixture"]

IN_ORDER = [{"id": f"{part}-{n}", "text": f"item {n}"} for part in "ab" for n in range(30)]


def simulator(latency: str = "0ms") -> Simulator:
    return Simulator(SimulatorSettings.parse({"latency": latency}))


def prepared(folder: Path, bucket: Bucket, url: str, **fields: object) -> Bench:
    """A batch from two objects into a folder of the same bucket."""
    for part in "ab":
        items = [item for item in IN_ORDER if item["id"].startswith(part)]
        bucket.put(f"in/2026/{part}.jsonl", "".join(json.dumps(item) + "\n" for item in items).encode())
    bench = Bench(folder, url, bucket.environment)
    output = {"uri": bucket.uri("out/"), "store": bucket.settings, **dict(fields.pop("output", {}))}  # type: ignore[call-overload]
    source = {"uri": bucket.uri("in/**/*.jsonl"), "idField": "id", "store": bucket.settings}
    bench.batch(**{"input": source, "output": output, "shardSize": 7, **fields})
    return bench


def results_in(bucket: Bucket, name: str = "out/results.jsonl") -> list[Document]:
    return [json.loads(line) for line in bucket.get(name).splitlines()]


def _files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_items_come_from_a_bucket_and_answers_go_into_it(tmp_path: Path, s3: Bucket, workers: str) -> None:
    async with simulator() as sim:
        bench = prepared(tmp_path, s3, sim.url)
        ended = await bench.run("--workers", workers)
        assert (ended.code, ended.err) == (0, ""), str(ended)
        again = await bench.run()
        assert sim.stats.requests == len(IN_ORDER)
    assert [row["id"] for row in results_in(s3)] == [item["id"] for item in IN_ORDER]
    assert sorted(name for name in s3.names() if name.startswith("out/")) == [
        "out/errors.jsonl", "out/report.json", "out/results.jsonl", "out/summary.json",
    ]  # fmt: skip
    assert (tmp_path / "triage-state" / "plan.json").exists()
    assert f"results    {s3.uri('out/results.jsonl')}" in ended.out
    assert (again.code, again.out.splitlines()[-1]) == (0, ended.out.splitlines()[-1])
    assert "this batch is finished" in again.out


async def test_nothing_of_the_keys_is_written_or_said(tmp_path: Path, moto_s3: Bucket) -> None:
    async with simulator() as sim:
        bench = prepared(tmp_path, moto_s3, sim.url)
        ended = await bench.run("--workers", "2", "--report", "page.html")
    assert ended.code == 0, str(ended)
    said = [ended.out.encode(), ended.err.encode(), *_files(tmp_path), *map(moto_s3.get, moto_s3.names())]
    assert not [text for text in said if SECRET_KEY.encode() in text]


async def test_results_in_many_objects_are_named_and_read(tmp_path: Path, moto_s3: Bucket) -> None:
    async with simulator() as sim:
        bench = prepared(tmp_path, moto_s3, sim.url, output={"layout": "sharded", "compression": "zstd"})
        ended = await bench.run()
        assert ended.code == 0, str(ended)
        again = await bench.run()
    place = f"{moto_s3.uri('out/results/')} (9 objects and a manifest)"
    assert f"results    {place}" in ended.out
    assert "this batch is finished" in again.out
    read = await bench.run("-o", "all/", command="results")
    assert (read.code, read.err) == (0, "")
    names = [f"{n:05d}.jsonl.zst" for n in range(9)]
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [*names, "_manifest.json"]


async def test_the_outputs_of_another_batch_are_not_overwritten_unless_told_so(tmp_path: Path, moto_s3: Bucket) -> None:
    async with simulator() as sim:
        (tmp_path / "first").mkdir()
        (tmp_path / "second").mkdir()
        first = prepared(tmp_path / "first", moto_s3, sim.url)
        assert (await first.run()).code == 0
        requests = sim.stats.requests
        second = prepared(tmp_path / "second", moto_s3, sim.url)
        planned, refused = await second.run(command="plan"), await second.run()
        assert (refused.code, refused.out) == (2, "")
        place = moto_s3.uri("out")
        assert refused.err.startswith(f"error: {place} holds the results of the batch 'triage' of namespace 'default'")
        assert refused.err.count("\n") == 1
        assert f"problem    {place} holds the results of" in planned.out
        assert sim.stats.requests == requests

        second = prepared(tmp_path / "second", moto_s3, sim.url, output={"overwrite": True, "format": "csv"})
        replaced = await second.run()
    assert replaced.code == 0, str(replaced)
    outputs = sorted(name for name in moto_s3.names() if name.startswith("out/"))
    assert outputs == ["out/errors.jsonl", "out/report.json", "out/results.csv", "out/summary.json"]


async def test_a_run_that_failed_to_plan_or_was_killed_meanwhile_does_not_stand_in_the_way(
    tmp_path: Path, moto_s3: Bucket, fault_proxy: Callable[[Bucket], FaultProxy]
) -> None:
    proxy = fault_proxy(moto_s3)
    async with simulator() as sim:
        bench = prepared(tmp_path, proxy.bucket, sim.url)
        moto_s3.put("in/2026/c.jsonl", b"no json\n")
        ended = await bench.run()
        assert (ended.code, ended.err.count("c.jsonl")) == (2, 1), str(ended)
        assert "out/_llmbatch/owner.json" not in moto_s3.names()

        moto_s3.client.delete_object(Bucket=moto_s3.name, Key="in/2026/c.jsonl")
        async with bench.started() as process:
            await until(lambda: "out/_llmbatch/owner.json" in moto_s3.names())
            process.kill_group()
        ended = await bench.run()
    assert ended.code == 0, str(ended)


@pytest.mark.parametrize(
    ("environment", "fields", "code", "sentence"),
    [
        pytest.param({"AWS_SECRET_ACCESS_KEY": "wrong"}, {}, 1, "s3:GetObject|signature|key", id="a wrong key"),
        pytest.param({}, {"output": {"uri": "s3://no-such-bucket-1/out"}}, 2, "no-such-bucket-1", id="no such bucket"),
        pytest.param(
            {}, {"input": {"uri": "s3://no-such-bucket-2/in/"}}, 2, "no-such-bucket-2", id="nor for the input"
        ),
    ],
)
async def test_what_is_refused_or_missing_is_one_sentence_before_anything_is_asked(
    tmp_path: Path, versitygw: Bucket, environment: dict[str, str], fields: Document, code: int, sentence: str
) -> None:
    async with simulator() as sim:
        settings = {"store": versitygw.settings}
        bench = prepared(tmp_path, versitygw, sim.url, **{name: settings | given for name, given in fields.items()})
        bench.env |= environment
        ended = await bench.run()
        assert sim.stats.requests == 0
    assert ended.code == code
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert any(part in ended.err for part in sentence.split("|")), ended.err


async def test_a_store_that_goes_away_is_waited_for_and_said(
    tmp_path: Path, moto_s3: Bucket, fault_proxy: Callable[[Bucket], FaultProxy]
) -> None:
    proxy = fault_proxy(moto_s3)
    async with simulator("50ms") as sim:
        bench = prepared(tmp_path, proxy.bucket, sim.url, concurrency=1)
        async with bench.started("--output", "json", "--workers", "2") as process:
            await until(lambda: sim.stats.requests > 5)
            proxy.is_down = True
            said = b""
            assert process.process.stdout is not None
            while b'"store_waits_seconds": 1' not in said:
                said = await process.process.stdout.readline()
                assert said
            proxy.is_down = False
            ended = await process.ended()
        assert sim.stats.requests == len(IN_ORDER)
    assert (ended.code, ended.err) == (0, ""), str(ended)
    assert [row["id"] for row in results_in(moto_s3)] == [item["id"] for item in IN_ORDER]


async def test_results_that_a_store_does_not_take_are_written_again_and_that_is_said(
    tmp_path: Path, moto_s3: Bucket, fault_proxy: Callable[[Bucket], FaultProxy]
) -> None:
    proxy = fault_proxy(moto_s3)
    proxy.add(slow_down(), method="PUT", key="out/results.jsonl", times=11)  # so often it is tried in one upload
    async with simulator() as sim:
        ended = await prepared(tmp_path, proxy.bucket, sim.url).run()
        assert sim.stats.requests == len(IN_ORDER)
    assert (ended.code, ended.err) == (0, ""), str(ended)
    assert f"waiting, then the outputs are written again: cannot write {moto_s3.uri('out/results.jsonl')}" in ended.out
    assert [row["id"] for row in results_in(moto_s3)] == [item["id"] for item in IN_ORDER]
    assert moto_s3.uploads() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_run_that_waits_for_a_store_to_write_its_outputs_can_be_interrupted(
    tmp_path: Path, moto_s3: Bucket, fault_proxy: Callable[[Bucket], FaultProxy], number: signal.Signals
) -> None:
    proxy = fault_proxy(moto_s3)
    async with simulator("20ms") as sim:
        bench = prepared(tmp_path, proxy.bucket, sim.url, input={"items": texts(20)}, shardSize=5)
        async with bench.started() as process:
            await until(lambda: sim.stats.requests > 2)
            proxy.add(internal_error(), key="out/*", times=float("inf"))
            await until(lambda: len(list((tmp_path / "triage-state").glob("shards/*/done.json"))) == 4)
            await until(lambda: proxy.count(key="out/*") > 5)
            process.signal(number)
            ended = await process.ended(deadline_s=15)
        assert ended.code == 130, str(ended)
        assert "waiting: " in ended.out
        proxy.clear()
        ended = await bench.run()
        assert sim.stats.requests == 20
    assert ended.code == 0, str(ended)


async def test_answers_are_read_while_the_batch_runs(tmp_path: Path, moto_s3: Bucket) -> None:
    async with simulator("400ms") as sim:
        bench = prepared(tmp_path, moto_s3, sim.url, concurrency=2)
        early = await bench.run("--partial", command="results")
        assert (early.code, early.out) == (1, "")
        assert early.err.startswith("error: no shard is finished yet (")
        early = await bench.run(command="results")
        assert (early.code, early.out) == (1, "")
        assert "is not finished: there are results when it is" in early.err
        async with bench.started() as process:
            await until(lambda: any((tmp_path / "triage-state").glob("shards/00001/done.json")))
            partial = await bench.run("--partial", command="results")
            no_errors = await bench.run("--partial", command="errors")
            assert process.process.returncode is None
    rows = [json.loads(line) for line in partial.out.splitlines()]
    assert len(rows) >= 14
    assert [row["id"] for row in rows] == [item["id"] for item in IN_ORDER][: len(rows)]
    assert partial.err.startswith(f"{len(rows)} results; {len(rows)} of 60 items (")
    assert (no_errors.code, no_errors.out) == (0, "")


@pytest.mark.parametrize("place", ["folder", "bucket"])
async def test_the_same_manifest_with_another_question_replaces_its_own_outputs_only_if_told_so(
    tmp_path: Path, moto_s3: Bucket, place: str
) -> None:
    uri = "out" if place == "folder" else moto_s3.uri("out/")
    bench = Bench(tmp_path, "", moto_s3.environment)

    async def ran(question: str, **output: object) -> Ended:
        bench.batch(items=texts(20), prompt=question, output={"uri": uri, **output}, shardSize=7)
        planned, ended = await bench.run(command="plan"), await bench.run()
        assert ("problem" in planned.out) == (ended.code == 2), str(planned)
        return ended

    async with simulator() as sim:
        bench.url = sim.url
        assert (await ran("one {{ text }}", layout="sharded")).code == 0
        refused = await ran("two {{ text }}")
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "which is finished; use another output.uri" in refused.err
        replaced = await ran("two {{ text }}", overwrite=True)
        assert replaced.code == 0, str(replaced)
        again = await ran("two {{ text }}", overwrite=True)
        assert "this batch is finished" in again.out
        assert sim.stats.requests == 40
    names = moto_s3.names() if place == "bucket" else [
        str(path.relative_to(tmp_path)) for path in bench.output.rglob("*") if ".llmbatch" not in path.parts
    ]  # fmt: skip
    assert sorted(names) == ["out/errors.jsonl", "out/report.json", "out/results.jsonl", "out/summary.json"]


async def test_an_unfinished_run_with_another_question_is_not_overwritten(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "")
    async with simulator("300ms") as sim:
        bench.url = sim.url
        bench.batch(items=texts(50), concurrency=4)
        async with bench.started() as process:
            await until(lambda: sim.stats.requests > 8)
            process.signal(signal.SIGINT)
            assert (await process.ended()).code == 130
        bench.batch(items=texts(50), prompt="two {{ text }}", output={"uri": "out", "overwrite": True})
        refused = await bench.run()
    assert refused.code == 2
    assert "holds a run with another spec.request.prompt; put it back to continue that run" in refused.err


@pytest.mark.parametrize("layout", ["merged", "sharded"])
async def test_a_run_needs_no_right_to_remove(
    tmp_path: Path, moto_s3: Bucket, fault_proxy: Callable[[Bucket], FaultProxy], layout: str
) -> None:
    proxy = fault_proxy(moto_s3)
    proxy.add(removal_denied(), method="POST", query="delete", times=float("inf"))
    async with simulator() as sim:
        bench = prepared(tmp_path, proxy.bucket, sim.url, output={"layout": layout})
        ended = await bench.run()
        assert ended.code == 0, str(ended)
        bench.batch(items=texts(1), output={"uri": moto_s3.uri("out/"), "overwrite": True})
        refused = await bench.run("--state", "other")
    assert (refused.code, refused.err.count("\n")) == (1, 1), str(refused)
    assert "give these credentials s3:DeleteObject" in refused.err
