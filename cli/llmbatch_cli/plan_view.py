"""What `llmbatch plan` shows: items, shards, the first request, an estimate of tokens and cost, problems found."""

from typing import Any

import orjson

from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan
from llmbatch_contract.spec import Api, Packing
from llmbatch_contract.usage import Usage
from llmbatch_worker.planning.planner import Planned
from llmbatch_worker.stores.uris import readable_uri

_GUESSED_OUTPUT_TOKENS = 256
_IN_PLACE = "where it is, by each shard its own range"
_COPIED = "once, into the working store, as JSON lines"


def plan_report(job: Job, planned: Planned) -> dict[str, Any]:
    """The plan as data, for `--output json`."""
    plan, spec = planned.plan, job.batch.spec
    usage = _usage_estimate(planned)
    cost = usage.cost(spec.endpoint.pricing)
    question = planned.first_question
    return {
        "name": job.batch.metadata.name,
        "input": {
            "uri": readable_uri(plan.input.uri),
            "format": plan.input.format.value,
            "packing": plan.input.packing.value,
            "objects": len(plan.input.objects),
            "bytes": plan.input.size,
            "items": planned.of_items,
            "copied": plan.input.unpacked,
        },
        "items": plan.items,
        "are_chosen": spec.input.where is not None or spec.input.sample is not None,
        "fields": plan.input.fields,
        "missing_fields": {
            name: {"items": lack.items, "first": lack.first} for name, lack in sorted(planned.lacks.items())
        },
        "shards": len(plan.shards),
        "endpoint": spec.endpoint.base_url,
        "first_request": None if question is None else {
            "path": question.api.path,
            "body": orjson.loads(question.body),
        },
        "estimate": {
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "cost": None if cost is None else round(cost, 4),
            "currency": spec.endpoint.pricing.currency if spec.endpoint.pricing is not None else None,
            "minutes_at_least": _least_minutes(plan, usage, job),
        },
        "problems": [] if not planned.misfits else [
            f"the templates do not fit {planned.misfits} items or more, which would end as template_error; "
            f"the first: {planned.first_misfit}"
        ],
    }  # fmt: skip


def describe_plan(report: dict[str, Any]) -> str:
    """The plan in words."""
    estimate, first = report["estimate"], report["first_request"]
    lines = [
        f"{report['name']}: {_items(report)} in {report['shards']:,} shards",
        f"  input      {report['input']['uri']} ({_kind(report['input'])})",
        f"  read       {_COPIED if report['input']['copied'] else _IN_PLACE}",
        f"  {'columns' if report['input']['format'] == 'parquet' else 'fields':<10} {', '.join(report['fields'])}",
        *(f"  missing    {_lack(name, lack)}" for name, lack in report["missing_fields"].items()),
        f"  tokens     about {estimate['input_tokens']:,} in, up to {estimate['output_tokens']:,} out",
    ]
    if estimate["cost"] is not None:
        lines.append(f"  cost       up to about {estimate['cost']:,.4f} {estimate['currency']}")
    if estimate["minutes_at_least"] is not None:
        lines.append(f"  time       at least {estimate['minutes_at_least']:,.1f} minutes, by the endpoint's limits")
    if first is not None:
        body = orjson.dumps(first["body"], option=orjson.OPT_INDENT_2).decode().replace("\n", "\n  ")
        lines.append(f"  first      POST {report['endpoint']}{first['path']}\n  {body}")
    return "\n".join([*lines, *(f"  problem    {p}" for p in report["problems"])])


def _lack(name: str, lack: dict[str, Any]) -> str:
    return f"{name}: {lack['items']:,} {'item' if lack['items'] == 1 else 'items'}, the first {lack['first']}"


def _items(report: dict[str, Any]) -> str:
    """How many, and of how many: those that the input was seen to have."""
    there = report["input"]["items"]
    if there is None:
        return f"{report['items']:,} items, chosen," if report["are_chosen"] else f"the first {report['items']:,} items"
    return f"{report['items']:,} items" if there == report["items"] else f"{report['items']:,} of {there:,} items"


def _kind(given: dict[str, Any]) -> str:
    packing = [] if given["packing"] == Packing.NONE.value else [given["packing"]]
    objects = [f"{given['objects']:,} objects"] if given["objects"] > 1 else []
    return ", ".join([given["format"], *packing, *objects, f"{given['bytes']:,} bytes"])


def _usage_estimate(planned: Planned) -> Usage:
    question = planned.first_question
    limit = question.max_output_tokens if question is not None else None
    if question is not None and question.api is Api.EMBEDDINGS:
        limit = 0
    output = planned.plan.items * (limit if limit is not None else _GUESSED_OUTPUT_TOKENS)
    return Usage(input=planned.plan.input_tokens_estimate, output=output)


def _least_minutes(plan: Plan, usage: Usage, job: Job) -> float | None:
    limits = job.batch.spec.endpoint.limits
    bounds = [
        amount / limit
        for amount, limit in (
            (plan.items, limits.requests_per_minute),
            (usage.input, limits.tokens_per_minute),
            (usage.input, limits.input_tokens_per_minute),
        )
        if limit is not None
    ]
    return round(max(bounds), 2) if bounds else None
