"""Which Jobs ask another endpoint than they should, as its URL, headers or key have changed. Pure.

Their pods end in order, and others begin. A Job with the same key is woken again: its finished shards stay finished.
One with another key is made anew, as the key's place stands in its template; its finished shards end at once.
"""

from llmbatch_contract.pods import Stage
from llmbatch_operator.facts import JobFacts
from llmbatch_operator.observed import Observed

_SILENT = (Stage.PLAN, Stage.FINALIZE)


def asks_elsewhere(o: Observed) -> bool:
    """Whether pods ask, or may, what they should not ask any more."""
    return any(_is_stale(o, job) and not o.is_at_rest(stage) for stage, job in o.jobs.items())


def wants_another_job(o: Observed, job: JobFacts) -> bool:
    """Whether pods of the Job would have the wrong key."""
    return _is_stale(o, job) and o.mark is not None and job.mark is not None and job.mark.key != o.mark.key


def _is_stale(o: Observed, job: JobFacts) -> bool:
    if job.stage in _SILENT or job.is_finished or job.mark is None or o.mark is None:
        return False
    return job.mark != o.mark
