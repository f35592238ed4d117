"""docs/states.md draws the phases that there are, and explains the reasons that the operator gives."""

import re
from pathlib import Path

import pytest

from llmbatch_contract.pods import Stage
from llmbatch_contract.status import Condition, ConditionType, LLMBatchStatus, Phase, Reason
from llmbatch_operator.events import events_of
from llmbatch_operator.facts import BatchRef
from llmbatch_operator.jobs import job_name

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "states.md").read_text()
_OPERATOR = "".join(p.read_text() for p in (_ROOT / "operator" / "llmbatch_operator").glob("*.py"))
_EDGES = re.findall(r"^    (\S+) --> ([^:\n]+?)(?::.*)?$", _PAGE, re.MULTILINE)
_EVENT_ROWS = re.findall(r"^\| `(\w+)`( is false)? \| (`.*`|those.*) \| (Normal|Warning) \|$", _PAGE, re.MULTILINE)


def test_the_diagram_draws_every_phase_but_the_one_before_anything_happens() -> None:
    drawn = {name for edge in _EDGES for name in edge} - {"[*]"}
    assert drawn == {phase.value for phase in Phase} - {Phase.PENDING}


def test_final_phases_are_drawn_as_ends() -> None:
    ends = {start for start, end in _EDGES if end == "[*]"}
    assert ends == {phase.value for phase in Phase if phase.is_final}
    assert {start for start, end in _EDGES if end != "[*]"}.isdisjoint(ends)


def test_the_page_explains_every_reason_that_the_operator_gives() -> None:
    given = {Reason[name].value for name in re.findall(r"\bReason\.([A-Z_]+)\b", _OPERATOR)}
    named = set(re.findall(r"`([A-Z]\w+)`", _PAGE)) & {reason.value for reason in Reason}
    assert named == given


def test_every_condition_has_its_events() -> None:
    assert {row[0] for row in _EVENT_ROWS} == {type_.value for type_ in ConditionType}


@pytest.mark.parametrize(("type_", "is_false", "reasons", "event"), _EVENT_ROWS)
def test_events_are_of_the_type_that_the_page_says(type_: str, is_false: str, reasons: str, event: str) -> None:
    for reason in re.findall(r"`(\w+)`", reasons) if reasons.startswith("`") else ["StoppedByFailure"]:
        condition = Condition.model_validate(
            {
                "type": type_,
                "status": "False" if is_false else "True",
                "reason": reason,
                "lastTransitionTime": "2026-11-22T12:00:00Z",
            }
        )
        old = LLMBatchStatus(phase=Phase.RUNNING)
        [told] = events_of(old, old.model_copy(update={"conditions": [condition]}))
        assert (told.type, told.reason) == (event, reason)


@pytest.mark.parametrize("stage", Stage)
def test_jobs_are_called_as_the_page_says(stage: Stage) -> None:
    suffix = job_name(BatchRef("default", "NAME", "00000-"), stage).rpartition("-")[2]
    assert f"`NAME-…-{suffix}`" in _PAGE
