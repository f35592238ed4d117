"""A budget in a local run: it stops in time, says so, and goes on where it stopped when it is raised."""

import json
from pathlib import Path

import pytest

from builders import Document
from engine.local_run import Bench, texts
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_contract.exits import Exit

_PRICES = {"inputPerMillion": 10.0, "outputPerMillion": 10.0}


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_run_ends_when_the_budget_is_spent_and_goes_on_when_it_is_raised(tmp_path: Path, workers: int) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        document = bench.batch(items=texts(200), concurrency=4, shardSize=50, budget={"maxTokens": 2000})
        ended = await bench.run("--workers", str(workers))
        assert ended.code == Exit.INTERRUPTED, str(ended)
        assert "the budget is spent: " in ended.out.splitlines()[-1]
        assert "Raise spec.budget and run the same command again to go on" in ended.out
        assert not (bench.output / "summary.json").exists()
        assert 0 < len(bench.parts()) < 200

        asked = sim.stats.requests
        again = await bench.run("--workers", str(workers))
        assert again.code == Exit.INTERRUPTED, str(again)
        assert sim.stats.requests <= asked + 2, "what was spent before counts"

        document["spec"]["budget"] = {"maxTokens": 1_000_000}
        bench.write(document)
        finished = await bench.run("--workers", str(workers))
        assert finished.code == Exit.SUCCEEDED, str(finished)
        assert bench.indexes() == list(range(200))


async def test_a_run_with_all_items_answered_ends_well_though_the_budget_is_spent(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        document = bench.batch(items=texts(5))
        assert (await bench.run()).code == Exit.SUCCEEDED
        (bench.output / "summary.json").unlink()
        uid = json.loads((bench.state / "plan.json").read_text())["uid"]
        (bench.state / "spent.json").write_text(json.dumps({"uid": uid, "tokens": 999, "cost": 0}))
        document["spec"]["budget"] = {"maxTokens": 900}
        bench.write(document)
        again = await bench.run()
        assert again.code == Exit.SUCCEEDED, str(again)
        assert sim.stats.requests == 5


async def test_a_budget_of_money_is_told_with_its_currency(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(200), concurrency=2, budget={"maxCost": 0.01}, pricing=_PRICES)
        ended = await bench.run()
        assert ended.code == Exit.INTERRUPTED, str(ended)
        assert " USD; what was answered is kept" in ended.out
        tokens = sum(record["usage"]["total_tokens"] for record in bench.parts())
        assert 0.005 <= tokens * 1e-5 <= 0.01


async def test_what_works_on_a_cluster_only_is_told_once(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        window: Document = {"start": "22:00", "end": "06:00"}
        bench.batch(items=texts(3), canary={"items": 1}, window=window)
        ended = await bench.run()
        assert ended.code == Exit.SUCCEEDED, str(ended)
        sentence = "passed over, for they work on a cluster only: spec.canary, spec.window"
        assert ended.out.splitlines().count(sentence) == 1
