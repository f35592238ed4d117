"""The parts of docs/reference.md that no model holds; used by reference.py, which checks the names."""

INTRO = """\
<!-- Written by scripts/reference.py from the models: change those and run `make docs`. -->
# Reference

Everything a manifest can say and everything a batch writes. For a start, see the [README](../README.md) and the
manifests in [deploy/samples](../deploy/samples).

- [The manifest](#the-manifest): every field
- [The status](#the-status): what a batch on a cluster says of itself
- [LLMEndpoint](#llmendpoint): an endpoint that many batches share
- [Records](#records): the lines of results and errors
- [Failure categories](#failure-categories): why an item fails, and what happens then
- [Exit codes](#exit-codes)

## The manifest

A YAML or JSON file. Unknown fields are errors. A field that is not **required** can be left out. On a cluster these
cannot be changed once the batch is there: `model`, `input`, `request`, `shardSize`, `output`, `worker`,
`endpoint.apiKeySecret` and `endpoint.ref`.
"""

STATUS = """\
## The status

On a cluster the operator writes it; `kubectl get llmb NAME -o yaml` shows it. It is a few kilobytes whatever the number
of items, and a field is there once there is something to say.
"""

ENDPOINT = """\
## LLMEndpoint

One endpoint for batches of many namespaces, with limits that hold for all of them together; `spec.endpoint.ref` of a
batch names it. It belongs to no namespace. Everything in its `spec` may be changed at any time: limits and prices hold
within seconds; with another URL, key or other headers, pods are replaced. Here paths are as `kubectl explain` takes
them. A local run takes the LLMEndpoint from the same file as the batch.
"""

ENDPOINT_STATUS = """\
### Status of an endpoint

The operator writes it every few seconds; `kubectl get llmep` shows it.
"""

RECORDS = """\
## Records

Every item of the input ends in exactly one of the results and the errors. Both are in the order of the input.

- Output format `jsonl`: `results.jsonl` with the fields below.
- Output format `csv`: `results.csv` with the columns of the input, then `ai_output` and, with `responseSchema`, one
  column for each of its properties. Lists and objects stand there as JSON. A new column whose name the input has
  already gets another one, which starts with `ai_`.
- Output format `parquet`: `results.parquet` with `id`, `index`, `output` (text, JSON text, or the vector of an
  embedding), a column for each property of the `responseSchema`, then what else a record holds, and the input's columns
  with `includeInput`. Properties have the type that the schema gives them; where it gives none, or a value does not fit
  (a number of more than 64 bits), the column holds JSON text. So do columns of the input with values of several kinds.
- Output format `openai`: `results.jsonl` and `errors.jsonl` as the OpenAI Batch API writes its output and error files,
  with `custom_id`, `response` and `error`.

But for `openai`, failed items are in `errors.jsonl` with the fields below. `summary.json` says what came
of it all, `report.json` has what a page about the batch needs besides.
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
    "completed_at": "When the answer came.",
    "trace_id": "Trace of the batch; the item's span in it has its id as `llmbatch.item.id`.",
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
    "trace_id": "As in the results.",
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
    "trace_id": "Trace of the batch: its own, or the caller's.",
    "phase": "`Succeeded`, `CompletedWithErrors` or `Failed`.",
    "reason": "Why the batch stopped before its end: `category` and `message`; null where it did not.",
    "items": "`total`, and how many of them are `succeeded`, `failed` and `cancelled`. These three add up to `total`.",
    "attempts": "Requests about all items, failed ones included.",
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
    "output": (
        "For results and errors: `uri`, `name`, `records`, `bytes`, `sha256` and `compression`. Of several objects "
        "the name is `results/`, `objects` says how many, and the digest is that of what `sha256sum *` prints there."
    ),
    "delivery": (
        "`delivered`, `undelivered` and `requests`; `error` says why results are undelivered. Null without `deliver`."
    ),
    "configuration": "The manifest's spec, without inline items and without what may be a secret in a URL.",
    "versions": "Versions of llmbatch and Python.",
}

REPORT = """\
### `report.json`: numbers for a page

What `kubectl llmbatch report` and `llmbatch run --report` show beside the summary. Its size does not grow with the
number of items: under 1 MB, mostly under 100 KB. Lists of `timeline` have a value for each of at most 300 equal
stretches of time; an item counts when it ends. Percentiles are those of at most 75 stretches.
"""

REPORT_FIELDS = {
    "version": "Of this form: 1.",
    "uid": "Identity of the run, as in the summary.",
    "limits": "The endpoint's `limits`.",
    "timeline": "`started_at`, `bucket_seconds` (width of a stretch), and lists: `succeeded`, `failed`, `cancelled`, "
    "`attempts`, `input_tokens`, `output_tokens`. `latency_ms` has `p50`, `p95` and `p99` and a `bucket_seconds` of "
    "its own. `undated` counts records that do not say when.",
    "latency": "How many requests took how long: pairs of milliseconds and count.",
    "errors": "For each failure category, the most frequent first: `count` and up to three `samples`, each with "
    "`id` and the first 200 characters of its `message`.",
    "slowest": "The 20 slowest items: `id`, `index`, `latency_ms`, `attempts`, tokens, `ended_at`, and `category` of a "
    "failed one. No content.",
    "shards": "`total`, `attempts`, `lost` and `shown`: for each shard its `items`, `attempt_count` and its last ten "
    "`attempts`, each with `worker`, `claimed_at`, `first_record_at`, `last_record_at`, `records` and how it `ended`: "
    "`done`, `stopped` in order, or `lost` (killed, evicted, out of memory). Of more than 500 shards: some from "
    "beginning to end, and up to 250 of those with several attempts.",
}

CATEGORIES = """\
## Failure categories

Why an item fails: the `category` of a dead letter, and a value of `spec.failurePolicy.stopOn`. Each has one rule:
"""

EXITS = """\
## Exit codes

How `llmbatch` and `llmbatch-worker` end:
"""
