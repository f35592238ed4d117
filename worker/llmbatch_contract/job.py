"""What a worker process is told: the batch and where its working objects are."""

from pydantic import Field

from llmbatch_contract.model import Model
from llmbatch_contract.spec import LLMBatch


class Job(Model):
    """A batch whose URIs are absolute, and the store of its working objects."""

    batch: LLMBatch
    store_uri: str = Field(min_length=1)
    """Where plan, claims and parts are kept."""
    output_uri: str = Field(min_length=1)
    """The folder of results, errors.jsonl and summary.json."""
