"""What a pod is given and what it leaves behind: its configuration, and the last words the operator reads.

The operator writes a PodConfig into a ConfigMap; a pod writes LastWords as its termination message, which Kubernetes
cuts at 4,096 bytes. Both survive restarts of either side.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from pydantic import Field

from llmbatch_contract.categories import Category
from llmbatch_contract.job import Job
from llmbatch_contract.model import Model
from llmbatch_contract.progress import Sample, ShardProgress
from llmbatch_contract.reports import PlanFacts, StopReason
from llmbatch_contract.storage import ObjectStore
from llmbatch_contract.trace import BatchTrace
from llmbatch_contract.usage import Usage

CONFIG_NAME = "config.json.gz"
"""Key of the ConfigMap, and name of the file in `CONFIG_FOLDER`: a PodConfig as JSON, packed."""
CONFIG_FOLDER = "/etc/llmbatch"
INPUT_FOLDER = "/var/run/llmbatch/input"
"""Where the ConfigMap of `input.configMap` is mounted."""
VOLUMES_FOLDER = "/var/run/llmbatch/volumes"
"""Where the volumes of `input.pvc` and `output.pvc` are mounted: in folders named after the Use."""
CREDENTIALS_FOLDER = "/var/run/llmbatch/credentials"
"""Where the Secrets of `credentialsSecret` are mounted: in folders named after the Use, a file for each key."""
CA_FOLDER = "/var/run/llmbatch/ca"
"""Where the ConfigMaps of `store.caConfigMap` are mounted: in folders named after the Use, the one file `ca.crt`."""
CA_NAME = "ca.crt"
TOKEN_FOLDER = "/var/run/secrets/llmbatch"
TOKEN_NAME = "token"
AUDIENCE = "llmbatch-coordinator"
"""Of the projected service account token that a pod shows to the coordinator."""
SIGNING_KEY_VARIABLE = "_LLMBATCH_SIGNING_KEY"
"""Environment variable with the key that delivered results are signed with, for stages that write outputs."""
POD_NAME_VARIABLE = "_LLMBATCH_POD_NAME"
"""Environment variable with the pod's name (its host name is another one). No Secret's key has such a name."""
POD_UID_VARIABLE = "_LLMBATCH_POD_UID"
NODE_VARIABLE = "_LLMBATCH_NODE"
JOB_VARIABLE = "_LLMBATCH_JOB"
"""Where else a pod runs, for its telemetry; namespace and batch are in its PodConfig."""
LAST_WORDS_PATH = "/dev/termination-log"
LAST_WORDS_BYTES = 4096

WORK_URI = "coordinator:/work"
"""The working objects of the pod's batch in the built-in store."""
OUTPUT_URI = "coordinator:/output"
"""The outputs of the pod's batch in the built-in store."""
PVC = "pvc:/"
"""Before the name of a claim and a path in it."""


class Stage(StrEnum):
    """What a pod is started for: the first argument of `llmbatch-worker`."""

    PLAN = "plan"
    CANARY = "canary"
    """The first items of some shards, before all others."""
    SHARD = "shard"
    """One shard, number JOB_COMPLETION_INDEX."""
    FINALIZE = "finalize"
    RUN = "run"
    """All of it in one pod, for small batches."""
    CLEAN = "clean"
    """Remove the working objects of a batch that was deleted, where they are not in the built-in store."""


class Use(StrEnum):
    """What a pod needs a store or a volume for; names of folders."""

    INPUT = "input"
    OUTPUT = "output"
    """Working objects included."""
    DEAD_LETTERS = "dead-letters"
    """The errors of another batch."""


class DeadLettersPlace(Model):
    """Where the errors of the other batch are that `deadLettersOf` names."""

    uri: str
    """Of its errors.jsonl, packed or not: `s3://…`, or `pvc:/<claim>/<path>`."""
    store: ObjectStore | None = None


class PodConfig(Model):
    """What every pod of a batch is told."""

    uid: str
    """Of the LLMBatch."""
    job: Job
    trace: BatchTrace
    workers: int = Field(ge=1)
    """Pods at once, for the size of shards."""
    coordinator_url: str
    coordinator_ca: str
    """Certificate of the authority that signs the coordinator's, PEM."""
    dead_letters: DeadLettersPlace | None = None
    """None: the coordinator has them."""
    telemetry_ca: str | None = None
    """Certificate of the authority that signs the collector's, PEM, where it is not one that everybody knows."""


class CanaryCounts(Model):
    """What became of the items of the canary, those of earlier pods included."""

    succeeded: int = 0
    failed: int = 0
    attempts: int = 0
    usage: Usage = Usage()
    latency_ms: float | None = None
    """Half of the answers took less."""
    items_per_minute: float | None = None
    """Speed of the pod that says so; None if it has asked nothing."""

    @property
    def items(self) -> int:
        """Items that were asked."""
        return self.succeeded + self.failed


class ErrorCount(Model):
    """One line of the commonest errors."""

    category: Category
    count: int
    sample: Sample | None = None


class FinalCounts(Model):
    """What finalize counted: the truth about a finished batch."""

    items: int
    succeeded: int
    failed: int
    cancelled: int
    attempts: int
    retries: int
    resent: int
    usage: Usage
    latency_ms: dict[str, float | None]
    """p50, p95, p99."""
    errors: list[ErrorCount]
    output_bytes: int
    results_name: str
    """In the output's folder, as in `results.jsonl`, `results.csv.gz`, or `results/` for several objects."""
    errors_name: str = "errors.jsonl"
    delivered: int | None = None
    """Results that `deliver.url` took; None: the batch has no `deliver`."""
    undelivered: int = 0
    """Results that it did not take; they are in `undelivered.jsonl`."""
    delivery_error: str | None = None
    """Why it did not take the first of them."""


class PodError(Model):
    """Why a pod failed."""

    kind: str
    """Name of a class in llmbatch_contract.errors."""
    message: str


class LastWords(Model):
    """The termination message of a pod: whatever its stage had to say."""

    stage: Stage
    plan: PlanFacts | None = None
    progress: ShardProgress | None = None
    canary: CanaryCounts | None = None
    """The canary is over."""
    final: FinalCounts | None = None
    stop: StopReason | None = None
    """The worker stopped because the batch has to."""
    error: PodError | None = None

    def cut(self, limit: int = LAST_WORDS_BYTES) -> bytes:
        """As JSON of at most `limit` bytes: texts get shorter, then what is nice to have goes, at last the counts."""
        return next(data for words in self._ever_shorter() if len(data := words.dump_json()) <= limit)

    def _ever_shorter(self) -> Iterator["LastWords"]:
        yield self
        yield from (self._with_texts_of(chars) for chars in (1000, 200, 50))
        words = self._with_texts_of(200)
        bare = words.model_copy(update={"progress": _without(words.progress, "samples", "latency")})
        yield bare
        yield bare.model_copy(update={"progress": None, "final": None})

    def _with_texts_of(self, chars: int) -> "LastWords":
        return LastWords.model_validate(_short(self.dump(), chars))


def _short(value: Any, chars: int) -> Any:
    """A value whose texts have at most so many characters."""
    match value:
        case str():
            return value if len(value) <= chars else f"{value[: chars - 1]}…"
        case dict():
            return {key: _short(each, chars) for key, each in value.items()}
        case list():
            return [_short(each, chars) for each in value]
        case _:
            return value


def _without(progress: ShardProgress | None, *fields: str) -> ShardProgress | None:
    return None if progress is None else progress.model_copy(update={field: {} for field in fields})
