"""The parts of docs/reference.md that no model holds; used by reference.py, which checks the names."""

INTRO = """\
<!-- Written by scripts/reference.py from the models: change those and run `make docs`. -->
# Reference

Everything a manifest can say and everything a batch writes. For a start, see the [README](../README.md) and the
manifests in [deploy/samples](../deploy/samples).

- [The manifest](#the-manifest): every field
- [The status](#the-status): what a batch on a cluster says of itself
- [Records](#records): the lines of results and errors
- [Failure categories](#failure-categories): why an item fails, and what happens then
- [Exit codes](#exit-codes)

## The manifest

A YAML or JSON file. Unknown fields are errors. A field that is not **required** can be left out. On a cluster these
cannot be changed once the batch is there: `model`, `input`, `request`, `shardSize`, `output`, `worker` and
`endpoint.apiKeySecret`.
"""

STATUS = """\
## The status

On a cluster the operator writes it; `kubectl get llmb NAME -o yaml` shows it. It is a few kilobytes whatever the number
of items, and a field is there once there is something to say.
"""

RECORDS = """\
## Records

Every item of the input ends in exactly one of the results and the errors. Both are in the order of the input.

- Output format `jsonl`: `results.jsonl` with the fields below.
- Output format `csv`: `results.csv` with the columns of the input, then `ai_output` and, with `responseSchema`, one
  column for each of its properties. Lists and objects stand there as JSON. A new column whose name the input has
  already gets another one, which starts with `ai_`.
- Output format `openai`: `results.jsonl` and `errors.jsonl` as the OpenAI Batch API writes its output and error files,
  with `custom_id`, `response` and `error`.

With `jsonl` and `csv`, failed items are in `errors.jsonl` with the fields below. `summary.json` says what came
of it all.
"""

RESULT_FIELDS = {
    "id": "Id of the item: its `idField`, its `custom_id`, or its number.",
    "index": "Number of the item in the input, from 0.",
    "output": "The answer: text, the object with `responseSchema`, or the list of numbers of an embedding.",
    "finish_reason": "Why the model stopped, in the endpoint's words; null where it says nothing.",
    "model": "The model that answered, in the endpoint's words.",
    "usage": "Tokens: `input_tokens`, `output_tokens`, `total_tokens`; `cached_tokens` and `reasoning_tokens` if any.",
    "attempts": "Requests that the item took.",
    "latency_ms": "Milliseconds that the last of them took.",
    "input": "The item, only with `includeInput`.",
    "response": "Status, request id and body of the answer, only with format `openai`.",
}
LETTER_FIELDS = {
    "id": "Id of the item, as in the results.",
    "index": "Number of the item in the input, from 0.",
    "item": "The item itself.",
    "error": "What went wrong, see below.",
    "attempts": "Requests that the item took; 0 if it was never sent.",
    "first_attempt_at": "When it was sent first; null if never.",
    "failed_at": "When it was given up.",
    "usage": "Tokens of an answer that was not accepted, if there was one.",
    "latency_ms": "Milliseconds that the last request took, if there was one.",
    "response": "Status, request id and body of the last answer, only with format `openai`.",
}
ERROR_FIELDS = {
    "category": "One of the [failure categories](#failure-categories).",
    "message": "What happened, in a sentence; where the endpoint said something, its own words.",
    "status": "HTTP status; null where there was no answer.",
    "code": "The endpoint's own error code; null where it gave none.",
}

SUMMARY = """\
### `summary.json`: the record of the job
"""

SUMMARY_FIELDS = {
    "name": "Name of the batch.",
    "namespace": "Namespace of the batch.",
    "uid": "Identity of the run; the idempotency keys of its requests derive from it.",
    "phase": "`Succeeded`, `CompletedWithErrors` or `Failed`.",
    "reason": "Why the batch stopped before its end: `category` and `message`; null where it did not.",
    "items": "`total`, and how many of them are `succeeded`, `failed` and `cancelled`. These three add up to `total`.",
    "retries": "Requests beyond the first of each item.",
    "resent_items": "Items that may have been sent twice because a process died.",
    "usage": "Tokens of all answers, as in the results.",
    "cost": "`amount` and `currency`; null where the endpoint has no `pricing`.",
    "latency_ms": "Milliseconds that requests took: `p50`, `p95`, `p99`.",
    "errors": "For each failure category, the most frequent first: `count`, and a sample's id and message.",
    "started_at": "When the input was planned.",
    "completed_at": "When the outputs were written.",
    "duration_seconds": "Seconds that it took.",
    "input": "`uri`, `format`, `items`, `bytes` and `sha256` of what was read.",
    "output": "For results and errors: `uri`, `records`, `bytes` and `sha256`.",
    "configuration": "The manifest's spec, without inline items.",
    "versions": "Versions of llmbatch and Python.",
}

CATEGORIES = """\
## Failure categories

Why an item fails: the `category` of a dead letter, and a value of `spec.failurePolicy.stopOn`. Each has one rule:
"""

EXITS = """\
## Exit codes

How `llmbatch` and `llmbatch-worker` end:
"""
