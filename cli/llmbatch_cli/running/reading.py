"""What a batch on this machine has written so far: for `llmbatch results` and `llmbatch errors`. Makes no folders."""

from collections.abc import Callable, Iterator

import orjson

from llmbatch_cli.outputs.objects import Output, Outputs, Which
from llmbatch_cli.outputs.partial import counts_in_words, partial_blocks, records_of
from llmbatch_cli.outputs.stored import StoredObjects
from llmbatch_contract.errors import BatchStateError, StoreMissingError
from llmbatch_contract.job import Job
from llmbatch_worker.finalizing.names import SUMMARY_NAME
from llmbatch_worker.stores.local import LocalStore
from llmbatch_worker.stores.opening import local_stores
from llmbatch_worker.stores.protocol import Store


def local_output(job: Job, which: Which) -> Output:
    """Results or errors of a batch that is finished. Raises BatchStateError before that."""
    try:
        output = _opened(job, job.output_uri)
        row = orjson.loads(output.read(SUMMARY_NAME))["output"][which]
    except StoreMissingError as error:
        raise BatchStateError(
            f"{job.batch.metadata.name} is not finished: there are {which} when it is, --partial reads those of its "
            f"finished shards ({error})"
        ) from error
    name = row.get("name") or row["uri"].rpartition("/")[2]
    return Outputs(StoredObjects(output, output), job.batch.metadata.name).output(which, name)


def local_partial(job: Job, which: Which, tell: Callable[[str], None]) -> Iterator[bytes]:
    """Records of the shards that are finished; at the end `tell` hears how many these are."""
    try:
        working = LocalStore(job.store_uri, create=False)
    except StoreMissingError as error:
        raise BatchStateError(f"no shard is finished yet ({error})") from error
    return records_of(partial_blocks(working, which), which, lambda counts: tell(counts_in_words(counts, which)))


def _opened(job: Job, uri: str) -> Store:
    return LocalStore(uri, create=False) if uri.startswith("file:") else local_stores(job.batch).open(uri)
