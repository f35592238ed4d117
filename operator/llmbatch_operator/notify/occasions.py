"""What there is to tell about a batch, from its status. Pure.

Each has a time, that of the condition's last transition, so that its id stays the same over restarts and an alarm that
comes back is another one.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime

from llmbatch_contract.holding import Occasion
from llmbatch_contract.status import Condition, ConditionType, LLMBatchStatus, Phase, Reason

_ENDS = (ConditionType.COMPLETE, ConditionType.FAILED, ConditionType.CANCELLED)
_FINISHED = (Phase.SUCCEEDED, Phase.COMPLETED_WITH_ERRORS)
_ALERTS = (ConditionType.ERROR_RATE_HIGH, ConditionType.SLOW, ConditionType.STALLED)
_HOLDING = (
    ConditionType.BUDGET_EXCEEDED,
    ConditionType.BLOCKED,
    ConditionType.ENDPOINT_DOWN,
    ConditionType.CANARY_PASSED,
    ConditionType.SUSPENDED,
)
"""The first that names a reason tells of it, so that nothing is told twice."""
_NO_NEWS = (Reason.SUSPENDED, Reason.OUTSIDE_WINDOW, Reason.ENDPOINT_CHANGED)
_ID_CHARS = 32


@dataclass(frozen=True)
class Notice:
    """One thing to tell."""

    occasion: Occasion
    reason: Reason
    message: str
    since: datetime

    def id_for(self, uid: str, url: str) -> str:
        """The same whenever this is told to this address; it holds no dots, as the signature wants it."""
        facts = (uid, self.occasion, self.reason, str(int(self.since.timestamp())), url)
        digest = hashlib.sha256("\n".join(facts).encode()).digest()
        return "msg_" + base64.b32encode(digest).decode().lower()[:_ID_CHARS]


def notices_of(status: LLMBatchStatus) -> list[Notice]:
    """All that is so now. What users have done themselves, or a window, is nothing to tell them."""
    if status.phase.is_final:
        occasion = Occasion.FINISHED if status.phase in _FINISHED else Occasion.FAILED
        ends = [c for c in status.conditions if c.type in _ENDS and c.status == "True"]
        return [_notice(occasion, c) for c in ends[-1:]]
    held: dict[Reason, Notice] = {}
    for condition in sorted(filter(_is_holding, status.conditions), key=lambda c: _HOLDING.index(c.type)):
        held.setdefault(condition.reason, _notice(Occasion.HELD, condition))
    alerts = [_notice(Occasion.ALERT, c) for c in status.conditions if c.type in _ALERTS and c.status == "True"]
    return [*held.values(), *alerts]


def _is_holding(condition: Condition) -> bool:
    holds = "False" if condition.type is ConditionType.CANARY_PASSED else "True"
    return condition.type in _HOLDING and condition.status == holds and condition.reason not in _NO_NEWS


def _notice(occasion: Occasion, condition: Condition) -> Notice:
    return Notice(occasion, condition.reason, condition.message, condition.last_transition_time)
