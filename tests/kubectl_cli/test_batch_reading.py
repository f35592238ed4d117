"""An LLMBatch is read whatever an operator of another version has written."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_cli.batch_documents import NOW, batch, condition, document, outputs, status, tally
from llmbatch_cli.kubectl.batches import FINAL_PHASES, Fields, read_batch
from llmbatch_cli.kubectl.status_view import moment, page, table
from llmbatch_contract.status import LLMBatchStatus, Phase

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_FULL = document(
    status(
        "Running",
        total=10,
        succeeded=4,
        failed=1,
        conditions=[condition("Blocked", "SecretMissing")],
        shards={"total": 2, "active": 1},
        usage={"totalTokens": 9, "inputTokens": 5},
        cost={"amount": 1, "currency": "USD", "display": "1 USD"},
        latency={"p50": 1.5},
        errors=[tally("timeout", 1, "a", "late")],
        output=outputs(),
        startTime="2026-11-22T08:00:00Z",
        estimatedCompletionTime="2026-11-22T08:09:00Z",
        itemsPerMinute=3,
        timeLeft="1m40s",
    )
)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, each in inner for deeper in paths(each, (*path, key)))]


@given(path=st.sampled_from(paths(_FULL)[1:]), value=_JSON)
def test_a_field_that_is_not_as_expected_never_ends_a_command(path: tuple[str | int, ...], value: Any) -> None:
    spoiled = copy.deepcopy(_FULL)
    place: Any = spoiled
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    read = read_batch(spoiled)
    assert page(read, NOW)
    assert table([read], NOW, with_namespace=True)
    assert moment(read)


def test_final_phases_are_those_of_the_operator() -> None:
    assert {phase.value for phase in Phase if phase.is_final} == FINAL_PHASES


def test_what_the_operators_model_writes_is_read() -> None:
    written = LLMBatchStatus.model_validate(_FULL["status"]).dump()
    read = read_batch(document(written))
    assert (read.phase, read.items.total, read.items.succeeded, read.items.done) == ("Running", 10, 4, 5)
    assert [c.reason for c in read.conditions] == ["SecretMissing"]
    assert read.status.time("estimatedCompletionTime") == datetime(2026, 11, 22, 8, 9, tzinfo=UTC)
    assert [e.sample_message for e in read.errors] == ["late"]


def test_a_condition_that_does_not_hold_is_passed_over() -> None:
    assert batch(status(conditions=[condition("Blocked", "NotBlocked", holds=False)])).conditions == ()


@pytest.mark.parametrize(
    ("given", "share"),
    [
        pytest.param(status("Running", total=8, succeeded=1, failed=1), 0.25, id="what is answered counts"),
        pytest.param(status("Cancelled", total=8, succeeded=2, cancelled=6), 0.25, id="what is cancelled does not"),
        pytest.param(status("Succeeded", total=0), 1.0, id="a finished batch of no items is whole"),
        pytest.param(status("Planning"), 0.0, id="one that is being planned is not begun"),
    ],
)
def test_how_much_is_done(given: dict[str, Any], share: float) -> None:
    assert batch(given).share == share


def test_fields_of_a_wrong_type_count_as_not_set() -> None:
    fields = Fields({"n": True, "t": 3, "when": "2026-11-22T08:00:00", "list": {}, "part": []})
    assert (fields.number("n"), fields.count("n"), fields.text("t", "?"), fields.time("when")) == (None, 0, "?", None)
    assert (fields.parts("list"), fields.part("part").is_empty) == ([], True)
