"""What a batch says about an endpoint that answers nothing. Pure.

The pods wait by themselves, and one of them asks now and then; so this decides nothing and only tells.
"""

from llmbatch_contract.status import ConditionType, Reason
from llmbatch_operator.observed import Fact, Observed

_WORTH_A_WORD_S = 5.0


def endpoint_is_down(o: Observed) -> dict[ConditionType, Fact]:
    """The condition EndpointDown, where it has changed or holds."""
    down, known = o.talk.down, o.condition(ConditionType.ENDPOINT_DOWN)
    if down is not None and (known is not None or down.since_s >= _WORTH_A_WORD_S):
        seen = f"{down.trouble.category}: {down.trouble.message}" if down.trouble is not None else "no request succeeds"
        message = f"{seen}; the batch waits and goes on by itself, one pod asks now and then"
        return {ConditionType.ENDPOINT_DOWN: Fact(True, Reason.ENDPOINT_DOWN, message)}
    if known is not None and down is None and o.talk.has_answered:  # just restarted, it is not known yet
        return {ConditionType.ENDPOINT_DOWN: Fact(False, Reason.ENDPOINT_ANSWERS, "the endpoint answers again")}
    return {}


def nobody_asks_it(o: Observed) -> dict[ConditionType, Fact]:
    """Of a batch that is held: should the endpoint still be down when it goes on, that is told anew."""
    if o.condition(ConditionType.ENDPOINT_DOWN) is None:
        return {}
    return {ConditionType.ENDPOINT_DOWN: Fact(False, Reason.RECOVERED, "the batch is held and does not ask it")}
