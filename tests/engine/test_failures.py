"""What becomes of items that fail, each kind of failure over real HTTP."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.local_run import Bench, texts, until
from llmbatch_cli.simulator import Simulator, SimulatorSettings

ATTEMPTS = 3
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}

# directive of the simulator: category of the dead letter and attempts, None for an answer
_ENDS: dict[str, tuple[str | None, int]] = {
    "server_error": ("server_error", ATTEMPTS),
    "bad_request": ("invalid_request", 1),
    "context_length": ("context_length", 1),
    "content_policy": ("content_filter", 1),
    "hang": ("timeout", ATTEMPTS),
    "reset": ("connection", ATTEMPTS),
    "close": ("connection", ATTEMPTS),
    "html": ("server_error", ATTEMPTS),
    "truncated_json": ("server_error", ATTEMPTS),
    "empty": ("invalid_output", ATTEMPTS),
    "length": ("truncated", 1),
    "filter": ("content_filter", 1),
    "refusal": ("refusal", 1),
    "overloaded": ("overloaded", 10 * ATTEMPTS),
    "server_error x2": (None, 3),
    "hang x1": (None, 2),
    "reset x2": (None, 3),
    "empty x2": (None, 3),
    "overloaded x5": (None, 6),
    "slow": (None, 1),
}


async def test_each_failure_ends_in_its_category_after_the_right_number_of_attempts(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "5ms"})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(
            items=[{"text": "fine"}, *({"text": f"[[simulate: {directive}]]"} for directive in _ENDS)],
            retry={"maxAttempts": ATTEMPTS, "initialSeconds": 0.01, "maxSeconds": 0.02},
            requestTimeoutSeconds=1.5,
        )
        ended = await bench.run()
    assert ended.code == 3, str(ended)
    found = {r["index"]: (None, r["attempts"]) for r in bench.results()}
    found |= {r["index"]: (r["error"]["category"], r["attempts"]) for r in bench.errors()}
    assert {name: found[index] for index, name in enumerate(_ENDS, 1)} == _ENDS
    assert found[0] == (None, 1)


_ESCAPABLE = [("permission", "permission"), ("not_found", "model_not_found")]


@pytest.mark.parametrize(("directive", "category"), _ESCAPABLE)
async def test_a_403_or_404_stops_the_batch_while_nothing_has_succeeded(
    tmp_path: Path, directive: str, category: str
) -> None:
    async with Simulator(SimulatorSettings.parse({"fail": {directive: 1.0}, "fail_attempts": 0})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(20), concurrency=1)
        assert (await bench.run()).code == 1
        assert sim.stats.requests == 1
        assert bench.summary()["reason"]["category"] == category


@pytest.mark.parametrize(("directive", "category"), _ESCAPABLE)
async def test_a_403_or_404_fails_only_its_item_once_others_have_succeeded(
    tmp_path: Path, directive: str, category: str
) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=[*texts(5), {"text": f"[[simulate: {directive}]]"}, *texts(5)], concurrency=1)
        assert (await bench.run()).code == 3
        assert [(e["index"], e["error"]["category"]) for e in bench.errors()] == [(5, category)]
        assert len(bench.results()) == 10


@pytest.mark.parametrize(
    ("directive", "category", "status"),
    [("auth", "auth", 401), ("quota", "quota_exhausted", 429)],
)
async def test_a_stopping_failure_ends_the_batch_and_a_second_run_asks_only_the_rest(
    tmp_path: Path, directive: str, category: str, status: int
) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "10ms"})) as sim:
        bench = Bench(tmp_path, sim.url)
        items = texts(20)
        bench.batch(items=items, concurrency=1)
        sim.update(fail={})
        async with bench.started() as process:
            await until(lambda: sim.stats.answered_ok >= 5)
            sim.update(fail={directive: 1.0}, fail_attempts=0)
            ended = await process.ended()
        assert ended.code == 1, str(ended)
        answered = {r["index"] for r in bench.results()}
        assert len(answered) == sim.stats.answered_ok >= 5
        assert bench.indexes() == list(range(20))
        assert {e["error"]["category"] for e in bench.errors()} == {"cancelled"}
        assert all(category in e["error"]["message"] for e in bench.errors())
        assert all(str(status) in e["error"]["message"] for e in bench.errors())
        summary = bench.summary()
        assert (summary["phase"], summary["reason"]["category"]) == ("Failed", category)
        assert summary["items"] == {
            "total": 20,
            "succeeded": len(answered),
            "failed": 0,
            "cancelled": 20 - len(answered),
        }
        sim.update(fail={})
        sim.reset()
        again = await bench.run()
        assert again.code == 0, str(again)
        assert [r["index"] for r in bench.results()] == list(range(20))
        assert sim.stats.requests == 20 - len(answered)


@pytest.mark.parametrize("workers", [1, 3])
async def test_every_item_is_once_in_results_or_errors_whatever_fails(tmp_path: Path, workers: int) -> None:
    fail = {"server_error": 0.05, "reset": 0.02, "refusal": 0.05, "bad_request": 0.05, "empty": 0.05, "html": 0.02}
    fail |= {"rate_limit": 0.0, "overloaded": 0.02, "close": 0.02, "truncated_json": 0.02, "length": 0.05}
    async with Simulator(SimulatorSettings.parse({"latency": "5ms", "fail": fail, "fail_attempts": 2})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(2000), concurrency=32, retry={"maxAttempts": 2, "initialSeconds": 0.01})
        ended = await bench.run("--workers", str(workers))
        assert ended.code == 3, str(ended)
    assert bench.indexes() == list(range(2000))
    summary = bench.summary()
    counts = Counter(e["error"]["category"] for e in bench.errors())
    assert {e["category"]: e["count"] for e in summary["errors"]} == counts
    assert summary["items"]["succeeded"] == len(bench.results())
    assert summary["items"]["failed"] == len(bench.errors())
    assert summary["resent_items"] == 0


async def test_keys_stay_over_retries_of_an_error_and_change_after_a_rejected_answer(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        items = [{"text": f"[[simulate: {d} x2]]"} for d in ("server_error", "reset", "empty")]
        bench.batch(items=items)
        ended = await bench.run()
        assert ended.code == 0, str(ended)
        uid = bench.summary()["uid"]
        assert sim.stats.keys == {f"{uid}-0": 3, f"{uid}-1": 3, f"{uid}-2": 1, f"{uid}-2-1": 1, f"{uid}-2-2": 1}


async def test_an_answer_that_violates_the_schema_is_asked_again(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        items = [{"text": "[[simulate: wrong_schema x2]]"}, {"text": "[[simulate: wrong_schema]]"}]
        bench.batch(items=items, request={"prompt": "{{ text }}", "responseSchema": SCHEMA})
        ended = await bench.run()
    assert ended.code == 3, str(ended)
    (result,), (error,) = bench.results(), bench.errors()
    assert (type(result["output"]["n"]), result["attempts"]) == (int, 3)
    assert (error["error"]["category"], error["attempts"]) == ("invalid_output", 5)
    assert error["usage"]["total_tokens"] > result["usage"]["total_tokens"] / 3


async def test_a_slow_item_does_not_hold_back_the_others(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=[{"text": "[[simulate: latency 2s]]"}, *texts(200)], concurrency=2, shard_size=10)
        async with bench.started() as process:
            await until(lambda: sim.stats.answered_ok >= 200)
            assert sim.stats.in_flight == 1
            assert (await process.ended()).code == 0


async def _stopped_by_policy(bench: Bench, policy: dict[str, Any], failing: int, fine: int) -> tuple[int, Any]:
    items = [{"text": f"[[simulate: refusal]] {n}"} for n in range(failing)] + texts(fine)
    bench.batch(items=items, concurrency=2, failurePolicy=policy)
    return (await bench.run()).code, bench.summary()


async def test_too_many_failures_stop_the_batch_and_say_which(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "25ms"})) as sim:
        policy = {"maxFailurePercent": 10, "minItems": 20}
        code, summary = await _stopped_by_policy(Bench(tmp_path, sim.url), policy, 40, 300)
    assert code == 1
    assert summary["reason"]["category"] == "refusal"
    assert "maxFailurePercent 10" in summary["reason"]["message"]
    assert "refusal" in summary["reason"]["message"]
    assert summary["items"]["cancelled"] > 100


async def test_a_few_failures_at_the_start_do_not_stop_the_batch_before_min_items(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "25ms"})) as sim:
        policy = {"maxFailurePercent": 50, "minItems": 100}
        code, summary = await _stopped_by_policy(Bench(tmp_path, sim.url), policy, 30, 100)
    assert (code, summary["phase"]) == (3, "CompletedWithErrors")


@pytest.mark.parametrize("api", ["chat", "responses", "completions", "embeddings"])
async def test_each_api_is_asked_and_understood(tmp_path: Path, api: str) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(3), request={"api": api, "prompt": "{{ text }}"})
        ended = await bench.run()
    assert ended.code == 0, str(ended)
    kind = list if api == "embeddings" else str
    assert [type(r["output"]) for r in bench.results()] == [kind] * 3
    assert all(r["usage"]["input_tokens"] > 0 for r in bench.results())
    json.dumps(bench.summary())
