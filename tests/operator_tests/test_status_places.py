"""What the status says of the input as it was found, and of where the outputs are."""

from typing import Any

import pytest

from llmbatch_contract.progress import Totals
from llmbatch_contract.reports import PlanFacts
from llmbatch_contract.spec import Output
from llmbatch_contract.status import ConditionType, InputFacts, LLMBatchStatus, Phase
from llmbatch_operator.decide import decide
from llmbatch_operator.observed import Decision, Talk
from llmbatch_operator.places import shown_places
from llmbatch_operator.status_of import Pace, status_of
from operator_tests.operator_builders import NOW, PLAN, REF, batch, final, job


def _status(talk: Talk, old: LLMBatchStatus | None = None) -> LLMBatchStatus:
    """Of a batch that asks."""
    return status_of(batch(talk=talk, status=old), Decision(Phase.RUNNING), Pace(Totals()), NOW)


def test_the_status_says_what_the_input_turned_out_to_be() -> None:
    plan = PlanFacts(items=40, shards=4, format="parquet", packing="none", objects=3, bytes=2_000_000)
    made = _status(Talk(plan=plan))
    assert made.input == InputFacts(format="parquet", packing="none", objects=3, bytes=2_000_000)
    assert _status(Talk(), made).input == made.input, "after a restart"


def test_what_a_pod_says_of_the_input_is_cut_to_a_word() -> None:
    plan = PlanFacts(items=40, shards=4, format="x" * 1000, objects=-3)
    found = _status(Talk(plan=plan)).input
    assert found is not None
    assert (len(found.format), found.objects) == (20, 0)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        pytest.param({}, "40 items in 4 shards", id="by an older pod"),
        pytest.param({"format": "jsonl", "packing": "none"}, "40 items in 4 shards (jsonl)", id="inline"),
        pytest.param(
            {"format": "csv", "packing": "gzip", "objects": 1, "bytes": 1500},
            "40 items in 4 shards (csv, gzip, 1 object, 1.5 KiB)",
            id="a packed file",
        ),
        pytest.param(
            {"format": "parquet", "packing": "none", "objects": 1200, "bytes": 5 << 30},
            "40 items in 4 shards (parquet, 1,200 objects, 5 GiB)",
            id="many objects",
        ),
    ],
)
def test_the_condition_planned_tells_of_it(facts: dict[str, Any], told: str) -> None:
    seen = batch(jobs=[job(PLAN, is_complete=True)], talk=Talk(plan=PlanFacts(items=40, shards=4, **facts)))
    assert decide(seen, NOW).facts[ConditionType.PLANNED].message == told


@pytest.mark.parametrize(
    ("output", "names", "results", "errors"),
    [
        pytest.param(
            {}, {}, "llmbatch://team-a/triage/results.jsonl", "llmbatch://team-a/triage/errors.jsonl", id="built in"
        ),
        pytest.param(
            {"uri": "s3://a/b//"},
            {"results_name": "results.csv.gz", "errors_name": "errors.jsonl.gz"},
            "s3://a/b/results.csv.gz",
            "s3://a/b/errors.jsonl.gz",
            id="packed, in a bucket",
        ),
        pytest.param(
            {"pvc": {"claimName": "data", "path": "./a/"}},
            {"results_name": "results/"},
            "pvc:/data/a/results/",
            "pvc:/data/a/errors.jsonl",
            id="many objects, on a volume",
        ),
    ],
)
def test_outputs_are_where_the_batch_wants_them(
    output: dict[str, Any], names: dict[str, Any], results: str, errors: str
) -> None:
    places = shown_places(REF, Output.model_validate(output), final(**names))
    assert (places.results, places.errors) == (results, errors)
