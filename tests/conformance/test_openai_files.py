"""Files of the OpenAI Batch API go through unchanged, and scripts that read its files read ours."""

import json
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml

from conformance.openai_script import MODELS, joined, request, written
from engine.local_run import Bench
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from s3_servers import Bucket

pytest_plugins = ["s3_fixture"]

_SAMPLES = Path(__file__).parents[2] / "deploy" / "samples" / "local"
_TEXTS = ["Hello world!", "Schöne Grüße 🙂", "[[simulate: bad_request]]", "Hello again"]


def _asked(url: str) -> bytes:
    return written([request(number, url, text) for number, text in enumerate(_TEXTS, 1)])


async def _answered_directly(base_url: str, url: str) -> dict[str, Any]:
    """What OpenAI's own client is told for the same requests, without a batch."""
    found: dict[str, Any] = {}
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        for number, text in enumerate(_TEXTS, 1):
            body = request(number, url, text)["body"]
            name = f"request-{number}"
            try:
                found[name] = await _ask(client, url, body)
            except openai.BadRequestError as error:
                found[name] = error.code
    return found


async def _ask(client: openai.AsyncOpenAI, url: str, body: dict[str, Any]) -> Any:
    if url == "/v1/chat/completions":
        return (await client.chat.completions.create(**body)).choices[0].message.content
    if url == "/v1/responses":
        return (await client.responses.create(**body)).output_text
    return (await client.embeddings.create(**body)).data[0].embedding


def _manifest(bench: Bench, source: dict[str, Any], output: dict[str, Any]) -> None:
    bench.batch(input=source, request=None, model=None, output={**output, "format": "openai"})


@pytest.mark.parametrize("url", MODELS)
async def test_a_script_for_openais_files_finds_in_a_folder_what_it_would_be_told(tmp_path: Path, url: str) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        (tmp_path / "batchinput.jsonl").write_bytes(_asked(url))
        _manifest(bench, {"uri": "batchinput.jsonl"}, {"uri": "out"})  # the format is found by itself
        ended = await bench.run()
        assert ended.code == 3, str(ended)
        expected = await _answered_directly(sim.url, url)
    found = joined(_asked(url), *((bench.output / f"{name}.jsonl").read_bytes() for name in ("results", "errors")))
    assert found == expected
    assert expected["request-3"] == "invalid_value"


async def test_a_script_for_openais_files_reads_them_from_a_bucket(tmp_path: Path, versitygw: Bucket) -> None:
    lines = [request(number, url, _TEXTS[number % 4]) for number, url in enumerate([*MODELS] * 4)]
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url, versitygw.environment)
        versitygw.put("in/batchinput.jsonl", written(lines))
        _manifest(bench, {"uri": versitygw.uri("in/batchinput.jsonl")}, {"uri": versitygw.uri("out/")})
        ended = await bench.run()
        assert ended.code == 3, str(ended)
    found = joined(written(lines), versitygw.get("out/results.jsonl"), versitygw.get("out/errors.jsonl"))
    assert list(found) == [f"request-{n}" for n in range(12) if n % 4 != 2] + ["request-2", "request-6", "request-10"]
    assert all(answer == "invalid_value" for name, answer in found.items() if int(name[8:]) % 4 == 2)


async def test_the_sample_of_a_batch_of_openai_runs_with_no_change_but_the_endpoint(tmp_path: Path) -> None:
    manifest = yaml.safe_load((_SAMPLES / "openai-batch.yaml").read_text())
    asked = (_SAMPLES / "openai-batch.jsonl").read_bytes()
    async with Simulator(SimulatorSettings.parse({})) as sim:
        manifest["spec"]["endpoint"]["url"] = sim.url
        bench = Bench(tmp_path, sim.url, {"OPENAI_API_KEY": "none"})
        (tmp_path / "openai-batch.jsonl").write_bytes(asked)
        bench.write(manifest)
        ended = await bench.run()
    assert ended.code == 0, str(ended)
    folder = tmp_path / "openai-batch-output"
    found = joined(asked, (folder / "results.jsonl").read_bytes(), (folder / "errors.jsonl").read_bytes())
    assert list(found) == [json.loads(line)["custom_id"] for line in asked.splitlines()]
