"""One pass over the input finds every problem before anything is sent."""

from pathlib import Path
from typing import Any

import pytest

from builders import batch
from engine.local_run import texts, write_jsonl
from llmbatch_contract.errors import ClaimLostError, InputError, InvalidError
from llmbatch_contract.layout import PLAN
from llmbatch_contract.plan import Plan
from llmbatch_worker.planning.planner import Planned, make_plan
from llmbatch_worker.stores.local import LocalStore


def _plan(path: Path, store: LocalStore | None = None, uid: str = "u", **fields: Any) -> Planned:
    return make_plan(batch(uri=path.as_uri(), **fields), store, uid=uid, created_at="2026-01-01T00:00:00Z")


def test_a_field_that_no_item_has_is_an_error_with_a_suggestion(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", texts(3))
    with pytest.raises(InputError, match=r"no item has the field txt .* did you mean text"):
        _plan(path, prompt="{{ txt }}")


def test_items_that_a_template_does_not_fit_are_counted_and_the_first_is_shown(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", [*texts(2), {"other": 1}, {"other": 2}])
    planned = _plan(path, prompt="{{ text }}")
    assert (planned.plan.items, planned.misfits) == (4, 2)
    assert "in.jsonl:3: spec.request.prompt: line 1" in (planned.first_misfit or "")


def test_a_template_that_fits_no_item_is_an_error(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", texts(2))
    with pytest.raises(InputError, match="fit no item"):
        _plan(path, prompt="{{ text.a.b }}")


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "a"}\n{"text": \n')
    with pytest.raises(InputError, match=r"in\.jsonl:2: column"):
        _plan(path, prompt="{{ text }}")


def test_a_schema_that_is_none_is_an_error(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", texts(1))
    with pytest.raises(InvalidError, match="responseSchema"):
        _plan(path, request={"prompt": "x", "responseSchema": {"type": "objekt"}})


def test_the_plan_is_in_the_store_as_it_was_made(tmp_path: Path) -> None:
    path, store = write_jsonl(tmp_path / "in.jsonl", texts(10)), LocalStore((tmp_path / "state").as_uri())
    planned = _plan(path, store, prompt="{{ text }}", shard_size=3)
    assert Plan.load(store.read(PLAN)) == planned.plan
    assert [s.items for s in planned.plan.shards] == [3, 3, 3, 1]


def test_of_two_runs_that_plan_at_once_the_later_is_told_to_run_again(tmp_path: Path) -> None:
    path, store = write_jsonl(tmp_path / "in.jsonl", texts(20_000)), LocalStore((tmp_path / "state").as_uri())
    document = batch(uri=path.as_uri(), prompt="{{ text }}")
    others: list[Planned] = []

    def other_run(_items: int) -> None:
        others.append(make_plan(document, store, uid="other", created_at="2026-01-01T00:00:00Z", workers=7))

    with pytest.raises(ClaimLostError, match="run again to continue it"):
        make_plan(document, store, uid="one", created_at="2026-01-01T00:00:00Z", on_items=other_run)
    assert others[0].plan.uid == Plan.load(store.read(PLAN)).uid
