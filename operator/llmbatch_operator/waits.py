"""What holds a worker back, in a word or two, as the status shows it. Pure."""

from llmbatch_contract.reports import Report
from llmbatch_operator.shown import RATE_WORDS

THE_ENDPOINT = "the endpoint"
"""It is down, or has asked to wait."""
BUDGET = "budget"
_LIMITS = {**RATE_WORDS, "concurrency": "concurrency"}


def what_holds_back(report: Report) -> tuple[str, ...]:
    """The limits of which the worker says that it could use more than it has; its budget, if it is too little."""
    held = [
        word
        for name, word in _LIMITS.items()
        if getattr(report.demand, name) is None and getattr(report.holds, name) is not None
    ]
    return (*held, BUDGET) if report.waits_for_budget else tuple(held)
