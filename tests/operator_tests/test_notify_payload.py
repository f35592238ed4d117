"""What webhooks are told of, the message, and its schema."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import jsonschema_rs
import orjson
import pytest

from llmbatch_contract.holding import Occasion
from llmbatch_contract.status import Condition, ConditionType, LLMBatchStatus, Phase, Reason
from llmbatch_operator.notify.occasions import notices_of
from llmbatch_operator.notify.payload import TYPES, MessageType, payload_of
from operator_tests.notify_builders import NO_SECRET, STALLED, SUCCEEDED, URL, finished, running
from operator_tests.operator_builders import REF, SUSPENDED_CONDITION, condition, status

_ROOT = Path(__file__).parents[2]
_SCHEMA = _ROOT / "docs" / "notify.schema.json"

_NO_MONEY = condition(ConditionType.BUDGET_EXCEEDED, Reason.BUDGET_EXCEEDED, "12 of 12 USD are spent")
_HELD_BY_BUDGET = condition(ConditionType.SUSPENDED, Reason.BUDGET_EXCEEDED, "12 of 12 USD are spent")
_DOWN = condition(ConditionType.ENDPOINT_DOWN, Reason.ENDPOINT_DOWN, "connection refused")
_LOOK_AT_IT = condition(ConditionType.CANARY_PASSED, Reason.APPROVAL_NEEDED, "0 of 20 failed", holds=False)
_AWAITING = condition(ConditionType.SUSPENDED, Reason.APPROVAL_NEEDED, "0 of 20 failed")
_CANARY_WELL = condition(ConditionType.CANARY_PASSED, Reason.CANARY_PASSED)
_CLOSED = condition(ConditionType.SUSPENDED, Reason.OUTSIDE_WINDOW, "it opens at 22:00")
_MOVES = condition(ConditionType.BLOCKED, Reason.ENDPOINT_CHANGED)
_OVER = condition(ConditionType.STALLED, Reason.RECOVERED, holds=False)
_FAILED = condition(ConditionType.FAILED, Reason.STOPPED_BY_FAILURE, "auth: the key is wrong")
_CANCELLED = condition(ConditionType.CANCELLED, Reason.CANCELLED, "spec.cancel is set")


@pytest.mark.parametrize(
    ("so", "told"),
    [
        pytest.param(running(), [], id="a batch that runs is no news"),
        pytest.param(status(Phase.SUCCEEDED, SUCCEEDED), [(Occasion.FINISHED, Reason.SUCCEEDED)], id="succeeded"),
        pytest.param(finished(), [(Occasion.FINISHED, Reason.COMPLETED_WITH_ERRORS)], id="with errors"),
        pytest.param(status(Phase.FAILED, _FAILED), [(Occasion.FAILED, Reason.STOPPED_BY_FAILURE)], id="failed"),
        pytest.param(status(Phase.CANCELLED, _CANCELLED), [(Occasion.FAILED, Reason.CANCELLED)], id="cancelled"),
        pytest.param(running(NO_SECRET), [(Occasion.HELD, Reason.SECRET_MISSING)], id="blocked"),
        pytest.param(running(_DOWN), [(Occasion.HELD, Reason.ENDPOINT_DOWN)], id="the endpoint is down"),
        pytest.param(
            status(Phase.SUSPENDED, _HELD_BY_BUDGET, _NO_MONEY),
            [(Occasion.HELD, Reason.BUDGET_EXCEEDED)],
            id="a budget is told once",
        ),
        pytest.param(
            status(Phase.AWAITING_APPROVAL, _LOOK_AT_IT, _AWAITING),
            [(Occasion.HELD, Reason.APPROVAL_NEEDED)],
            id="somebody has to approve",
        ),
        pytest.param(
            status(Phase.AWAITING_APPROVAL, _AWAITING),
            [(Occasion.HELD, Reason.APPROVAL_NEEDED)],
            id="somebody has to approve, by one condition",
        ),
        pytest.param(running(_CANARY_WELL), [], id="a canary that went well"),
        pytest.param(status(Phase.SUSPENDED, SUSPENDED_CONDITION), [], id="suspended by its user"),
        pytest.param(status(Phase.SUSPENDED, _CLOSED), [], id="its window is closed"),
        pytest.param(running(_MOVES), [], id="pods move to the endpoint's new address"),
        pytest.param(running(STALLED), [(Occasion.ALERT, Reason.STALLED)], id="an alarm"),
        pytest.param(running(_OVER), [], id="an alarm that is over"),
        pytest.param(
            running(STALLED, _DOWN),
            [(Occasion.HELD, Reason.ENDPOINT_DOWN), (Occasion.ALERT, Reason.STALLED)],
            id="two at once",
        ),
    ],
)
def test_what_there_is_to_tell(so: LLMBatchStatus, told: list[tuple[Occasion, Reason]]) -> None:
    assert [(n.occasion, n.reason) for n in notices_of(so)] == told


def test_the_id_of_a_message_stays_the_same_and_no_other_has_it() -> None:
    (notice,) = notices_of(running(STALLED))
    (again,) = notices_of(LLMBatchStatus.load(running(STALLED).dump_json()))
    id_ = notice.id_for(REF.uid, URL)
    assert again.id_for(REF.uid, URL) == id_
    assert id_.removeprefix("msg_").isalnum(), "the signature wants no dots"
    later = STALLED.model_copy(update={"last_transition_time": STALLED.last_transition_time + timedelta(seconds=1)})
    others = [notices_of(running(each))[0].id_for(REF.uid, URL) for each in (later, NO_SECRET)]
    others += [notice.id_for("another batch", URL), notice.id_for(REF.uid, "https://another.example")]
    assert len({id_, *others}) == 5


def test_every_occasion_has_a_type() -> None:
    assert set(TYPES) == set(Occasion)
    assert set(TYPES.values()) == set(MessageType)


def _message(so: LLMBatchStatus) -> bytes:
    (notice,) = notices_of(so)
    return payload_of("msg_1", REF, notice, so).dump_json()


def test_the_message_says_how_the_batch_is() -> None:
    message = orjson.loads(_message(finished()))
    batch = message.pop("batch")
    assert message == {"id": "msg_1", "type": "llmbatch.finished", "timestamp": "2026-11-22T13:00:00Z"}
    assert (batch["namespace"], batch["name"], batch["uid"]) == (REF.namespace, REF.name, REF.uid)
    assert (batch["phase"], batch["reason"]) == ("CompletedWithErrors", "CompletedWithErrors")
    assert batch["errors"] == [{"category": "refusal", "count": 2}]
    assert batch["items"]["failed"] == 2
    assert batch["output"]["results"] == "llmbatch://a/b/results.csv"


def test_no_word_of_an_item_is_in_the_message() -> None:
    assert b"Smith" not in _message(finished())
    assert b"t-7" not in _message(finished())


def _condition(type_: ConditionType, reason: Reason) -> Condition:
    return condition(type_, reason, "x" * 500)


@pytest.mark.parametrize(
    "so", [finished(), running(NO_SECRET), running(STALLED), status(Phase.FAILED, _FAILED)], ids=lambda s: s.phase
)
def test_messages_are_as_the_published_schema_says_and_small(so: LLMBatchStatus) -> None:
    validator = jsonschema_rs.validator_for(orjson.loads(_SCHEMA.read_bytes()))
    message = _message(so)
    validator.validate(orjson.loads(message))
    assert len(message) < 4000


def test_the_schema_refuses_what_is_none() -> None:
    validator = jsonschema_rs.validator_for(orjson.loads(_SCHEMA.read_bytes()))
    message = orjson.loads(_message(finished()))
    assert not validator.is_valid(message | {"type": "llmbatch.eaten"})
    assert not validator.is_valid({name: message[name] for name in ("id", "type", "timestamp")})
    assert validator.is_valid(message | {"more": "to come"}), "later versions may say more"


def test_the_published_schema_is_that_of_the_models(tmp_path: Path) -> None:
    script = _ROOT / "scripts" / "notify_schema.py"
    subprocess.run([sys.executable, script, tmp_path / "schema.json"], check=True)
    assert (tmp_path / "schema.json").read_text() == _SCHEMA.read_text(), "run `make docs`"
