"""Pods whose outputs are not in the built-in store: the place is taken, given back, and nothing is left beside it."""

import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from engine.local_run import texts, until
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_contract.errors import OutputTakenError, StoreDeniedError, StoreError
from llmbatch_contract.layout import OWNER
from llmbatch_contract.pods import PodConfig
from llmbatch_contract.reports import StoreTrouble
from llmbatch_worker.channel import Channel
from llmbatch_worker.finalizing.owning import take_output
from llmbatch_worker.pods import store_watch
from llmbatch_worker.pods.halting import Halt
from llmbatch_worker.pods.housekeeping import clean_up, leave_nothing, take_place
from llmbatch_worker.pods.store_watch import StoreWatch
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.protocol import Store
from llmbatch_worker.stores.troubles import Troubles
from worker.object_server import TOKEN, ObjectServer
from worker.object_server import until as blocking_until
from worker.pod_bench import PodBench

_PLACE = "pvc:/data/answers"
_ANOTHER = "another-uid"


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings.parse({"latency": "20ms"})) as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, sim: Simulator) -> Iterator[PodBench]:
    with ObjectServer() as server:
        yield PodBench(tmp_path, server, sim.url)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Where the pod has the volume of its outputs."""
    folder = tmp_path / "volumes" / "output"
    folder.mkdir(parents=True)
    return folder


def _files(folder: Path) -> list[str]:
    """Files and empty folders."""
    found = [each for each in folder.rglob("*") if each.is_file() or not any(each.iterdir())]
    return sorted(str(each.relative_to(folder)) for each in found)


_OUTPUTS = ["answers/errors.jsonl", "answers/report.json", "answers/results.jsonl", "answers/summary.json"]


# The stages


async def test_a_batch_leaves_its_outputs_and_nothing_else(bench: PodBench, volume: Path, sim: Simulator) -> None:
    bench.batch(place=_PLACE, items=texts(150))
    ended = await bench.run("plan")
    assert ended.code == 0, str(ended)
    assert json.loads((volume / "answers" / OWNER).read_bytes())["uid"] == "the-uid"
    assert (volume / "answers/_llmbatch/the-uid/plan.json").exists()
    for stage in ("shard", "finalize"):
        ended = await bench.run(stage)
        assert ended.code == 0, str(ended)
    assert _files(volume) == _OUTPUTS
    assert len((volume / "answers/results.jsonl").read_bytes().splitlines()) == 150
    final = bench.words.final
    assert final is not None
    assert (final.succeeded, final.results_name, final.errors_name) == (150, "results.jsonl", "errors.jsonl")
    assert bench.written() == []

    again = await bench.run("finalize", pod="pod-1")  # as the pod before it was gone before it was heard
    assert again.code == 0, str(again)
    assert bench.words.final == final
    assert sim.stats.requests == 150
    assert _files(volume) == _OUTPUTS


async def test_a_small_batch_that_is_done_is_not_done_again(bench: PodBench, volume: Path, sim: Simulator) -> None:
    bench.batch(place=_PLACE, items=texts(3))
    for pod in ("pod-0", "pod-1"):
        ended = await bench.run("run", pod=pod)
        assert ended.code == 0, str(ended)
        assert bench.words.final is not None
        assert bench.words.final.succeeded == 3
    assert sim.stats.requests == 3
    assert _files(volume) == _OUTPUTS


async def test_the_outputs_of_another_batch_are_not_touched(bench: PodBench, volume: Path, sim: Simulator) -> None:
    bench.batch(uid=_ANOTHER, place=_PLACE, items=texts(2))
    assert (await bench.run("run")).code == 0
    before = (volume / "answers/results.jsonl").read_bytes()
    bench.batch(place=_PLACE, items=texts(1))
    ended = await bench.run("run")
    assert ended.code == 2, str(ended)
    assert bench.words.error is not None
    assert bench.words.error.kind == "OutputTakenError"
    assert sim.stats.requests == 2
    assert _files(volume) == _OUTPUTS
    assert (volume / "answers/results.jsonl").read_bytes() == before


async def test_they_are_replaced_if_the_user_says_so(bench: PodBench, volume: Path) -> None:
    bench.batch(uid=_ANOTHER, place=_PLACE, items=texts(2), output={"format": "csv"})
    assert (await bench.run("run")).code == 0
    bench.batch(place=_PLACE, items=texts(1), output={"overwrite": True})
    ended = await bench.run("run")
    assert ended.code == 0, str(ended)
    assert _files(volume) == _OUTPUTS


async def test_a_batch_that_never_begins_gives_its_place_back(bench: PodBench, volume: Path) -> None:
    bench.batch(place=_PLACE, items=texts(1), prompt="{{ txt }}")
    ended = await bench.run("plan")
    assert ended.code == 2, str(ended)
    assert _files(volume) == ["answers"]


# Taking the place, and leaving it


@pytest.fixture
def config(tmp_path: Path, bench: PodBench) -> PodConfig:
    return bench.batch(place=(tmp_path / "out").as_uri(), items=texts(1))


@pytest.fixture
def output(config: PodConfig) -> Store:
    return LOCAL.open(config.job.output_uri)


@pytest.fixture
def working(config: PodConfig) -> Store:
    return LOCAL.open(config.job.store_uri)


def _nothing() -> None:
    """Nobody wants the pod to end."""


def test_the_place_of_a_batch_that_was_just_deleted_is_waited_for(config: PodConfig, output: Store) -> None:
    take_output(output, _ANOTHER, "nightly", "default", overwrite=False)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            output.remove([OWNER])

    take_place(config, LOCAL, Troubles(), _nothing, sleep)
    assert len(slept) == 3
    assert json.loads(output.read(OWNER))["uid"] == config.uid


def test_a_batch_that_goes_on_writing_keeps_its_place(config: PodConfig, output: Store) -> None:
    take_output(output, _ANOTHER, "nightly", "default", overwrite=False)
    slept: list[float] = []
    with pytest.raises(OutputTakenError, match="is being written by the batch 'nightly'"):
        take_place(config, LOCAL, Troubles(), _nothing, slept.append)
    assert 120 <= sum(slept) <= 240


def test_what_is_waited_for_is_told(config: PodConfig, output: Store) -> None:
    take_output(output, _ANOTHER, "nightly", "default", overwrite=False)
    troubles = Troubles()
    told: list[StoreTrouble | None] = []

    def sleep(seconds: float) -> None:
        told.append(troubles.now())
        output.remove([OWNER])

    take_place(config, LOCAL, troubles, _nothing, sleep)
    assert told[0] is not None
    assert told[0].kind == "taken"
    assert "is being written by the batch 'nightly'" in told[0].message
    assert troubles.now() is None


def test_outputs_that_are_there_are_not_waited_for(config: PodConfig, output: Store) -> None:
    output.put("summary.json", b'{"uid": "another-uid", "name": "nightly"}')
    slept: list[float] = []
    with pytest.raises(OutputTakenError, match="holds the results"):
        take_place(config, LOCAL, Troubles(), _nothing, slept.append)
    assert slept == []


@pytest.mark.parametrize(
    ("error", "times", "tries"),
    [
        pytest.param(StoreDeniedError("no s3:DeleteObject"), 9, 1, id="a permission that is not given"),
        pytest.param(StoreError("HTTP 500"), 9, 3, id="a store that does not work"),
        pytest.param(StoreError("HTTP 500"), 1, 2, id="one that works again"),
    ],
)
def test_what_cannot_be_removed_is_no_failure_of_the_batch(
    config: PodConfig, working: Store, monkeypatch: pytest.MonkeyPatch, error: StoreError, times: int, tries: int
) -> None:
    working.put("plan.json", b"{}")
    tried: list[str] = []
    remove = type(working).remove

    def refuse(store: Store, names: list[str]) -> None:
        tried.append("x")
        if len(tried) <= times:
            raise error
        remove(store, names)

    monkeypatch.setattr(type(working), "remove", refuse)
    leave_nothing(config, LOCAL, lambda _seconds: None)
    assert len(tried) >= tries
    assert (working.names("") == []) == (times < tries)


# Cleaning up after a batch that was deleted


def test_all_working_objects_are_removed_and_nothing_that_is_not_ours(
    config: PodConfig, working: Store, output: Store, tmp_path: Path
) -> None:
    take_output(output, config.uid, "triage", "default", overwrite=False)
    for name in ("plan.json", "input", "shards/00000/claim-0001", "shards/00000/part-0001-00001.jsonl"):
        working.put(name, b"{}")
    foreign = ["_llmbatch/another-uid/plan.json", "_llmbatch/the-uid/notes.txt", "results.jsonl", "summary.json"]
    for name in foreign:
        output.put(name, b"{}")
    slept: list[float] = []
    assert clean_up(config, LOCAL, _nothing, slept.append) == 5
    assert _files(tmp_path / "out") == foreign
    assert sum(slept) > 30  # so long Kubernetes lets pods end, and write


def test_what_pods_write_at_their_end_is_removed_too_and_the_place_given_up_last(
    config: PodConfig, working: Store, output: Store, tmp_path: Path
) -> None:
    take_output(output, config.uid, "triage", "default", overwrite=False)
    working.put("plan.json", b"{}")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert output.exists(OWNER)
        if len(slept) <= 6:
            working.put(f"shards/00000/part-0001-{len(slept):05d}.jsonl", b"{}")

    assert clean_up(config, LOCAL, _nothing, sleep) == 8
    assert _files(tmp_path / "out") == []


def test_the_place_of_another_batch_stays_its_own(config: PodConfig, output: Store) -> None:
    take_output(output, _ANOTHER, "nightly", "default", overwrite=False)
    assert clean_up(config, LOCAL, _nothing, lambda _seconds: None) == 0
    assert json.loads(output.read(OWNER))["uid"] == _ANOTHER


async def test_there_is_a_stage_for_it_that_can_be_ended(bench: PodBench, volume: Path) -> None:
    bench.batch(place=_PLACE, items=texts(1))
    assert (await bench.run("plan")).code == 0
    async with bench.started("clean") as process:
        await until(lambda: not (volume / "answers/_llmbatch/the-uid/plan.json").exists())
        process.signal(signal.SIGTERM)
        ended = await process.ended()
    assert ended.code == 130, str(ended)


# What stores wait for


class _Waiting(Troubles):
    """Stores that wait, as a test wants it."""

    trouble: StoreTrouble | None = None

    def now(self) -> StoreTrouble | None:
        return self.trouble


def test_stages_that_report_nothing_else_tell_what_stores_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_watch, "_EVERY_S", 0.02)
    (tmp_path / "token").write_text(TOKEN)
    troubles = _Waiting()
    trouble = StoreTrouble(kind="denied", message="access denied", for_s=12)
    with ObjectServer() as server:
        channel = Channel(server.url, "", tmp_path / "token")
        with StoreWatch(channel, "finalize-0", troubles, Halt()):
            troubles.trouble = trouble
            blocking_until(lambda: len(server.reports) >= 2)
            troubles.trouble = None
            blocking_until(lambda: server.reports[-1].store_trouble is None)
            seen = len(server.reports)
        assert {(r.worker, r.asks) for r in server.reports} == {("finalize-0", False)}
        assert [r.store_trouble for r in server.reports[: seen - 1]] == [trouble] * (seen - 1)
        assert len(server.reports) == seen
        channel.close()


def test_a_pod_that_is_told_to_end_waits_no_longer_for_its_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_watch, "_EVERY_S", 0.02)
    (tmp_path / "token").write_text(TOKEN)
    halt, troubles = Halt(), Troubles(is_patient=True)

    def refuse() -> None:
        halt.is_asked = True
        raise StoreDeniedError("access denied")

    with ObjectServer() as server:
        channel = Channel(server.url, "", tmp_path / "token")
        with StoreWatch(channel, "finalize-0", troubles, halt), pytest.raises(StoreDeniedError):
            troubles.patiently(refuse)
        channel.close()
