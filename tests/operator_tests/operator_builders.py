"""Builders of what the operator looks at, with sensible defaults: a planned batch of 40 items in 4 shards.

decide(batch(jobs=[job(PLAN, is_complete=True)], talk=Talk(plan=PLANNED)), NOW)
batch(spec(suspend=True), jobs=[job(SHARD, active=2)], pods=[pod(SHARD)], status=status(Phase.RUNNING, planned()))
"""

from datetime import UTC, datetime
from typing import Any

import builders
from llmbatch_contract.categories import Category
from llmbatch_contract.pods import FinalCounts, LastWords, PodError, Stage
from llmbatch_contract.reports import PlanFacts, StopReason
from llmbatch_contract.sharing import EndpointShares
from llmbatch_contract.spec import LLMBatch, LLMBatchSpec
from llmbatch_contract.status import Condition, ConditionType, ItemCounts, LLMBatchStatus, Phase, Reason, ShardCounts
from llmbatch_contract.trace import trace_of
from llmbatch_contract.usage import Usage
from llmbatch_operator.facts import BatchRef, JobFacts, PodFacts
from llmbatch_operator.jobs import job_name
from llmbatch_operator.observed import Observed, Talk
from llmbatch_operator.pools import Pool
from llmbatch_operator.session import Session

PLAN, CANARY, SHARD, FINALIZE, RUN = Stage.PLAN, Stage.CANARY, Stage.SHARD, Stage.FINALIZE, Stage.RUN
CLEAN = Stage.CLEAN
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
REF = BatchRef("team-a", "triage", "3f2a1c00-0000-4000-8000-000000000000")
PLANNED = PlanFacts(items=40, shards=4)
WRONG_KEY = StopReason(category=Category.AUTH, message="HTTP 401: the key is wrong")
CONFIG_MAP = {"configMap": {"name": "tickets", "key": "items.csv"}}
INLINE = {"items": [{"body": "it is broken"}]}


def manifest(**fields: Any) -> LLMBatch:
    """A batch whose items are in a ConfigMap."""
    return builders.batch(**{"input": CONFIG_MAP, **fields})


def spec(**fields: Any) -> LLMBatchSpec:
    """Its spec."""
    return manifest(**fields).spec


def session_of(**fields: Any) -> Session:
    """What its workers say; nobody shares its endpoint."""
    its_spec = spec(**fields)
    return Session(REF, its_spec, Pool(str(REF), EndpointShares(its_spec.endpoint.limits, 0.0)))


def job(stage: Stage, **facts: Any) -> JobFacts:
    """A Job at work: one pod, or for shards four."""
    shards = 4 if stage is SHARD else 1
    is_quiet = facts.get("is_complete") or facts.get("failure") or facts.get("is_suspended")
    defaults: dict[str, Any] = {
        "name": job_name(REF, stage),
        "uid": f"job-{stage}",
        "stage": stage,
        "batch_uid": REF.uid,
        "parallelism": shards,
        "completions": shards,
        "is_suspended": False,
        "active": 0 if is_quiet else shards,
        "succeeded": 0,
        "failed_indexes": 0,
    }
    return JobFacts(**defaults | facts)


def pod(stage: Stage, phase: str = "Running", **facts: Any) -> PodFacts:
    """A pod of the stage's Job."""
    name = facts.pop("name", f"{stage}-0")
    defaults = {"name": name, "uid": f"uid-{name}", "stage": stage, "batch_uid": REF.uid, "job_uid": f"job-{stage}"}
    return PodFacts(**defaults | {"phase": phase} | facts)


def failed_pod(stage: Stage, kind: str, message: str) -> PodFacts:
    """A pod that has ended with an error in words."""
    words = LastWords(stage=stage, error=PodError(kind=kind, message=message))
    return pod(stage, "Failed", last_words=words, ended_by="Error, exit code 1")


def final(succeeded: int = 40, failed: int = 0, cancelled: int = 0, **fields: Any) -> FinalCounts:
    """What finalize has counted."""
    defaults = {
        "items": succeeded + failed + cancelled,
        "succeeded": succeeded,
        "failed": failed,
        "cancelled": cancelled,
        "attempts": 0,
        "retries": 0,
        "resent": 0,
        "usage": Usage(),
        "latency_ms": {"p50": None, "p95": None, "p99": None},
        "errors": [],
        "output_bytes": 0,
        "results_name": "results.jsonl",
    }
    return FinalCounts.model_validate(defaults | fields)


def condition(type_: ConditionType, reason: Reason, message: str = "", *, holds: bool = True) -> Condition:
    """A condition since NOW."""
    return Condition(
        type=type_,
        status="True" if holds else "False",
        reason=reason,
        message=message,
        last_transition_time=NOW,
        observed_generation=1,
    )


PLANNED_CONDITION = condition(ConditionType.PLANNED, Reason.PLANNED, "40 items in 4 shards")
SUSPENDED_CONDITION = condition(ConditionType.SUSPENDED, Reason.SUSPENDED, "spec.suspend is set; no pods run")


def stopping(reason: Reason, message: str) -> Condition:
    """The batch is known to end early."""
    return condition(ConditionType.STOPPING, reason, message)


CANCELLING = stopping(Reason.CANCELLED, "spec.cancel is set")


def status(phase: Phase, *conditions: Condition, **fields: Any) -> LLMBatchStatus:
    """A status as it was written; with Planned among the conditions, counts as well."""
    defaults: dict[str, Any] = {"start_time": NOW, "observed_generation": 1}
    if PLANNED_CONDITION in conditions:
        defaults |= {"items": ItemCounts(total=40, pending=40), "shards": ShardCounts(total=4)}
    return LLMBatchStatus(phase=phase, conditions=list(conditions), **defaults | fields)


def batch(
    spec_: LLMBatchSpec | None = None,
    *,
    jobs: list[JobFacts] | None = None,
    pods: list[PodFacts] | None = None,
    talk: Talk | None = None,
    status: LLMBatchStatus | None = None,
    problems: str = "",
    **fields: Any,
) -> Observed:
    """What a decision looks at. `problems` make the spec invalid; other keywords are fields of the spec."""
    return Observed(
        ref=REF,
        generation=1,
        spec=None if problems else spec_ or spec(**fields),
        problems=problems,
        trace=trace_of(REF.uid),
        status=status,
        jobs={job.stage: job for job in jobs or []},
        pods=tuple(pods or []),
        talk=talk or Talk(),
    )
