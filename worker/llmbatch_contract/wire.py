"""The coordinator's HTTP interface: paths, statuses and signatures. Both ends and the command line read them here.

Pods show a bearer token; readers of results come through the API server's service proxy with a signature that anyone
can make who may read the batch's Secret.

POST /v1/report                              Report → Reply; 410 when the batch is gone
GET|HEAD|PUT /v1/objects/{area}/{name}       objects of the pod's own batch; area is work or output
GET /v1/objects/{area}?prefix=…              their names, a JSON list
GET|HEAD /v1/dead-letters/{batch}            errors.jsonl of another finished batch in the pod's namespace
GET /v1/results/{namespace}/{batch}/{name}   outputs, for `?expires=…&signature=…`
GET …/{batch}/partial/results                records of finished shards before that, also `…/errors`; see partial.py
"""

import hashlib
import hmac

REPORT = "/v1/report"
OBJECTS = "/v1/objects"
DEAD_LETTERS = "/v1/dead-letters"
RESULTS = "/v1/results"
PARTIAL = "partial/"
"""Before `results` or `errors`, in place of an output's name: what finished shards have of them."""

ONLY_CREATE = {"if-none-match": "*"}
"""Header of a PUT that must not overwrite: 412 if the object is there."""
ERROR_KIND = "x-llmbatch-error"
"""Header of an error answer: a class name in llmbatch_contract.errors. The body is the sentence, as text."""

BATCH_LABEL = "llmbatch.dev/batch"
"""On Jobs, pods and everything else of a batch: its name."""
RESULTS_KEY = "results-key"
"""Key in the Secret of a batch."""


def object_name(batch: str, uid: str, what: str) -> str:
    """Name of an object that belongs to a batch, as in `tickets-3f2a1b7c-shards`: at most 63 characters.

    A part of the uid keeps it apart from what a deleted batch of the same name may have left for a moment. There are
    no dots in it: pods of a Job get host names made of its name.
    """
    return f"{batch[:41].replace('.', '-').rstrip('-')}-{uid[:8]}-{what}"


def results_secret(batch: str, uid: str) -> str:
    """Name of the Secret that holds the key to a batch's results."""
    return object_name(batch, uid, "results")


def batch_key(master: bytes, uid: str) -> str:
    """The key to one batch's results, from the operator's own: HMAC-SHA-256, hexadecimal."""
    return hmac.new(master, uid.encode(), hashlib.sha256).hexdigest()


def signature(key: str, path: str, expires: int) -> str:
    """Permission to read `path` (as in RESULTS…) until `expires`, Unix time: HMAC-SHA-256, hexadecimal."""
    return hmac.new(key.encode(), f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


def is_signed(key: str, path: str, expires: int, given: str) -> bool:
    """Whether a signature is right; the caller looks at the clock."""
    return hmac.compare_digest(signature(key, path, expires).encode(), given.encode(errors="replace"))
