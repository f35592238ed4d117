"""docs/deliver.md and its schema say what is posted."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
import yaml

from builders import batch
from delivering.delivery_bench import Bench
from delivering.result_receiver import KEY, Receiver
from llmbatch_contract.signing import check_key, signed_headers, signing_key
from llmbatch_worker.delivering.requests import Message

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "deliver.md").read_text()
_SCHEMA = _ROOT / "docs" / "deliver.schema.json"
_RECORD = {
    "id": "T-1", "index": 1, "output": None, "finish_reason": None, "model": None, "usage": {}, "attempts": 1,
    "latency_ms": 1.5, "completed_at": "2026-11-22T12:31:07.104Z", "trace_id": "0af7651916cd43dd8448eb211c80319c",
}  # fmt: skip


def _validator() -> Any:
    return jsonschema_rs.validator_for(orjson.loads(_SCHEMA.read_bytes()))


def _examples() -> list[Any]:
    return [orjson.loads(text) for text in re.findall(r"```json\n(.*?)```", _PAGE, re.DOTALL)]


def test_the_example_of_the_page_is_as_the_schema_says() -> None:
    request, _lost, _summary = _examples()
    _validator().validate(request)
    assert Message.load(orjson.dumps(request)).dump() == request


def test_the_schema_refuses_what_is_none() -> None:
    request, validator = _examples()[0], _validator()
    assert not validator.is_valid(request | {"type": "eaten"})
    assert not validator.is_valid(request | {"results": [{"id": "1"}]})
    assert not validator.is_valid({name: request[name] for name in ("type", "batch", "number", "results")})
    assert validator.is_valid(request | {"more": 1, "results": [_RECORD | {"more": "to come"}]})


def test_the_published_schema_is_that_of_the_model(tmp_path: Path) -> None:
    script = _ROOT / "scripts" / "deliver_schema.py"
    subprocess.run([sys.executable, script, tmp_path / "schema.json"], check=True)
    assert (tmp_path / "schema.json").read_text() == _SCHEMA.read_text(), "run `make docs`"


def test_the_manifest_of_the_page_can_be_applied() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", _PAGE, re.DOTALL)
    deliver = batch(**yaml.safe_load(text)["spec"]).spec.deliver
    assert deliver is not None
    assert deliver.batch_size == 100


def test_the_check_of_the_other_page_knows_what_is_genuine(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (_ROOT / "docs" / "notify.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    is_genuine: Callable[[Any, bytes, str], bool] = names["is_genuine"]
    with Receiver() as receiver:
        Bench(tmp_path, list(range(3))).go(receiver)
    (got,) = receiver.got
    assert is_genuine(got.headers, got.body, KEY)
    assert not is_genuine(got.headers, got.body + b" ", KEY)


def test_what_is_undelivered_looks_as_on_the_page(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(3)))
    with Receiver(404) as receiver:
        delivered = bench.go(receiver)
    _request, lost, summary = _examples()
    (row, *_) = bench.undelivered()
    assert list(row) == list(lost)
    assert list(row["error"]) == list(lost["error"])
    assert list(delivered.row()) == list(summary["delivery"])


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", _PAGE))
def test_links_lead_somewhere(link: str) -> None:
    assert (_ROOT / "docs" / link).exists()


# Keys


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="nothing"),
        pytest.param("whsec_", id="no bytes"),
        pytest.param("whsec_" + "AAAA" * 7, id="too few bytes"),
        pytest.param("whsec_" + "AAAA" * 22, id="too many bytes"),
        pytest.param("AAAA" * 8, id="no prefix"),
        pytest.param("whsec_" + "AAA*" * 8, id="no base64"),
        pytest.param("whsec_" + "AAAA" * 8 + "\n", id="a line break"),
        pytest.param("whsec_" + "äAAA" * 8, id="no ASCII"),
    ],
)
def test_what_is_no_key_is_told_without_it(key: str) -> None:
    with pytest.raises(ValueError, match=r"^must be `whsec_` and then 24 to 64 random bytes as base64$"):
        check_key(key)


@pytest.mark.parametrize("key", [KEY, signing_key(b"master", "team-a"), "whsec_" + "AAAA" * 8, "whsec_" + "AAAA" * 21])
def test_keys_are_those_of_the_standard(key: str) -> None:
    check_key(key)
    assert signed_headers(key, "id", 1, b"")["webhook-signature"].startswith("v1,")
